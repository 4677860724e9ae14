"""Handle of many targets that workers are requested to warm: progress, to wait for, or to cancel."""

import asyncio
import concurrent.futures
from collections.abc import Generator
from typing import Any

from warmer.errors import WaitTimeoutError
from warmer.on_demand.bulk.feeder import Feeder
from warmer.results import BulkOutcome


class BulkWarming:
    """Many targets that workers are being requested to warm; the handle that `Warmer.warm_many` returns.

    It has the methods of `Warming`, and shows the progress.

    Args:
        task_id: The id of their task.
        feeder: Asks for them.

    Example:
        >>> from warmer import start_cache_warming, stop_cache_warming, warmed
        >>> @warmed("eightfold:{n}", ttl=60)
        ... def eightfold(n: int) -> int:
        ...     return 8 * n
        >>> start_cache_warming()
        >>> warming = eightfold.warm_many(n for n in range(100))
        >>> warming.wait(timeout_s=30).warmed, warming.done, warming.failed
        (100, 100, 0)
        >>> eightfold.get(7)
        56
        >>> stop_cache_warming()
    """

    def __init__(self, task_id: str, feeder: Feeder) -> None:
        self.task_id = task_id
        self._feeder = feeder

    def __repr__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        state = "cancelled" if self.is_cancelled else "done" if self.is_done else "running"
        return f"<BulkWarming of {self.task_id}: {self.done}{of}, {self.failed} failed, {state}>"

    def __await__(self) -> Generator[Any, None, BulkOutcome]:
        """Wait as a coroutine until all has ended."""
        return self.within(None).__await__()

    # --- progress --------------------------------------------------------------------------------------------
    @property
    def total(self) -> int | None:
        """Items in all; None while that is not known: the iterable has no length, and has not ended yet."""
        return self._feeder.progress.total

    @property
    def requested(self) -> int:
        """Items that were requested from workers so far."""
        return self._feeder.progress.requested

    @property
    def warmed(self) -> int:
        """Items whose value was computed and published."""
        return self._feeder.progress.warmed

    @property
    def fresh(self) -> int:
        """Items whose value was fresh already."""
        return self._feeder.progress.fresh

    @property
    def failed(self) -> int:
        """Items whose computation failed, or that fit no target."""
        return self._feeder.progress.failed

    @property
    def done(self) -> int:
        """Items that have ended: warmed, fresh or failed."""
        return self._feeder.progress.done

    @property
    def outstanding(self) -> int:
        """Items that were read from the iterable, and have not ended yet: at most `in_flight`."""
        return self._feeder.progress.outstanding

    @property
    def errors(self) -> dict[str, str]:
        """The first 100 failures: canonical text of the target, or number of the item -> error."""
        return self._feeder.progress.errors

    @property
    def rate_per_s(self) -> float:
        """Items per second that have ended: over the latest 10 seconds while it runs, then over its whole time."""
        return self._feeder.progress.per_s(self._feeder.clock.monotonic_s())

    @property
    def eta_s(self) -> float | None:
        """Seconds that the rest takes at this rate; None if that is not known."""
        return self._feeder.progress.eta_s(self._feeder.clock.monotonic_s())

    @property
    def outcome(self) -> BulkOutcome | None:
        """The outcome; None until all has ended, and if the run itself failed."""
        ended = self._feeder.ended
        return ended.result() if ended.done() and ended.exception() is None else None

    @property
    def is_done(self) -> bool:
        """Whether all has ended, or was cancelled."""
        return self._feeder.ended.done()

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled; computations that had begun by then may still go on."""
        return self._feeder.is_cancelled

    @property
    def so_far(self) -> BulkOutcome:
        """The counts so far."""
        return self._feeder.progress.outcome(self._feeder.clock.monotonic_s())

    # --- waiting ---------------------------------------------------------------------------------------------
    def wait(self, timeout_s: float | None = None) -> BulkOutcome:
        """Wait until all has ended.

        Args:
            timeout_s: The longest time to wait, in seconds; None waits as long as it takes.

        Returns:
            The outcome; computations that failed are counted, not raised.

        Raises:
            WaitTimeoutError: it goes on; it may be waited for again, or be cancelled.
            WarmerError: the `Warmer` was closed before, or this is a forked child of the process that runs it.
            Exception: what the iterable raised, after all targets have ended that it had yielded before.
        """
        concurrent.futures.wait([self._feeder.ended], timeout_s)
        return self._result(timeout_s)

    async def within(self, timeout_s: float | None) -> BulkOutcome:
        """As `wait`, for coroutines."""
        ended = asyncio.wrap_future(self._feeder.ended)
        try:
            await asyncio.wait([ended], timeout=timeout_s)
        finally:
            if not ended.cancel():  # cancels this waiter only: the run goes on
                ended.exception()  # or asyncio would log that it was never retrieved
        return self._result(timeout_s)

    def cancel(self) -> None:
        """Request no more, and withdraw the targets that no worker has begun; the others are finished and counted."""
        self._feeder.cancel()

    def _result(self, timeout_s: float | None) -> BulkOutcome:
        ended = self._feeder.ended
        if ended.done():
            return ended.result()
        of = "" if self.total is None else f" of {self.total}"
        raise WaitTimeoutError(
            f"{self.done}{of} targets of {self.task_id!r} have ended within {timeout_s or 0:g} s, {self.outstanding} "
            "are outstanding; it goes on: wait again, or cancel it. If nothing ends, is a worker alive that knows the "
            "task? `warmer stats` shows it"
        )
