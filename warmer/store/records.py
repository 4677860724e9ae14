"""Plain records that the store takes and returns."""

from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from warmer.codec.entry import Header
from warmer.tasks.switch import Switch

KeyReads: TypeAlias = tuple[str, str, int, int, list[int], int, int, int]
"""Reads of one key since the last flush.

Its target's ref, "" where only the key is known; the cache key; hits; misses; the times in ms at which warm values were
computed whose read was useful; how many hits were stale; the times in ms of the first and the last read, 0 for now.
"""

DueKind: TypeAlias = Literal["at", "in", "never", "review", "review_in"]


class Result(StrEnum):
    """Result of a refresh."""

    PUBLISHED = "published"
    FRESH = "fresh"  # a fresh value was there already
    FAILED = "failed"
    CRASHED = "crashed"  # it killed the process that computed it
    BUSY = "busy"  # another process holds the lease
    LOST = "lost"  # the lease lapsed or was voided: nothing was written


class Lease(NamedTuple):
    """Result of an attempt to take a lease, the right to write an entry.

    Args:
        taken: Whether the token holds it.
        now_ms: The server's time of the attempt.
        present: Header of the present entry, if there is one.
        failure: How the computation that the caller waited for has failed; empty if it has not.
    """

    taken: bool
    now_ms: int
    present: Header | None
    failure: bytes = b""


class Claim(NamedTuple):
    """Claim of one target, which a worker may refresh now.

    Args:
        ref: Canonical text of the target.
        due_ms: Since when it is due.
        fresh_ok: Whether a fresh value is good enough, also one that another process computed.
        failures: Failures in a row before this.
        deaths: Processes that have died while they computed it.
        compute_p95_s: What 95 of 100 computations of the task stayed under; 0 when unknown.
        queue_wait_s: How long targets of its task are expected to wait between due and claimed.
        definition: The task's definition, as JSON.
    """

    ref: str
    due_ms: int
    fresh_ok: bool
    failures: int
    deaths: int
    compute_p95_s: float
    queue_wait_s: float
    definition: str


class Capacity(NamedTuple):
    """How many computations may run or begin at once, by the executor that they need.

    Args:
        threads: In threads.
        loop: On the event loop.
        processes: In isolated processes.
    """

    threads: int = 0
    loop: int = 0
    processes: int = 0


class ClaimBatch(NamedTuple):
    """Claims of one call.

    Args:
        token: Owner token of all its claims and leases.
        now_ms: The server's time.
        switch: The fleet's switch.
        blocked: How many tasks have ready targets that have to wait, for a limit or for a fuller batch.
        claims: The claims, best first; those of one batch stand together.
    """

    token: str
    now_ms: int
    switch: Switch
    blocked: int
    claims: tuple[Claim, ...]


class Outcome(NamedTuple):
    """Outcome of a refresh of one target.

    Args:
        ref: Canonical text of the target.
        token: The claim's token; "" for a reader that computed a miss.
        result: Its result.
        origin: "warm" for warming, "miss" for a reader that had missed.
        due_kind: When the target is due next: "at" ms since the epoch, "in" ms from now, or "never"; "review" and
            "review_in" are the same for the moment at which it is decided whether it is refreshed.
        due_ms: That number of ms.
        duration_ms: How long the computation took.
        computed_at_ms: When the value that is now cached was computed; 0 when unknown.
        error: What went wrong, if it failed.
        judged_ms: When the value was computed, if it is to be judged useful or wasted; else None.
        wasted_at_ms: From when on it counts as wasted.
        fresh_until_ms: Until when the value that is now cached is fresh; 0 when unknown.
    """

    ref: str
    token: str
    result: Result
    origin: Literal["warm", "miss"]
    due_kind: DueKind
    due_ms: int
    duration_ms: float
    computed_at_ms: int = 0
    error: str = ""
    judged_ms: int | None = None
    wasted_at_ms: int = 0
    fresh_until_ms: int = 0


class Completed(NamedTuple):
    """Result of completing refreshes.

    Args:
        lost: The refs whose claim was no longer held; nothing was changed for them.
        quarantined: The refs, and ids of tasks, that are quarantined from now on.
    """

    lost: tuple[str, ...]
    quarantined: tuple[str, ...]


class Timing(NamedTuple):
    """How long a target takes, as far as it is known.

    Args:
        compute_p95_s: What 95 of 100 computations of its task stay under; 0 when unknown.
        queue_wait_s: How long its task's targets wait between due and claimed.
        switch: The fleet's switch.
    """

    compute_p95_s: float
    queue_wait_s: float
    switch: Switch


class DueReview(NamedTuple):
    """Target that is to be reviewed.

    Args:
        ref: Canonical text of the target.
        planned_ms: For when the review was planned.
        ttl_s: For how long its values are fresh; 0 if its task is gone.
        account: The account that pays for its refreshes: a task's id, "" for the fleet's, None for nobody.
        history: The history of its reads, packed; empty if there is none.
    """

    ref: str
    planned_ms: int
    ttl_s: float
    account: str | None
    history: bytes


class DueReviews(NamedTuple):
    """Targets that are to be reviewed by now, and what the decisions depend on.

    Args:
        now_ms: The server's time.
        switch: The fleet's switch.
        leads: Whether the scheduler that asks leads.
        targets: The targets, the longest due first.
        policy_state: What the policy has learnt, by field.
        accounts: Sums of reads and refreshes, by account and field.
        reads: Reads of the fleet since the beginning.
    """

    now_ms: int
    switch: Switch
    leads: bool
    targets: tuple[DueReview, ...]
    policy_state: dict[str, bytes]
    accounts: dict[str, dict[str, float]]
    reads: int


class ReviewDecision(NamedTuple):
    """Decision on a reviewed target.

    Args:
        ref: Canonical text of the target.
        planned_ms: For when the review was planned.
        review_ms: When it is reviewed again; 0 to refresh it now, -1 to leave it to expire.
        decided_ms: When it was decided, in ms since 2020.
        flags: Flags of the decision; -1 to remember none.
        decision: What it was based on, packed.
    """

    ref: str
    planned_ms: int
    review_ms: int
    decided_ms: int = 0
    flags: int = -1
    decision: bytes = b""


class Quarantined(NamedTuple):
    """Target or task in quarantine, because it killed the processes that computed it.

    Args:
        name: A target's ref, or a task's id for all its targets.
        since_ms: Since when.
        deaths: How many processes died.
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
    """

    ref: str
    reads_per_s: float


class TargetState(NamedTuple):
    """State of a target, and what is known of it.

    Args:
        ref: Canonical text of the target.
        place: "due", "review", "busy" if it is ready or claimed, or "" if it is none of these.
        at_ms: When it is due or reviewed, since when it is ready, or when its claim lapses.
        ttl_s: For how long its values are fresh; 0 if its task is gone.
        account: The account that pays for its refreshes: a task's id, "" for the fleet's, None for nobody.
        compute_p95_s: What 95 of 100 computations of its task stay under; 0 when unknown.
        queue_wait_s: How long its task's targets wait between due and claimed.
        history: The history of its reads, packed; empty if there is none.
    """

    ref: str
    place: Literal["due", "review", "busy", ""]
    at_ms: int
    ttl_s: float
    account: str | None
    compute_p95_s: float
    queue_wait_s: float
    history: bytes


class TargetStates(NamedTuple):
    """States of targets at one moment.

    Args:
        now_ms: The server's time.
        switch: The fleet's switch.
        policy_state: What the policy has learnt, by field.
        targets: The targets, in the order in which they were asked for.
    """

    now_ms: int
    switch: Switch
    policy_state: dict[str, bytes]
    targets: tuple[TargetState, ...]


class TickReport(NamedTuple):
    """Report of one tick.

    Args:
        moved: Due targets that are ready now.
        lapsed: Claims whose deadline has passed.
        wasted: Refreshes that nobody used.
        ready: Targets that may be claimed now, counted up to a maximum.
        more: Whether there is more to move.
    """

    moved: int
    lapsed: int
    wasted: int
    ready: int
    more: bool
