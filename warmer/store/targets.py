"""The places of targets: which are due, reviewed, ready or claimed, and when."""

from collections.abc import Sequence
from typing import Literal

from warmer.store.chunks import chunks
from warmer.store.records import TargetState, TargetStates
from warmer.store.replies import fields_of, payer_of
from warmer.store.scripts import Scripts
from warmer.tasks.switch import Switch

TTL_BYTES = 1
"""Beside each history stands its target's ttl, so that scripts can tell how much it has cooled down."""


class Targets:
    """Where targets stand.

    Args:
        scripts: Of the control server.
    """

    def __init__(self, scripts: Scripts) -> None:
        """Prepare; nothing is sent yet."""
        self._scripts = scripts

    def states(self, refs: Sequence[str]) -> TargetStates:
        """Return where targets stand, and what is remembered of them."""
        targets: list[TargetState] = []
        for chunk in chunks(refs) if refs else [()]:
            answer = self._scripts.run("target_states", *chunk)
            now_ms, switch_json, memory, found = answer
            targets += [_standing_of(ref, *target) for ref, target in zip(chunk, found, strict=True)]
        return TargetStates(now_ms, Switch.from_json(switch_json), fields_of(memory), tuple(targets))

    def reschedule(
        self,
        ref: str,
        at_ms: int | None,
        *,
        forward_only: bool = False,
        where: Literal["due", "reviews"] = "due",
    ) -> bool:
        """Move the moment at which an idle target is due, or is reviewed; False when that changed nothing.

        Args:
            ref: Canonical text of the target.
            at_ms: That moment; None to let it lapse.
            forward_only: Whether to leave it at an earlier one.
            where: Whether it is refreshed then, or reviewed.
        """
        moment = "" if at_ms is None else at_ms
        return bool(self._scripts.run("reschedule", ref, moment, int(forward_only), where))

    def backlog(self) -> int:
        """Return how many targets wait for a worker."""
        return int(self._scripts.run("backlog"))


def _standing_of(
    ref: str, place: bytes, at_ms: bytes, ttl_ms: int, account: bytes, p95_ms: bytes, wait_ms: bytes, history: bytes
) -> TargetState:
    return TargetState(
        ref,
        place.decode(),  # type: ignore[arg-type]  # the script says nothing else
        int(float(at_ms)),
        ttl_ms / 1000,
        payer_of(ref, account),
        float(p95_ms or 0) / 1000,
        float(wait_ms or 0) / 1000,
        history[:-TTL_BYTES],
    )
