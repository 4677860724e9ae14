"""The protocol in Redis, in prose; each operation is one Lua script, whose header is its contract.

A target is always in at most one of four places::

    due     sorted by time       waits for its moment
    reviews sorted by time       waits for a decision whether it is worth a refresh
    lanes   one for each task    is ready, and waits for a worker
    claims  sorted by deadline   a worker is on it

and moves between them only inside a script, so a crash between two commands cannot lose it:

    register, reschedule        -> due (or ready, while warming is on)
    request                     -> ready     asked for by hand
    tick, claim     due         -> ready     its moment has come
    claim           ready       -> claims    with an owner token
    complete        claims      -> due       at the time that the policy gives; or nowhere: it lapses
    complete        claims      -> reviews   what is refreshed only as its reads merit
    reviewed        reviews     -> ready     a refresh is worth it; or it is reviewed again, or let go
    give_back       claims      -> ready     the worker does not know the task, or stops
    lapse           claims      -> ready     its process died
    tick            claims      -> ready     the deadline passed: its worker died

**Lanes** take turns in rotas. A rota holds the lanes whose targets need the same: a thread, an event loop or a
process, and a place under the same limit. A claim looks at the head of each rota that it has places for, so its cost
follows what is claimed, not what waits; see lua/includes/lanes.lua.

**A claim** is the right to refresh a target; **a lease** the right to write its entry. Both carry the worker's token,
and both are renewed while the computation lives. A worker that was paused past either may finish computing; its token
no longer matches, so it writes nothing. An invalidation deletes the entry and its lease together, so that a value
computed from older data is not published.

**Time** is the server's: scripts ask Redis TIME, and no host's clock decides anything.

**Repeats**: a command whose reply was lost may be sent again. Writes are idempotent by token (claim, lease,
leadership), by number (flush), or by nature (register, request, tick).
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
