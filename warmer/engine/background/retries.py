"""Retries of small writes that failed during an outage: an invalidation, a published failure, a released lease."""

from collections import deque
from collections.abc import Callable

from redis.exceptions import RedisError

from warmer.fork import ForkSafe

MAX_ACTIONS = 1_000
"""Beyond it the oldest are dropped."""


class Retries(ForkSafe):
    """Actions that are retried at each tick until Redis answers."""

    def _reset_after_fork(self) -> None:
        self._actions: deque[Callable[[], object]] = deque(maxlen=MAX_ACTIONS)

    def add(self, action: Callable[[], object]) -> None:
        """Queue an action, which may raise `redis.RedisError`, and must be safe to run twice."""
        self._actions.append(action)

    def run(self) -> None:
        """Run each action once; after a failure the others wait for the next tick."""
        for _ in range(len(self._actions)):
            action = self._actions.popleft()
            try:
                action()
            except RedisError:
                self._actions.append(action)
                return
