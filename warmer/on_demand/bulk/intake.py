"""Takes the items out of an iterable, no further ahead than needed."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from warmer.errors import InvalidTaskError, described, redacted
from warmer.on_demand.bulk.items import labelled

MOST_AHEAD = 1_000
"""Items that are read at a time; half as many may be left from the time before."""


class IntakeItems(NamedTuple):
    """One item.

    Args:
        name: Canonical text of its target; of an item without one, where it stands.
        error: Why it has no target; None if it has one.
    """

    name: str
    error: str | None = None


class Intake:
    """Reads an iterable, and finds the target of each item.

    A thread of its own reads, once it is started: an iterable may keep one waiting, and meanwhile outcomes are heard.
    Without it `take` reads.

    Args:
        items: The iterable's iterator.
        ref_of: Finds the canonical text of an item's target, or raises.

    Example:
        >>> intake = Intake(iter([1, 2]), lambda item: f"square{{{item}}}")
        >>> [taken.name for taken in intake.take(5)], intake.is_exhausted
        (['square{1}', 'square{2}'], True)
    """

    def __init__(self, items: Iterator[Any], ref_of: Callable[[Any], str]) -> None:
        """Read nothing yet."""
        self.count = 0
        self.error: BaseException | None = None
        self._items = items
        self._ref_of = ref_of
        self._ahead: deque[IntakeItems] = deque()
        self._changed = threading.Condition()
        self._has_ended = False
        self._is_stopped = False
        self._is_threaded = False

    @property
    def is_exhausted(self) -> bool:
        """Whether all items were taken."""
        return self._has_ended and not self._ahead

    @property
    def has_some(self) -> bool:
        """Whether an item can be taken now."""
        return bool(self._ahead)

    def start(self) -> None:
        """Read in a thread of its own from now on.

        Raises:
            RuntimeError: the interpreter is ending.
        """
        self._is_threaded = True
        threading.Thread(target=self._read_all, name="warmer-bulk-intake", daemon=True).start()

    def take(self, count: int) -> list[IntakeItems]:
        """Take out what there is, at most this many."""
        if not self._is_threaded:
            self._read(count)
        with self._changed:
            taken = [self._ahead.popleft() for _ in range(min(count, len(self._ahead)))]
            self._changed.notify_all()
        return taken

    def wait(self, timeout_s: float) -> None:
        """Wait until there is something to take, or all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._ahead or self._has_ended or self._is_stopped, timeout_s)

    def stop(self) -> None:
        """Read no further, and let go of what was read ahead; an iterable that keeps one waiting is left behind."""
        with self._changed:
            self._is_stopped = True
            self._ahead.clear()
            self._changed.notify_all()

    def _read_all(self) -> None:
        while not self._has_ended:
            self._read(MOST_AHEAD)
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopped or len(self._ahead) <= MOST_AHEAD // 2)

    def _read(self, count: int) -> None:
        try:
            for _ in range(count):
                if self._is_stopped:
                    return self._end()
                self._put(next(self._items))
        except StopIteration:
            self._end()
        except BaseException as error:
            self.error = error
            self._end()
        return None

    def _put(self, item: Any) -> None:
        number = self.count + 1
        try:
            taken = IntakeItems(self._ref_of(item))
        except InvalidTaskError as error:
            taken = IntakeItems(labelled(number, item), redacted(str(error)))
        except Exception as error:
            taken = IntakeItems(labelled(number, item), described(error))
        with self._changed:
            self.count = number
            if not self._is_stopped:
                self._ahead.append(taken)
            self._changed.notify_all()

    def _end(self) -> None:
        self._items = iter(())  # a generator that is left in the middle is closed by this
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
