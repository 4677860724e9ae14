"""The state of each target: due, to be reviewed, ready or claimed, and since or until when."""

from collections.abc import Sequence
from typing import Literal

from warmer.store.chunks import chunks
from warmer.store.control.operations import ControlOperations
from warmer.store.control.upcoming import UpcomingTargets
from warmer.store.records import TargetState, TargetStates
from warmer.store.replies import fields_of, payer_of
from warmer.tasks.switch import Switch

TTL_BYTES = 1
"""Beside each history stands its target's ttl, so that scripts can tell how much it has cooled down."""


class Targets(ControlOperations):
    """The states of targets."""

    def states(self, refs: Sequence[str]) -> TargetStates:
        """Return the states of targets, and what they depend on; changes nothing."""
        targets: list[TargetState] = []
        for chunk in chunks(refs) if refs else [()]:
            now_ms, switch_json, policy_state, found = self._scripts.run("target_states", *chunk)
            targets += [_target_state(ref, *target) for ref, target in zip(chunk, found, strict=True)]
        return TargetStates(now_ms, Switch.from_json(switch_json), fields_of(policy_state), tuple(targets))

    def upcoming(self, until_ms: int) -> UpcomingTargets:
        """Return the targets that are to be computed or reviewed until a moment; changes nothing."""
        return UpcomingTargets(self._scripts.client, self._scripts.keys, until_ms)

    def reschedule(
        self,
        ref: str,
        at_ms: int | None,
        *,
        forward_only: bool = False,
        where: Literal["due", "reviews"] = "due",
    ) -> bool:
        """Move the moment at which an idle target is due or reviewed; returns whether that changed anything.

        Args:
            ref: Canonical text of the target.
            at_ms: That moment; None to leave it to expire.
            forward_only: Whether an earlier moment is kept.
            where: Whether it is refreshed or reviewed then.
        """
        moment = "" if at_ms is None else at_ms
        return bool(self._scripts.run("reschedule", ref, moment, int(forward_only), where))

    def backlog(self) -> int:
        """Return how many targets wait for a worker."""
        return int(self._scripts.run("backlog"))


def _target_state(
    ref: str, place: bytes, at_ms: bytes, ttl_ms: int, account: bytes, p95_ms: bytes, wait_ms: bytes, history: bytes
) -> TargetState:
    return TargetState(
        ref,
        place.decode(),  # type: ignore[arg-type]  # the script returns no other word
        int(float(at_ms)),
        ttl_ms / 1000,
        payer_of(ref, account),
        float(p95_ms or 0) / 1000,
        float(wait_ms or 0) / 1000,
        history[:-TTL_BYTES],
    )
