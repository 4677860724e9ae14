"""Intake of a bulk run: reads items from an iterable, at most 1,000 ahead, and finds their targets."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from warmer.errors import InvalidTaskError, described, redacted
from warmer.on_demand.bulk.items import labelled

MAX_AHEAD = 1_000
"""Items that are read at a time; up to half as many may be left from the last time."""


class IntakeItems(NamedTuple):
    """One item.

    Args:
        name: Canonical text of its target; for an item without a target its number, as in "item 3".
        error: The reason why it has no target; None if it has one.
    """

    name: str
    error: str | None = None


class Intake:
    """Reads an iterable, and finds the target of each item.

    After `start` a thread of its own reads, because an iterable may block while outcomes come in. Without `start`,
    `take` reads.

    Args:
        items: The iterable's iterator.
        ref_of: Returns the canonical text of an item's target, or raises.

    Example:
        >>> intake = Intake(iter([1, 2]), lambda item: f"square{{{item}}}")
        >>> [taken.name for taken in intake.take(5)], intake.is_exhausted
        (['square{1}', 'square{2}'], True)
    """

    def __init__(self, items: Iterator[Any], ref_of: Callable[[Any], str]) -> None:
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
        """Start a thread that reads.

        Raises:
            RuntimeError: the interpreter is ending.
        """
        self._is_threaded = True
        threading.Thread(target=self._read_all, name="warmer-bulk-intake", daemon=True).start()

    def take(self, count: int) -> list[IntakeItems]:
        """Return the items that can be taken now, at most this many."""
        if not self._is_threaded:
            self._read(count)
        with self._changed:
            taken = [self._ahead.popleft() for _ in range(min(count, len(self._ahead)))]
            self._changed.notify_all()
        return taken

    def wait(self, timeout_s: float) -> None:
        """Wait until an item can be taken, or all items were read."""
        with self._changed:
            self._changed.wait_for(lambda: self._ahead or self._has_ended or self._is_stopped, timeout_s)

    def stop(self) -> None:
        """Stop reading, and drop the items that were read ahead; an iterable that blocks is abandoned."""
        with self._changed:
            self._is_stopped = True
            self._ahead.clear()
            self._changed.notify_all()

    def _read_all(self) -> None:
        while not self._has_ended:
            self._read(MAX_AHEAD)
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopped or len(self._ahead) <= MAX_AHEAD // 2)

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
        self._items = iter(())  # this closes a generator that was not read to its end
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
