"""Registers tasks and limits for the whole fleet: at once, once they are declared, and again if Redis was emptied."""

import contextlib
import logging
from collections.abc import Mapping

from redis.exceptions import RedisError

from warmer.errors import InvalidTaskError, TaskConflictError, WarmerError
from warmer.store import Store
from warmer.tasks.limit import Limit
from warmer.tasks.loading import check_importable
from warmer.tasks.registry import Registry
from warmer.tasks.task import WarmingTask

logger = logging.getLogger("warmer")


class Registration:
    """Makes the tasks and limits of this process known to the fleet.

    Args:
        registry: The tasks of this process.
        store: Where definitions are kept.
        limits: The limits that are configured here, by name.
        accepts_local: Whether this process warms by itself, so that only functions that run in other processes need
            to be importable.

    Attributes:
        accepts_local: As above; it may be changed.
        epoch: The epoch of Redis in which this process first registered a task; a later one knows nothing of it.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        limits: Mapping[str, Limit],
        accepts_local: bool,
    ) -> None:
        """Start with nothing registered."""
        self._registry = registry
        self._store = store
        self._limits = {name: limit.to_json() for name, limit in limits.items()}
        self.accepts_local = accepts_local
        self.epoch: str | None = None
        self._refused: dict[str, InvalidTaskError] = {}
        self._has_declared_limits = False

    def register(self, task: WarmingTask, replace: bool) -> str:
        """Register a task now; returns "registered", "changed" or "unchanged".

        Raises:
            NotImportableError: workers, or the isolated processes in which it runs, could not import its function.
            TaskConflictError: another enabled task owns the cache key.
            redis.RedisError: Redis did not answer.
        """
        if task.isolation == "process" or not self.accepts_local:
            check_importable(task)
        return self._write(task, replace)

    def register_known(self) -> None:
        """Declare the limits, the first time, and register what has been declared: a duty of the background thread.

        Raises:
            redis.RedisError: Redis did not answer; what is left is sent the next time.
        """
        if not self._has_declared_limits:
            self._declare_limits()
        self.register_declared()

    def register_declared(self) -> None:
        """Register now what has been declared, and not registered yet.

        Raises:
            redis.RedisError: Redis did not answer; what is left stays declared.
        """
        declared = self._registry.declared
        while declared:
            task = declared[0]
            if self._registry.get(task.task_id) is task:  # else it was replaced since
                self._register_if_possible(task)
            with contextlib.suppress(IndexError, ValueError):  # another thread was as quick
                declared.remove(task)

    def check_registered(self, task_id: str) -> None:
        """Raise what kept a declared task from being registered, if anything did.

        Raises:
            InvalidTaskError: its function cannot be imported by workers, or another task owns its key.
        """
        if task_id in self._refused:
            raise self._refused[task_id].with_traceback(None)  # or it would keep the frames of every caller

    def register_again(self) -> None:
        """Declare the limits and register all tasks of this process, after Redis was emptied.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        self._declare_limits()
        for task in self._registry.tasks():
            self._register_if_possible(task)

    def unregister(self, task_id: str) -> bool:
        """Forget a task, here and for the fleet; False when it was not registered.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        known = self._store.tasks.unregister(task_id)
        self._registry.remove(task_id)
        return known

    def _declare_limits(self) -> None:
        self._store.limits.declare(self._limits)
        self._has_declared_limits = True

    def _register_if_possible(self, task: WarmingTask) -> None:
        try:
            self.register(task, replace=False)
        except InvalidTaskError as error:  # readers still cache its values
            logger.warning("%s is not kept warm: %s", task.task_id, error)
            self._refused[task.task_id] = error
            self._registry.add(task)

    def _write(self, task: WarmingTask, replace: bool) -> str:
        """Know the task first, so that a worker of this process does, too, by the time it can claim it."""
        displaced = self._registry.add(task)
        try:
            status, other, epoch = self._store.tasks.register(task, replace)
            if status == "conflict":
                raise TaskConflictError(
                    f"cache key {task.cache_key!r} of task {task.task_id!r} belongs to the enabled task {other!r}; "
                    f"call unregister_warming_task({other!r}) first, or register with replace=True"
                )
        except (WarmerError, RedisError):
            self._registry.restore(task.task_id, displaced)
            raise
        self._registry.remove(other)  # what was replaced, if anything
        self._refused.pop(task.task_id, None)
        self.epoch = self.epoch or epoch
        return status
