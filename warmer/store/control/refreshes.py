"""The steps of a refresh in Redis: due targets become ready, are claimed, and are completed."""

from collections.abc import Iterable, Sequence
from secrets import token_hex

import orjson

from warmer.store.chunks import CHUNK, chunks
from warmer.store.control.operations import ControlOperations
from warmer.store.records import Capacity, Claim, ClaimBatch, Completed, Outcome, TickReport
from warmer.store.scripts import Scripts
from warmer.tasks.switch import Switch
from warmer.tasks.target import task_id_of

ENOUGH_READY = 1000
"""A tick counts ready targets only up to this number: enough to know how many workers could be busy."""


class Refreshes(ControlOperations):
    """Moves targets through a refresh."""

    def __init__(self, scripts: Scripts) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(scripts)
        self._switch_text = ""
        self._switch = Switch()

    def tick(self, limit: int = 1000) -> TickReport:
        """Make due targets ready, end claims past their deadline, and count refreshes that nobody used.

        Args:
            limit: Targets to move at most.
        """
        moved, lapsed, wasted, ready, more = self._scripts.run("tick", limit, ENOUGH_READY)
        return TickReport(moved, lapsed, wasted, ready, bool(more))

    def reconcile(self) -> int:
        """Make critical targets due that are neither due, ready nor claimed; returns how many there were."""
        repaired: int = 0
        cursor: bytes = b"0"
        while True:
            found, cursor = self._scripts.run("reconcile", cursor, CHUNK)
            repaired += found
            if cursor == b"0":
                return repaired

    def claim(
        self,
        capacity: Capacity,
        unknown_ids: Iterable[str] = (),
        *,
        only: Sequence[str] | None = None,
        drain_id: str = "",
        waits: bool = True,
    ) -> ClaimBatch:
        """Claim the best ready targets; those of unknown tasks are left to other workers.

        Args:
            capacity: How many computations may begin; up to 500 keep Redis responsive.
            unknown_ids: Ids of tasks that the caller cannot compute.
            only: The refs that may be claimed, best first; all by default.
            drain_id: The token begins with it, so that `lapse` finds the claims of a drain that died.
            waits: Whether a batch that is not full may wait for more.
        """
        token = drain_id + token_hex(16)
        answer = orjson.loads(
            self._scripts.run(
                "claim",
                *capacity,
                token,
                int(waits),
                "" if only is None else orjson.dumps(only),
                *unknown_ids,
            )
        )
        known = {
            task_id: (float(p95_ms or 0) / 1000, wait_ms / 1000, definition)
            for task_id, (definition, p95_ms, wait_ms) in dict(answer["tasks"] or {}).items()
        }
        claims = tuple(
            Claim(ref, int(due_ms), fresh_ok == 1, int(failures), int(deaths), *known[task_id_of(ref)])
            for ref, due_ms, fresh_ok, failures, deaths in answer["claims"] or ()
        )
        return ClaimBatch(token, int(answer["now"]), self._switch_in(answer["switch"]), int(answer["blocked"]), claims)

    def _switch_in(self, text: str) -> Switch:
        if text != self._switch_text:  # which it rarely is
            self._switch_text, self._switch = text, Switch.from_json(text.encode())
        return self._switch

    def renew_claims(self, token: str, refs: Sequence[str]) -> list[str]:
        """Extend claims held with this token; returns the refs of those that are lost."""
        run = self._scripts.run
        return [ref.decode() for chunk in chunks(refs) for ref in run("renew_claims", token, *chunk)]

    def give_back(self, refs: Sequence[str], token: str) -> int:
        """Give claims up so that others can claim the targets; returns how many of them were still held."""
        return sum(int(self._scripts.run("give_back", token, *chunk)) for chunk in chunks(refs))

    def lapse(self, drain_id: str) -> list[str]:
        """End the claims of a drain whose process died: their targets are ready again, and suspected to have killed it.

        Args:
            drain_id: What the tokens of its claims begin with; nothing lapses for "".

        Returns:
            The refs of the targets.
        """
        return [ref.decode() for ref in self._scripts.run("lapse", drain_id)]

    def complete(self, outcomes: Sequence[Outcome]) -> Completed:
        """Complete refreshes: drop their claims, count them, plan the next ones, report to watchers.

        Args:
            outcomes: Their results; each target at most once.
        """
        if len(outcomes) <= CHUNK:
            return self._complete(outcomes)
        lost: list[str] = []
        quarantined: list[str] = []
        for chunk in chunks(outcomes):
            completed = self._complete(chunk)
            lost += completed.lost
            quarantined += completed.quarantined
        return Completed(tuple(lost), tuple(quarantined))

    def _complete(self, outcomes: Sequence[Outcome]) -> Completed:
        done = [
            (
                outcome.ref,
                outcome.token,
                outcome.result.value,
                outcome.origin,
                outcome.computed_at_ms,
                outcome.due_kind,
                outcome.due_ms,
                round(outcome.duration_ms, 3),
                outcome.error,
                "" if outcome.judged_ms is None else f"{outcome.judged_ms}:{outcome.ref}",
                outcome.wasted_at_ms,
                outcome.fresh_until_ms,
            )
            for outcome in outcomes
        ]
        lost, quarantined = self._scripts.run("complete", orjson.dumps(done))
        return Completed(tuple(ref.decode() for ref in lost), tuple(name.decode() for name in quarantined))
