"""The flow of a refresh: due, ready, claimed, completed."""

from collections.abc import Iterable, Sequence
from secrets import token_hex

import orjson

from warmer.store.chunks import CHUNK, chunks
from warmer.store.records import Capacity, Claim, ClaimBatch, Completed, Outcome, TickReport
from warmer.store.scripts import Scripts
from warmer.tasks.switch import Switch
from warmer.tasks.target import task_id_of

ENOUGH_READY = 1000
"""Up to how many ready targets a tick counts: it wants to know how many workers could be busy."""


class Refreshes:
    """Moves targets through a refresh; each operation is atomic.

    Args:
        scripts: Of the control server.
    """

    def __init__(self, scripts: Scripts) -> None:
        """Prepare; nothing is sent yet."""
        self._scripts = scripts

    def tick(self, limit: int = 1000) -> TickReport:
        """Move what is due to ready, and lapsed claims too; judge refreshes that nobody used."""
        moved, lapsed, wasted, ready, more = self._scripts.run("tick", limit, ENOUGH_READY)
        return TickReport(moved, lapsed, wasted, ready, bool(more))

    def reconcile(self) -> int:
        """Make critical targets that are nowhere due now; returns how many."""
        repaired: int = 0
        cursor: bytes = b"0"
        while True:
            found, cursor = self._scripts.run("reconcile", cursor, CHUNK)
            repaired += found
            if cursor == b"0":
                return repaired

    def claim(
        self,
        places: Capacity,
        unknown_ids: Iterable[str] = (),
        *,
        only: Sequence[str] | None = None,
        life: str = "",
        waits: bool = True,
    ) -> ClaimBatch:
        """Claim the best ready targets, leaving those of unknown tasks to others.

        Args:
            places: How many computations may begin; up to 500 keep Redis responsive.
            unknown_ids: Ids of tasks that the caller cannot compute.
            only: The refs that may be claimed, best first; all when not given.
            life: What the token begins with, so that `lapse` finds the claims of a process that died.
            waits: Whether a batch that is not full may wait for more.
        """
        token = life + token_hex(16)
        answer = orjson.loads(
            self._scripts.run(
                "claim",
                *places,
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
            Claim(ref, int(due_ms), ensure == 1, int(failures), int(deaths), *known[task_id_of(ref)])
            for ref, due_ms, ensure, failures, deaths in answer["claims"] or ()
        )
        switch = Switch.from_json(answer["switch"].encode())
        return ClaimBatch(token, int(answer["now"]), switch, int(answer["blocked"]), claims)

    def renew_claims(self, token: str, refs: Sequence[str]) -> list[str]:
        """Extend claims held with this token; returns the refs of those that are lost."""
        run = self._scripts.run
        return [ref.decode() for chunk in chunks(refs) for ref in run("renew_claims", token, *chunk)]

    def give_back(self, refs: Sequence[str], token: str) -> int:
        """Put claimed targets back for others; returns how many of the claims were still held."""
        return sum(int(self._scripts.run("give_back", token, *chunk)) for chunk in chunks(refs))

    def lapse(self, life: str) -> list[str]:
        """End the claims of a process that died: their targets are ready again, and suspects of having killed it.

        Args:
            life: What the tokens of its claims begin with; of "" nothing lapses.

        Returns:
            The refs of the targets.
        """
        return [ref.decode() for ref in self._scripts.run("lapse", life)]

    def complete(self, outcomes: Sequence[Outcome]) -> Completed:
        """End refreshes: drop their claims, count them, plan the next ones, tell those who wait.

        Args:
            outcomes: How they ended; no target stands twice among them.
        """
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
                "" if outcome.verdict_ms is None else f"{outcome.verdict_ms}:{outcome.ref}",
                outcome.wasted_at_ms,
                outcome.fresh_until_ms,
            )
            for outcome in outcomes
        ]
        lost, quarantined = self._scripts.run("complete", orjson.dumps(done))
        return Completed(tuple(ref.decode() for ref in lost), tuple(name.decode() for name in quarantined))
