"""Everything of warmer in Redis: one object for each subject, and for each operation one script or command.

A target is in at most one of four places::

    due      sorted by time              waits for its moment
    reviews  sorted by time              waits for the decision whether it is worth a refresh
    queues   two for each task           is ready, scheduled or on demand, and waits for a worker
    claims   sorted by deadline          a worker computes it

and moves between them only inside a script, so that a crash between two commands cannot lose it:

    register, reschedule        -> due (or ready, while warming is on)
    request                     -> ready     it was requested on demand
    tick, claim     due         -> ready     its moment has come
    claim           ready       -> claims    with an owner token
    complete        claims      -> due       at the time that the policy gives; or nowhere: the value is left to expire
    complete        claims      -> reviews   a target that is refreshed only if its reads are worth it
    decide          reviews     -> ready     a refresh is worth it; or it is reviewed again, or left to expire
    give_back       claims      -> ready     the worker does not know the task, or stops
    lapse           claims      -> ready     its process died
    tick            claims      -> ready     the deadline passed: its worker died

**Fair queues.** Each task has two ready queues: one for scheduled targets, one for targets requested on demand. Tasks
whose targets need the same (a kind of executor, and a slot of the same limit) take turns in one fair queue: strictly
by priority, and round-robin within a priority. A claim looks at the head of each fair queue that it has capacity for,
so its cost depends on what it claims, not on what waits; see lua/includes/fair_queue.lua and turns.lua.

**A claim** is the right to refresh a target; **a lease** is the right to write its entry. Both carry the worker's
token, and both are renewed while the computation runs. A worker that was paused beyond either may finish computing,
but its token no longer matches, so it writes nothing. An invalidation deletes the entry and its lease together, so
that a value computed from older data is not published.

**Time** is the server's: scripts ask Redis for TIME, and no host's clock decides anything.

**Repeats.** A command whose reply was lost may be sent again. Writes are idempotent by token (claim, lease,
leadership), by number (flush), or by nature (register, request, tick).

**Scripts.** The header of each file in lua/ is its contract, and is executed; see scripts.py. Numbers that scripts
and Python share are in constants.py; names of all keys are in keys.py.
"""

from warmer.store.entries import Entries
from warmer.store.records import (
    Capacity,
    Claim,
    ClaimBatch,
    Completed,
    DueKind,
    DueReview,
    DueReviews,
    Hot,
    KeyReads,
    Lease,
    Outcome,
    Quarantined,
    Result,
    ReviewDecision,
    TargetState,
    TargetStates,
    TickReport,
    Timing,
)
from warmer.store.store import Store

__all__ = [
    "Capacity",
    "Claim",
    "ClaimBatch",
    "Completed",
    "DueKind",
    "DueReview",
    "DueReviews",
    "Entries",
    "Hot",
    "KeyReads",
    "Lease",
    "Outcome",
    "Quarantined",
    "Result",
    "ReviewDecision",
    "Store",
    "TargetState",
    "TargetStates",
    "TickReport",
    "Timing",
]
