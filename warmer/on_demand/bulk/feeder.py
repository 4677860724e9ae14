"""Asks for targets as there is room for them, and counts how they went."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from secrets import token_hex
from typing import Any

from redis.exceptions import RedisError

from warmer import fork
from warmer.clock import Clock
from warmer.errors import WarmerError
from warmer.on_demand.bulk.intake import Intake, IntakeItems
from warmer.on_demand.bulk.progress import Progress
from warmer.on_demand.handle import WATCH_S
from warmer.on_demand.warming import rejection
from warmer.outage import Outage
from warmer.results import BulkOutcome
from warmer.store import Store
from warmer.tasks.target import parse_ref

CHUNK = 500
"""Targets that one command names: more would keep Redis from others for too long."""


class Requests:
    """Asks for targets, hears how they went, and takes them back.

    Args:
        store: Where.
        hint: Asks for a drain now.
    """

    def __init__(self, store: Store, hint: Callable[[], None]) -> None:
        """Watch nothing yet."""
        self.hint = hint
        self._store = store
        self._watcher = token_hex(16)

    def ask(self, refs: Sequence[str], force: bool) -> list[str]:
        """Ask for targets, at most a chunk; returns for each "asked", "full", "quarantined", "disabled" or "unknown".

        Args:
            refs: Canonical texts of the targets.
            force: Whether to compute even if the present value is fresh.
        """
        return self._store.requests.submit(refs, force=force, watcher=self._watcher, watch_s=WATCH_S)

    def outcomes(self, count: int, timeout_s: float) -> list[dict[str, Any]]:
        """Return what was told since, at most this many; waits for the first so long at most."""
        return self._store.requests.next_outcomes(self._watcher, count, timeout_s)

    def take_back(self, refs: Iterable[str]) -> set[str]:
        """Take back what nobody has begun; returns the refs of what has been begun, which is finished."""
        return set(self._store.requests.withdraw(list(refs), self._watcher))

    def epoch(self) -> str | None:
        """Return the text that changes when Redis is emptied; None while nothing is registered."""
        return self._store.switch.epoch()[0]


logger = logging.getLogger("warmer.on_demand")

LOOK_S = 0.1
"""How long at most it waits for outcomes, or for items, before it looks at the other."""

GATHER_S = 0.01
"""So long it lets outcomes gather that come one by one: each command is to bring many."""

AGAIN_S = 0.25
"""How long it waits before it asks again: there was no room, Redis was away, or the task is not known yet."""

HINT_S = 1.0
REVIEW_S = 5.0

OVERDUE_S = 60.0
"""What was not heard of for so long is asked for again. That changes nothing where it still stands."""

UNKNOWN_S = 10.0
"""So long a task may be unknown: after Redis was emptied it is registered again soon."""

MOST_REMEMBERED = 100_000
"""Targets whose forced computation is remembered, so that an item that comes again is not computed again."""

FORKED = "this process is a fork of the one that warms these targets; wait for them there"
CLOSED = "the Warmer was closed before these targets were warmed; what was asked for is warmed all the same"


@dataclass(slots=True)
class Outstanding:
    """A target that was taken out of the iterable, and has not ended.

    Args:
        items: How many items stand for it.
        asked_at_s: When it was last asked for, on a monotonic clock; None if it was not yet.
    """

    items: int
    asked_at_s: float | None = None


class Feeder:
    """One run of `warm_many`.

    Args:
        requests: Asks Redis.
        intake: Gives the items.
        total: How many there are; None if that is not known.
        force: Whether to compute even what is fresh.
        in_flight: How many items may be outstanding.
        capacity: How many targets may wait in Redis, of all who ask by hand.
        clock: Measures the time.
    """

    def __init__(
        self,
        requests: Requests,
        intake: Intake,
        total: int | None,
        *,
        force: bool,
        in_flight: int,
        capacity: int,
        clock: Clock,
    ) -> None:
        """Ask for nothing yet."""
        self.progress = Progress(total, clock.monotonic_s())
        self.clock = clock
        self.is_cancelled = False
        self.ended: Future[BulkOutcome] = Future()
        self.ended.set_running_or_notify_cancel()  # so that nobody who awaits it can cancel it for the others
        self._requests = requests
        self._intake = intake
        self._force = force
        self._in_flight = in_flight
        self._capacity = capacity
        self._outstanding: dict[str, Outstanding] = {}
        self._unasked: dict[str, None] = {}
        self._remembered: OrderedDict[str, tuple[str, str | None]] = OrderedDict()
        self._epoch: str | None = None
        self._unknown_since_s: float | None = None
        self._ask_from_s = self._hint_from_s = float("-inf")
        self._review_at_s = clock.monotonic_s() + REVIEW_S
        self._has_taken_back = False
        self._is_closed = False
        self._outage = Outage(
            logger, "Redis is away or refuses (%s); warming goes on when it is back", recovered="Redis is back"
        )
        self._wake = threading.Event()
        self._fork_hook = fork.in_child(self._give_up_in_child)

    def run(self) -> None:
        """Go on until all has ended; no failure of Redis ends it."""
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
        """Do all that can be done without waiting; False when that was nothing.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        before = self._standing()
        while not self.ended.done():
            earlier = self._standing()
            self.advance(0.0)
            if self._standing() == earlier:
                break
        return self._standing() != before

    def cancel(self) -> None:
        """Ask for nothing more, and take back what nobody has begun."""
        if self.ended.done():
            return
        self.is_cancelled = True
        self._intake.stop()
        self._wake.set()

    def close(self) -> None:
        """End at once; those who wait are told so."""
        if self.ended.done():  # in a forked child it has, and locks may be held for ever
            return
        self._is_closed = True
        self._intake.stop()
        self._wake.set()

    def advance(self, wait_s: float) -> None:
        """Do what can be done now, then wait so long at most for what comes next.

        Raises:
            redis.RedisError: Redis did not answer; it can be tried again.
        """
        if self.is_cancelled:
            self._take_back_once()
        else:
            self._take_in()
            self._ask()
        if self._outstanding:
            self._hear(0.0 if self._could_ask() else wait_s)
            self._review()
        elif not self.is_cancelled and not self._intake.is_exhausted and wait_s:
            self._intake.wait(wait_s)
        self.progress.pass_to(self.clock.monotonic_s())
        self._end_if_all_has()

    # --- taking in and asking --------------------------------------------------------------------------------
    def _room(self) -> int:
        """Return how many items may be taken in; few at a time would be many round trips."""
        room = self._in_flight - self.progress.outstanding
        return 0 if self._outstanding and room < min(CHUNK, self._in_flight // 2) else room

    def _could_ask(self) -> bool:
        return not self.is_cancelled and not self._unasked and self._intake.has_some and self._room() > 0

    def _take_in(self) -> None:
        if not self._unasked:
            for taken in self._intake.take(min(self._room(), CHUNK)):
                self._take(taken)

    def _take(self, taken: IntakeItems) -> None:
        if taken.error is not None:
            self.progress.end("failed", 1, taken.name, taken.error)
        elif taken.name in self._remembered:
            result, error = self._remembered[taken.name]
            self.progress.asked += 1
            self.progress.end(result, 1, taken.name, error)
        else:
            self._add(taken.name)

    def _add(self, ref: str) -> None:
        self.progress.outstanding += 1
        known = self._outstanding.get(ref)
        if known is None:
            self._outstanding[ref] = Outstanding(1)
            self._unasked[ref] = None
            return
        known.items += 1
        if known.asked_at_s is not None:
            self.progress.asked += 1

    def _ask(self) -> None:
        now_s = self.clock.monotonic_s()
        if not self._unasked or now_s < self._ask_from_s:
            return
        self._epoch = self._epoch or self._requests.epoch()
        was_idle = len(self._unasked) == len(self._outstanding)
        for refs in _chunks(list(self._unasked)):
            if not self._ask_for(refs, self._force, now_s):
                self._ask_from_s = now_s + AGAIN_S
                break
        if was_idle or now_s >= self._hint_from_s:
            self._requests.hint()
            self._hint_from_s = now_s + HINT_S

    def _ask_for(self, refs: Sequence[str], force: bool, now_s: float) -> bool:
        """Ask for a chunk; what there was no room for, or is not known, stays unasked, and the answer is False."""
        answers = self._requests.ask(refs, force)
        self._note_unknown("unknown" in answers, now_s)
        for ref, answer in zip(refs, answers, strict=True):
            if answer == "asked":
                self._was_asked(ref, now_s)
            elif answer == "full" or (answer == "unknown" and not self._is_long_unknown(now_s)):
                self._unasked[ref] = None
            else:
                self._end(ref, "failed", str(rejection(parse_ref(ref)[0], answer, self._capacity)))
        return not any(ref in self._unasked for ref in refs)

    def _was_asked(self, ref: str, now_s: float) -> None:
        self._unasked.pop(ref, None)
        one = self._outstanding[ref]
        if one.asked_at_s is None:
            self.progress.asked += one.items
        one.asked_at_s = now_s

    def _note_unknown(self, is_unknown: bool, now_s: float) -> None:
        if not is_unknown:
            self._unknown_since_s = None
        elif self._unknown_since_s is None:
            self._unknown_since_s = now_s

    def _is_long_unknown(self, now_s: float) -> bool:
        return self._unknown_since_s is not None and now_s - self._unknown_since_s >= UNKNOWN_S

    # --- hearing ---------------------------------------------------------------------------------------------
    def _hear(self, wait_s: float) -> None:
        heard = self._hear_some(wait_s)
        while heard == CHUNK:
            heard = self._hear_some(0.0)
        if 0 < heard < CHUNK // 4 and wait_s and self._outstanding:
            self._pause(min(GATHER_S, wait_s))

    def _hear_some(self, wait_s: float) -> int:
        told = self._requests.outcomes(CHUNK, wait_s)
        for outcome in told:
            self._end(outcome["ref"], outcome["result"], outcome["error"])
        return len(told)

    def _end(self, ref: str, result: str, error: str | None) -> None:
        ended = self._let_go(ref)
        if ended is None:
            return  # told twice
        if ended.asked_at_s is None:
            self.progress.asked += ended.items
        self.progress.end(result, ended.items, ref, error)
        if self._force:
            self._remember(ref, result, error)

    def _let_go(self, ref: str) -> Outstanding | None:
        self._unasked.pop(ref, None)
        one = self._outstanding.pop(ref, None)
        if one is not None:
            self.progress.outstanding -= one.items
        return one

    def _remember(self, ref: str, result: str, error: str | None) -> None:
        self._remembered[ref] = result, error
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    # --- what got lost ---------------------------------------------------------------------------------------
    def _review(self) -> None:
        """See to it that what is outstanding ends, whatever became of requests and outcomes on the way."""
        now_s = self.clock.monotonic_s()
        if now_s < self._review_at_s:
            return
        if self.is_cancelled:
            self._take_back()
        elif self._was_emptied():
            logger.warning("Redis was emptied: asking again for %d targets", len(self._outstanding))
            self._unasked.update(dict.fromkeys(self._outstanding))
        else:
            self._ask_again(now_s)
        self._review_at_s = now_s + REVIEW_S

    def _was_emptied(self) -> bool:
        """Say so only once somebody has registered anything: before that nothing can be asked for."""
        epoch = self._requests.epoch()
        if epoch is None or epoch == self._epoch:
            return False
        self._epoch = epoch
        return True

    def _ask_again(self, now_s: float) -> None:
        """Ask for what is overdue, where any fresh value will do: nothing is computed because its outcome got lost."""
        overdue = [
            ref
            for ref, one in self._outstanding.items()
            if one.asked_at_s is not None and now_s - one.asked_at_s >= OVERDUE_S and ref not in self._unasked
        ]
        for refs in _chunks(overdue):
            self._ask_for(refs, False, now_s)

    # --- the end ---------------------------------------------------------------------------------------------
    def _take_back_once(self) -> None:
        if not self._has_taken_back:
            self._take_back()
            self._has_taken_back = True

    def _take_back(self) -> None:
        """Take back what nobody has begun: all that is neither ended, which is heard first, nor going on."""
        begun: set[str] = set()
        for refs in _chunks(list(self._outstanding)):
            begun |= self._requests.take_back(refs)
        while self._hear_some(0.0):
            pass
        for ref in [ref for ref in self._outstanding if ref in self._unasked or ref not in begun]:
            self._let_go(ref)

    def _end_if_all_has(self) -> None:
        is_over = self._has_taken_back if self.is_cancelled else self._intake.is_exhausted
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

    # --- Redis being away ------------------------------------------------------------------------------------
    def _attempt(self) -> None:
        """Try, and log only the first failure of an outage; what was under way is done again."""
        try:
            self.advance(LOOK_S)
        except RedisError as error:
            self._outage.begin(error)
            self._pause(AGAIN_S)
            return
        self._outage.end()

    def _pause(self, seconds: float) -> None:
        """Wait, unless somebody cancels or closes."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _standing(self) -> tuple[Any, ...]:
        progress = self.progress
        return self._intake.count, len(self._unasked), progress.asked, progress.done, progress.outstanding


def _chunks(refs: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(refs)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
