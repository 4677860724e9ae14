"""What the store takes and gives: plain records."""

from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from warmer.codec.entry import Header
from warmer.tasks.switch import Switch

KeyReads: TypeAlias = tuple[str, str, int, int, list[int], int, int, int]
"""Reads of one key since the last flush; `Store.flush` says what is what."""

DueKind: TypeAlias = Literal["at", "in", "never", "review", "review_in"]


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
        deaths: Processes that have died with it.
        compute_p95_s: What 95 of 100 computations of the task stayed under; 0 when unknown.
        queue_wait_s: How long its task's targets are to be expected to wait between due and claimed.
        definition: The task's definition, as JSON.
    """

    ref: str
    due_ms: int
    ensure: bool
    failures: int
    deaths: int
    compute_p95_s: float
    queue_wait_s: float
    definition: str


class Capacity(NamedTuple):
    """How many computations may begin, by what they need.

    Args:
        threads: A thread.
        loop: The event loop.
        processes: A process of their own.
    """

    threads: int = 0
    loop: int = 0
    processes: int = 0


class ClaimBatch(NamedTuple):
    """What one call of `Store.claim` got.

    Args:
        token: Owner token of all its claims and leases.
        now_ms: The server's time.
        switch: The fleet's switch.
        held: How many tasks have something ready that has to wait, for a limit or for a fuller batch.
        claims: The targets, best first; those of one batch stand together.
    """

    token: str
    now_ms: int
    switch: Switch
    held: int
    claims: tuple[Claim, ...]


class Outcome(NamedTuple):
    """How the refresh of one target ended, as `Store.complete` records it.

    Args:
        ref: Canonical text of the target.
        token: The claim's token; "" for a reader that computed a miss without a claim.
        result: How it ended.
        origin: "warm" for warming, "miss" for a reader that had missed.
        due_kind: When the target is due next: "at" ms since the epoch, "in" ms from now, or "never"; "review" and
            "review_in": when it is to be decided whether it is refreshed.
        due_ms: That number of ms.
        duration_ms: How long the computation took.
        computed_at_ms: When the value that is now cached was computed; 0 when unknown.
        error: What went wrong, if it failed.
        verdict_ms: When the value was computed, if its use is to be judged; else None.
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
    verdict_ms: int | None = None
    wasted_at_ms: int = 0
    fresh_until_ms: int = 0


class Completed(NamedTuple):
    """What became of outcomes.

    Args:
        lost: The refs whose claim was no longer held; of them nothing was changed.
        quarantined: The refs, and ids of tasks, that are quarantined from now on.
    """

    lost: tuple[str, ...]
    quarantined: tuple[str, ...]


class Timing(NamedTuple):
    """What is known of how long a target takes.

    Args:
        compute_p95_s: What 95 of 100 computations of its task stay under; 0 when unknown.
        queue_wait_s: How long its task's targets wait between due and claimed.
        switch: The fleet's switch.
    """

    compute_p95_s: float
    queue_wait_s: float
    switch: Switch


class DueReview(NamedTuple):
    """One target that is to be reviewed.

    Args:
        ref: Canonical text of the target.
        planned_ms: When it was to be reviewed.
        ttl_s: For how long its values are fresh; 0 if its task is gone.
        account: Whose account pays for it: a task's id, "" for the fleet's, None for nobody's.
        history: What is remembered of it, packed; empty if nothing is.
    """

    ref: str
    planned_ms: int
    ttl_s: float
    account: str | None
    history: bytes


class DueReviews(NamedTuple):
    """What is to be reviewed by now, and what the decisions depend on.

    Args:
        now_ms: The server's time.
        switch: The fleet's switch.
        leads: Whether the one who asks leads.
        targets: The targets, the longest due first.
        policy_state: What the policy has learnt, by field.
        accounts: What reads and refreshes have cost, by account and by what.
        reads: All reads of the fleet so far.
    """

    now_ms: int
    switch: Switch
    leads: bool
    targets: tuple[DueReview, ...]
    policy_state: dict[str, bytes]
    accounts: dict[str, dict[str, float]]
    reads: int


class ReviewDecision(NamedTuple):
    """What was decided on a target.

    Args:
        ref: Canonical text of the target.
        planned_ms: When it was to be reviewed.
        review_ms: When it is to be reviewed again; 0 to refresh it now, -1 to let it go.
        decided_ms: When it was decided, in ms since 2020.
        flags: Flags of the decision; -1 if none is to be remembered.
        decision: What it was based on, packed.
    """

    ref: str
    planned_ms: int
    review_ms: int
    decided_ms: int = 0
    flags: int = -1
    decision: bytes = b""


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
    """

    ref: str
    reads_per_s: float


class TargetState(NamedTuple):
    """Where a target stands, and what is remembered of it.

    Args:
        ref: Canonical text of the target.
        place: "due", "review", "busy" if it is ready or claimed, or "" if it stands nowhere.
        at_ms: When it is due, or reviewed, or since when it has been ready.
        ttl_s: For how long its values are fresh; 0 if its task is gone.
        account: Whose account pays for it: a task's id, "" for the fleet's, None for nobody's.
        compute_p95_s: What 95 of 100 computations of its task stay under; 0 when unknown.
        queue_wait_s: How long its task's targets wait between due and claimed.
        history: What is remembered of its reads, packed; empty if nothing is.
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
    """What one look at targets has seen.

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
    """What one tick did: targets moved to ready, lapsed claims, wasted refreshes; what stands ready; is there more."""

    moved: int
    lapsed: int
    wasted: int
    ready: int
    more: bool
