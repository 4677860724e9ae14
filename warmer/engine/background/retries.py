"""Retries of small actions that Redis did not take: an invalidation, a published failure, a released lease."""

from collections import deque
from collections.abc import Callable

from redis.exceptions import RedisError

from warmer.fork import ForkSafe

MAX_ACTIONS = 1_000
"""The oldest are dropped beyond it."""


class Retries(ForkSafe):
    """Actions that are tried again at each tick until Redis takes them.

    Example:
        >>> retries, done = Retries(), []
        >>> retries.add(lambda: done.append("released"))
        >>> retries.run()
        >>> done
        ['released']
    """

    def _reset_after_fork(self) -> None:
        self._actions: deque[Callable[[], object]] = deque(maxlen=MAX_ACTIONS)

    def add(self, action: Callable[[], object]) -> None:
        """Have an action tried at the next tick, and at each later one until Redis takes it.

        Args:
            action: May raise `redis.RedisError`; it may be run twice.
        """
        self._actions.append(action)

    def run(self) -> None:
        """Try each action once; after one that fails, the others wait for the next tick."""
        for _ in range(len(self._actions)):
            action = self._actions.popleft()
            try:
                action()
            except RedisError:
                self._actions.append(action)
                return
