"""What the store takes and gives: plain records."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from warmer.entry import Header
from warmer.switch import Switch


class Result(StrEnum):
    """How a refresh ended."""

    PUBLISHED = "published"
    FRESH = "fresh"  # somebody else's value will do
    FAILED = "failed"
    BUSY = "busy"  # somebody else is computing it
    LOST = "lost"  # the lease lapsed or was voided: nothing was written


class Lease(NamedTuple):
    """An attempt at the right to write an entry.

    Args:
        taken: Whether this token has it.
        now_ms: The server's time of the attempt.
        present: Header of the present entry, if there is one.
        failure: How the computation that was waited for has failed; empty unless it has.
    """

    taken: bool
    now_ms: int
    present: Header | None
    failure: bytes = b""


@dataclass(frozen=True, slots=True)
class Claim:
    """One target that a worker may refresh now.

    Args:
        ref: Canonical text of the target.
        due_ms: Since when it is due.
        ensure: Whether a fresh value will do, whoever computed it.
        failures: Failures in a row before this.
        reads_per_s: Its decayed read rate.
        compute_p95_s: What 95 of 100 computations of the task stayed under; 0 when unknown.
        definition: The task's definition, as JSON.
    """

    ref: str
    due_ms: int
    ensure: bool
    failures: int
    reads_per_s: float
    compute_p95_s: float
    definition: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call of `Store.claim` got.

    Args:
        token: Owner token of all its claims and leases.
        now_ms: The server's time.
        switch: The fleet's switch.
        queue_wait_s: How long targets are to be expected to wait between due and claimed.
        claims: The targets, best first.
    """

    token: str
    now_ms: int
    switch: Switch
    queue_wait_s: float
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the refresh of one target ended, as `Store.complete` records it.

    Args:
        ref: Canonical text of the target.
        result: How it ended.
        origin: "warm" for warming, "miss" for a reader that had missed.
        computed_at_ms: When the value that is now cached was computed; 0 when unknown.
        duration_ms: How long the computation took.
        error: What went wrong, if it failed.
        verdict_ms: When the value was computed, if its use is to be judged; else None.
        wasted_at_ms: From when on it counts as wasted.
    """

    ref: str
    result: Result
    origin: Literal["warm", "miss"]
    duration_ms: float
    computed_at_ms: int = 0
    error: str = ""
    verdict_ms: int | None = None
    wasted_at_ms: int = 0


class Hot(NamedTuple):
    """A target that is read often.

    Args:
        ref: Canonical text of the target.
        reads_per_s: Its decayed read rate.
        standing: When it is due, in ms; "busy" if ready or claimed; None if it lapsed.
    """

    ref: str
    reads_per_s: float
    standing: int | Literal["busy"] | None


class TickReport(NamedTuple):
    """What one tick did: targets moved to ready, lapsed claims, wasted refreshes; what stands ready; is there more."""

    moved: int
    lapsed: int
    wasted: int
    ready: int
    more: bool
