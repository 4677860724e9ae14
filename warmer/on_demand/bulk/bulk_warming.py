"""What `warm_many` gives back: how far it is, and something to wait on."""

import asyncio
import concurrent.futures
from collections.abc import Generator
from typing import Any

from warmer.errors import WaitTimeoutError
from warmer.on_demand.bulk.feeder import Feeder
from warmer.results import BulkOutcome


class BulkWarming:
    """Many targets that workers are being asked to warm.

    It may be looked at, be waited for (by threads with `wait`, beside an event loop with ``await handle`` or `within`)
    and be cancelled, from any thread and any number of times; or be dropped: then the warming goes on.

    Args:
        task_id: Their task.
        feeder: Asks for them.

    Example:
        >>> from warmer import start_cache_warming, stop_cache_warming, warmed
        >>> @warmed("eightfold:{n}", ttl=60)
        ... def eightfold(n: int) -> int:
        ...     return 8 * n
        >>> start_cache_warming()
        >>> handle = eightfold.warm_many(n for n in range(100))
        >>> handle.wait(timeout_s=30).warmed, handle.done, handle.failed
        (100, 100, 0)
        >>> eightfold.get(7)
        56
        >>> stop_cache_warming()
    """

    def __init__(self, task_id: str, feeder: Feeder) -> None:
        """Look at a run."""
        self.task_id = task_id
        self._feeder = feeder

    def __repr__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        state = "cancelled" if self.is_cancelled else "done" if self.is_done else "running"
        return f"<BulkWarming of {self.task_id}: {self.done}{of}, {self.failed} failed, {state}>"

    def __await__(self) -> Generator[Any, None, BulkOutcome]:
        """Wait beside an event loop until all has ended."""
        return self.within(None).__await__()

    # --- how far it is ---------------------------------------------------------------------------------------
    @property
    def total(self) -> int | None:
        """Items in all; None while that is not known: the iterable has no length, and has not ended yet."""
        return self._feeder.progress.total

    @property
    def asked(self) -> int:
        """Items that workers were asked for so far."""
        return self._feeder.progress.asked

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
        """Items that could not be computed, or fitted no target."""
        return self._feeder.progress.failed

    @property
    def done(self) -> int:
        """Items that have ended: warmed, fresh or failed."""
        return self._feeder.progress.done

    @property
    def outstanding(self) -> int:
        """Items that were taken out of the iterable, and have not ended yet: never more than `in_flight`."""
        return self._feeder.progress.outstanding

    @property
    def errors(self) -> dict[str, str]:
        """The first 100 failures: canonical text of the target, or where the item stands -> what went wrong."""
        return self._feeder.progress.errors

    @property
    def rate_per_s(self) -> float:
        """Items per second that have ended: in the latest 10 seconds while it runs, in all its time afterwards."""
        return self._feeder.progress.per_s(self._feeder.clock.monotonic_s())

    @property
    def eta_s(self) -> float | None:
        """Seconds that the rest takes at this rate; None if that cannot be known."""
        return self._feeder.progress.eta_s(self._feeder.clock.monotonic_s())

    @property
    def is_done(self) -> bool:
        """Whether all has ended, be it because it was cancelled."""
        return self._feeder.ended.done()

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled; what had been begun by then may still go on."""
        return self._feeder.is_cancelled

    @property
    def so_far(self) -> BulkOutcome:
        """How it stands now."""
        return self._feeder.progress.outcome(self._feeder.clock.monotonic_s())

    # --- waiting ---------------------------------------------------------------------------------------------
    def wait(self, timeout_s: float | None = None) -> BulkOutcome:
        """Wait until all has ended.

        Args:
            timeout_s: How long to wait at most; None waits as long as it takes.

        Returns:
            How it went; computations that failed are counted, not raised.

        Raises:
            WaitTimeoutError: it goes on; it may be waited for again, or be cancelled.
            WarmerError: the `Warmer` was closed before, or this is a fork of the process that does it.
            Exception: what the iterable raised, once all has ended that was asked for before.
        """
        concurrent.futures.wait([self._feeder.ended], timeout_s)
        return self._outcome(timeout_s)

    async def within(self, timeout_s: float | None) -> BulkOutcome:
        """As `wait`, beside an event loop."""
        ended = asyncio.wrap_future(self._feeder.ended)
        try:
            await asyncio.wait([ended], timeout=timeout_s)
        finally:
            if not ended.cancel():  # of this waiter alone: the run itself goes on
                ended.exception()  # or asyncio would complain that nobody has asked for it
        return self._outcome(timeout_s)

    def cancel(self) -> None:
        """Ask for no more, and take back what nobody has begun; what has been begun is finished, and counted."""
        self._feeder.cancel()

    def _outcome(self, timeout_s: float | None) -> BulkOutcome:
        ended = self._feeder.ended
        if ended.done():
            return ended.result()
        of = "" if self.total is None else f" of {self.total}"
        raise WaitTimeoutError(
            f"{self.done}{of} targets of {self.task_id!r} have ended within {timeout_s or 0:g} s, {self.outstanding} "
            "are outstanding; it goes on: wait again, or cancel it. If nothing ends, is a worker alive that knows the "
            "task? `warmer stats` shows it"
        )
