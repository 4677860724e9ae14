"""What the store takes and gives: plain records."""

from enum import StrEnum
from typing import Literal, NamedTuple

from warmer.entry import Header
from warmer.switch import Switch


class Result(StrEnum):
    """How a refresh ended."""

    PUBLISHED = "published"
    FRESH = "fresh"  # somebody else's value will do
    FAILED = "failed"
    CRASHED = "crashed"  # it killed the process that computed it
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


class Claim(NamedTuple):
    """One target that a worker may refresh now.

    Args:
        ref: Canonical text of the target.
        due_ms: Since when it is due.
        ensure: Whether a fresh value will do, whoever computed it.
        failures: Failures in a row before this.
        reads_per_s: Its decayed read rate.
        deaths: Processes that have died with it.
        compute_p95_s: What 95 of 100 computations of the task stayed under; 0 when unknown.
        definition: The task's definition, as JSON.
    """

    ref: str
    due_ms: int
    ensure: bool
    failures: int
    reads_per_s: float
    deaths: int
    compute_p95_s: float
    definition: str


class Places(NamedTuple):
    """How many computations may begin, by what they need.

    Args:
        threads: A thread.
        loop: The event loop.
        processes: A process of their own.
    """

    threads: int = 0
    loop: int = 0
    processes: int = 0


class Batch(NamedTuple):
    """What one call of `Store.claim` got.

    Args:
        token: Owner token of all its claims and leases.
        now_ms: The server's time.
        switch: The fleet's switch.
        queue_wait_s: How long targets are to be expected to wait between due and claimed.
        held: How many tasks have something ready that has to wait, for a limit or for a fuller batch.
        claims: The targets, best first; those of one batch stand together.
    """

    token: str
    now_ms: int
    switch: Switch
    queue_wait_s: float
    held: int
    claims: tuple[Claim, ...]


class Outcome(NamedTuple):
    """How the refresh of one target ended, as `Store.complete` records it.

    Args:
        ref: Canonical text of the target.
        token: The claim's token; "" for a reader that computed a miss without a claim.
        result: How it ended.
        origin: "warm" for warming, "miss" for a reader that had missed.
        due_kind: When the target is due next: "at" ms since the epoch, "in" ms from now, or "never".
        due_ms: That number of ms.
        duration_ms: How long the computation took.
        computed_at_ms: When the value that is now cached was computed; 0 when unknown.
        error: What went wrong, if it failed.
        verdict_ms: When the value was computed, if its use is to be judged; else None.
        wasted_at_ms: From when on it counts as wasted.
    """

    ref: str
    token: str
    result: Result
    origin: Literal["warm", "miss"]
    due_kind: Literal["at", "in", "never"]
    due_ms: int
    duration_ms: float
    computed_at_ms: int = 0
    error: str = ""
    verdict_ms: int | None = None
    wasted_at_ms: int = 0


class Completed(NamedTuple):
    """What became of outcomes.

    Args:
        lost: The refs whose claim was no longer held; of them nothing was changed.
        quarantined: The refs, and ids of tasks, that are quarantined from now on.
    """

    lost: tuple[str, ...]
    quarantined: tuple[str, ...]


class Demand(NamedTuple):
    """What the policy needs to know of a target.

    Args:
        reads_per_s: Its decayed read rate.
        compute_p95_s: What 95 of 100 computations of its task stay under; 0 when unknown.
        queue_wait_s: How long targets wait between due and claimed.
        switch: The fleet's switch.
    """

    reads_per_s: float
    compute_p95_s: float
    queue_wait_s: float
    switch: Switch


class Quarantined(NamedTuple):
    """What is computed no more, because it killed the process that did so.

    Args:
        name: A target's ref, or a task's id for all its targets.
        since_ms: Since when.
        deaths: How many processes died with it.
        why: How the last one ended.
    """

    name: str
    since_ms: int
    deaths: int
    why: str


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
