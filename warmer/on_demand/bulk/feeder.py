"""Feeder of a bulk run: requests targets while few enough are outstanding, and counts their outcomes."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from warmer import fork
from warmer.clock import Clock
from warmer.errors import WarmerError
from warmer.on_demand.bulk.intake import Intake, IntakeItems
from warmer.on_demand.bulk.progress import Progress
from warmer.on_demand.bulk.watched_requests import WatchedRequests
from warmer.on_demand.warming import rejection
from warmer.outage import Outage
from warmer.results import BulkOutcome
from warmer.store.chunks import CHUNK, chunks
from warmer.tasks.target import parse_ref

logger = logging.getLogger("warmer.on_demand")

MAX_WAIT_S = 0.1
"""The longest wait for outcomes, or for items, before it looks at the other."""

GATHER_TIME_S = 0.01
"""Time for outcomes to gather, so that one command brings many."""

RETRY_INTERVAL_S = 0.25
"""Wait before a request is sent again: the backlog was full, Redis was away, or the task is not known yet."""

HINT_INTERVAL_S = 1.0
CHECK_INTERVAL_S = 5.0

OVERDUE_S = 60.0
"""A target without an outcome for this long is requested again; that changes nothing if its request stands."""

MAX_UNKNOWN_S = 10.0
"""A task may be unknown for this long: after Redis was emptied it is registered again soon."""

MAX_REMEMBERED = 100_000
"""Targets whose forced computation is remembered, so that an equal item is not computed again."""

FORKED = "this process is a fork of the one that warms these targets; wait for them there"
CLOSED = "the Warmer was closed before these targets were warmed; those that were requested are still warmed"


@dataclass(slots=True)
class Outstanding:
    """A target that was read from the iterable, and has not ended.

    Args:
        items: The number of items that stand for it.
        requested_at_s: The time of its latest request, in seconds on a monotonic clock; None before the first.
    """

    items: int
    requested_at_s: float | None = None


class Feeder:
    """One run of `warm_many`.

    Args:
        requests: Sends requests, and returns outcomes.
        intake: Reads the items.
        total: The number of items; None if that is not known.
        force: Whether to compute even if the present value is fresh.
        in_flight: How many items may be outstanding.
        capacity: How many targets may wait for a worker in Redis, from all callers.
        clock: Measures the time.
    """

    def __init__(
        self,
        requests: WatchedRequests,
        intake: Intake,
        total: int | None,
        *,
        force: bool,
        in_flight: int,
        capacity: int,
        clock: Clock,
    ) -> None:
        self.progress = Progress(total, clock.monotonic_s())
        self.clock = clock
        self.is_cancelled = False
        self.ended: Future[BulkOutcome] = Future()
        self.ended.set_running_or_notify_cancel()  # so that no waiter can cancel it for the others
        self._requests = requests
        self._intake = intake
        self._force = force
        self._in_flight = in_flight
        self._capacity = capacity
        self._outstanding: dict[str, Outstanding] = {}
        self._unsent: dict[str, None] = {}
        self._remembered: OrderedDict[str, tuple[str, str | None]] = OrderedDict()
        self._epoch: str | None = None
        self._unknown_since_s: float | None = None
        self._request_from_s = self._hint_from_s = float("-inf")
        self._check_at_s = clock.monotonic_s() + CHECK_INTERVAL_S
        self._has_withdrawn = False
        self._is_closed = False
        self._outage = Outage(
            logger, "Redis is away or refuses (%s); warming goes on when it is back", recovered="Redis is back"
        )
        self._wake = threading.Event()
        self._fork_hook = fork.in_child(self._give_up_in_child)

    def run(self) -> None:
        """Go on until all items have ended; a failure of Redis does not end the run."""
        try:
            self._intake.start()
            while not self.ended.done() and not self._is_closed:
                self._attempt()
        except BaseException as error:
            logger.exception("warming many targets ended by a failure")
            self._fail(error)
        if not self.ended.done():
            self._fail(WarmerError(CLOSED))
        self._intake.stop()

    def catch_up(self) -> bool:
        """Do all that can be done without waiting; returns whether anything was done.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        before = self._state()
        while not self.ended.done():
            earlier = self._state()
            self.advance(0.0)
            if self._state() == earlier:
                break
        return self._state() != before

    def cancel(self) -> None:
        """Request nothing more, and withdraw the targets that no worker has begun."""
        if self.ended.done():
            return
        self.is_cancelled = True
        self._intake.stop()
        self._wake.set()

    def close(self) -> None:
        """End at once; waiters get an error."""
        if self.ended.done():  # in a forked child it has, and locks may be held forever
            return
        self._is_closed = True
        self._intake.stop()
        self._wake.set()

    def advance(self, wait_s: float) -> None:
        """Do what can be done now, then wait up to this time for outcomes or items.

        Raises:
            redis.RedisError: Redis did not answer; it can be tried again.
        """
        if self.is_cancelled:
            self._withdraw_once()
        else:
            self._take_items()
            self._request_unsent()
        if self._outstanding:
            self._collect(0.0 if self._could_request() else wait_s)
            self._check()
        elif not self.is_cancelled and not self._intake.is_exhausted and wait_s:
            self._intake.wait(wait_s)
        self.progress.pass_to(self.clock.monotonic_s())
        self._end_if_all_has()

    # --- items and requests ----------------------------------------------------------------------------------
    def _room(self) -> int:
        """Return how many items may be taken; 0 instead of a few, to save round trips."""
        room = self._in_flight - self.progress.outstanding
        return 0 if self._outstanding and room < min(CHUNK, self._in_flight // 2) else room

    def _could_request(self) -> bool:
        return not self.is_cancelled and not self._unsent and self._intake.has_some and self._room() > 0

    def _take_items(self) -> None:
        if not self._unsent:
            for item in self._intake.take(min(self._room(), CHUNK)):
                self._take(item)

    def _take(self, item: IntakeItems) -> None:
        if item.error is not None:
            self.progress.end("failed", 1, item.name, item.error)
        elif item.name in self._remembered:
            result, error = self._remembered[item.name]
            self.progress.requested += 1
            self.progress.end(result, 1, item.name, error)
        else:
            self._add(item.name)

    def _add(self, ref: str) -> None:
        self.progress.outstanding += 1
        known = self._outstanding.get(ref)
        if known is None:
            self._outstanding[ref] = Outstanding(1)
            self._unsent[ref] = None
            return
        known.items += 1
        if known.requested_at_s is not None:
            self.progress.requested += 1

    def _request_unsent(self) -> None:
        now_s = self.clock.monotonic_s()
        if not self._unsent or now_s < self._request_from_s:
            return
        self._epoch = self._epoch or self._requests.epoch()
        was_idle = len(self._unsent) == len(self._outstanding)
        for refs in chunks(list(self._unsent)):
            if not self._request(refs, self._force, now_s):
                self._request_from_s = now_s + RETRY_INTERVAL_S
                break
        if was_idle or now_s >= self._hint_from_s:
            self._requests.hint()
            self._hint_from_s = now_s + HINT_INTERVAL_S

    def _request(self, refs: Sequence[str], force: bool, now_s: float) -> bool:
        """Request a chunk; returns False if some stay unsent, because the backlog is full or the task is not known."""
        answers = self._requests.submit(refs, force)
        self._note_unknown("unknown" in answers, now_s)
        for ref, answer in zip(refs, answers, strict=True):
            if answer == "asked":
                self._note_requested(ref, now_s)
            elif answer == "full" or (answer == "unknown" and not self._is_long_unknown(now_s)):
                self._unsent[ref] = None
            else:
                self._end(ref, "failed", str(rejection(parse_ref(ref)[0], answer, self._capacity)))
        return not any(ref in self._unsent for ref in refs)

    def _note_requested(self, ref: str, now_s: float) -> None:
        self._unsent.pop(ref, None)
        one = self._outstanding[ref]
        if one.requested_at_s is None:
            self.progress.requested += one.items
        one.requested_at_s = now_s

    def _note_unknown(self, is_unknown: bool, now_s: float) -> None:
        if not is_unknown:
            self._unknown_since_s = None
        elif self._unknown_since_s is None:
            self._unknown_since_s = now_s

    def _is_long_unknown(self, now_s: float) -> bool:
        return self._unknown_since_s is not None and now_s - self._unknown_since_s >= MAX_UNKNOWN_S

    # --- outcomes --------------------------------------------------------------------------------------------
    def _collect(self, wait_s: float) -> None:
        collected = self._collect_some(wait_s)
        while collected == CHUNK:
            collected = self._collect_some(0.0)
        if 0 < collected < CHUNK // 4 and wait_s and self._outstanding:
            self._pause(min(GATHER_TIME_S, wait_s))

    def _collect_some(self, wait_s: float) -> int:
        reported = self._requests.next_outcomes(CHUNK, wait_s)
        for outcome in reported:
            self._end(outcome["ref"], outcome["result"], outcome["error"])
        return len(reported)

    def _end(self, ref: str, result: str, error: str | None) -> None:
        ended = self._remove(ref)
        if ended is None:
            return  # reported twice
        if ended.requested_at_s is None:
            self.progress.requested += ended.items
        self.progress.end(result, ended.items, ref, error)
        if self._force:
            self._remember(ref, result, error)

    def _remove(self, ref: str) -> Outstanding | None:
        self._unsent.pop(ref, None)
        one = self._outstanding.pop(ref, None)
        if one is not None:
            self.progress.outstanding -= one.items
        return one

    def _remember(self, ref: str, result: str, error: str | None) -> None:
        self._remembered[ref] = result, error
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    # --- losses ----------------------------------------------------------------------------------------------
    def _check(self) -> None:
        """Make sure that outstanding targets end, even if requests or outcomes were lost."""
        now_s = self.clock.monotonic_s()
        if now_s < self._check_at_s:
            return
        if self.is_cancelled:
            self._withdraw()
        elif self._was_emptied():
            logger.warning("Redis was emptied: requesting %d targets again", len(self._outstanding))
            self._unsent.update(dict.fromkeys(self._outstanding))
        else:
            self._request_overdue(now_s)
        self._check_at_s = now_s + CHECK_INTERVAL_S

    def _was_emptied(self) -> bool:
        """Return whether Redis was emptied and tasks are registered again: before that, requests are not accepted."""
        epoch = self._requests.epoch()
        if epoch is None or epoch == self._epoch:
            return False
        self._epoch = epoch
        return True

    def _request_overdue(self, now_s: float) -> None:
        """Request overdue targets without force, so that a value is not computed twice because its outcome was lost."""
        overdue = [
            ref
            for ref, one in self._outstanding.items()
            if one.requested_at_s is not None and now_s - one.requested_at_s >= OVERDUE_S and ref not in self._unsent
        ]
        for refs in chunks(overdue):
            self._request(refs, False, now_s)

    # --- the end ---------------------------------------------------------------------------------------------
    def _withdraw_once(self) -> None:
        if not self._has_withdrawn:
            self._withdraw()
            self._has_withdrawn = True

    def _withdraw(self) -> None:
        """Withdraw the targets that no worker has begun, and drop those that have neither ended nor begun."""
        begun: set[str] = set()
        for refs in chunks(list(self._outstanding)):
            begun |= self._requests.withdraw(refs)
        while self._collect_some(0.0):
            pass
        for ref in [ref for ref in self._outstanding if ref in self._unsent or ref not in begun]:
            self._remove(ref)

    def _end_if_all_has(self) -> None:
        is_over = self._has_withdrawn if self.is_cancelled else self._intake.is_exhausted
        if self._outstanding or not is_over or self.ended.done():
            return
        progress, now_s = self.progress, self.clock.monotonic_s()
        if self._intake.is_exhausted and self._intake.error is None and not self.is_cancelled:
            progress.total = self._intake.count
        if self.is_cancelled:
            of = self._intake.count if progress.total is None else progress.total
            progress.cancelled = max(of - progress.done, 0)
        progress.stop(now_s)
        if self._intake.error is None:
            self.ended.set_result(progress.outcome(now_s))
        else:
            self.ended.set_exception(self._intake.error)

    def _fail(self, error: BaseException) -> None:
        self.progress.stop(self.clock.monotonic_s())
        self.ended.set_exception(error)

    def _give_up_in_child(self) -> None:
        if not self.ended.done():
            self.ended = Future()
            self._fail(WarmerError(FORKED))

    # --- outages ---------------------------------------------------------------------------------------------
    def _attempt(self) -> None:
        """Advance; a step that fails because of Redis is done again later."""
        try:
            self.advance(MAX_WAIT_S)
        except RedisError as error:
            self._outage.begin(error)
            self._pause(RETRY_INTERVAL_S)
            return
        self._outage.end()

    def _pause(self, seconds: float) -> None:
        """Wait, or until the run is cancelled or closed."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _state(self) -> tuple[Any, ...]:
        progress = self.progress
        return self._intake.count, len(self._unsent), progress.requested, progress.done, progress.outstanding
