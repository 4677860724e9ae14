"""The tasks that this process knows: its own functions, by task id."""

import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from warmer.tasks.task import WarmingTask

logger = logging.getLogger("warmer")


class Displaced(NamedTuple):
    """Entries of the registry that a new task has replaced.

    Args:
        task: The one that had the same id, if any.
        cache_key: Its plain cache key; "" for a template.
        key_owner: The id of the one that had the same cache key, if any.
    """

    task: WarmingTask | None
    cache_key: str
    key_owner: str | None


class Registry:
    """The tasks that this process registered itself; the only source of code that it runs.

    Example:
        >>> registry = Registry()
        >>> _ = registry.add(WarmingTask(task_id="catalog", cache_key="catalog", compute_fn="shop:load"))
        >>> [task.task_id for task in registry.tasks()]
        ['catalog']

    Attributes:
        declared: The tasks that are declared, and not registered for the fleet yet.
        revision: Changes whenever a task is added or forgotten.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._tasks: dict[str, WarmingTask] = {}
        self._id_by_key: dict[str, str] = {}
        self._resolved: dict[str, tuple[str | bytes, WarmingTask]] = {}
        self.declared: deque[WarmingTask] = deque()
        self.revision = 0

    def declare(self, task: WarmingTask) -> None:
        """Know a task, and keep it in `declared` until it is registered for the fleet; nothing is sent."""
        before = self.get(task.task_id)
        if before is not None and before.cache_key != task.cache_key:
            logger.warning(
                "task %r was declared with the key %r before, and with %r now: only the latter is kept warm; "
                "give one of them a task_id of its own",
                task.task_id,
                before.cache_key,
                task.cache_key,
            )
        self.add(task)
        self.declared.append(task)

    def add(self, task: WarmingTask) -> Displaced:
        """Know a task, in the place of one with the same id; returns what it displaced, for `restore`."""
        with self._lock:
            cache_key = "" if task.fields else task.target().cache_key
            displaced = Displaced(self._tasks.get(task.task_id), cache_key, self._id_by_key.get(cache_key))
            self._forget(task.task_id)
            self._know(task)
            return displaced

    def restore(self, task_id: str, displaced: Displaced) -> None:
        """Forget a task that Redis refused, and know again what it had displaced."""
        with self._lock:
            self._forget(task_id)
            if displaced.task is not None:
                self._know(displaced.task)
            if displaced.key_owner in self._tasks:
                self._id_by_key[displaced.cache_key] = displaced.key_owner

    def remove(self, task_id: str) -> None:
        """Forget a task."""
        with self._lock:
            self._forget(task_id)

    def tasks(self) -> list[WarmingTask]:
        """Return all tasks, in the order in which they were added."""
        with self._lock:
            return list(self._tasks.values())

    def get(self, task_id: str) -> WarmingTask | None:
        """Return the task with this id, if this process knows it."""
        return self._tasks.get(task_id)

    def owner(self, cache_key: str) -> WarmingTask | None:
        """Return the enabled task with this plain cache key, if this process knows it."""
        task_id = self._id_by_key.get(cache_key)
        return None if task_id is None else self._tasks.get(task_id)

    def maker(self, cache_key: str) -> WarmingTask | None:
        """Return the task whose key this is, or whose template alone makes such keys; None if there is none."""
        owner = self.owner(cache_key)
        if owner is not None:
            return owner
        makers = [task for task in self.tasks() if task.template.could_make(cache_key)]
        return makers[0] if len(makers) == 1 else None

    def resolve(self, definition: str | bytes) -> WarmingTask | None:
        """Return the task that a definition from Redis describes, with this process's own functions.

        Everything but the functions is taken from the definition, so that a changed ttl takes effect at once. They are
        only ever those that this process registered, under the same id and the same names.

        Args:
            definition: The definition, as JSON.

        Returns:
            The task; None if this process does not know it.

        Raises:
            InvalidTaskError: the definition is none that this version understands.
        """
        record: dict[str, Any] = orjson.loads(definition)
        task_id = record["task_id"]
        known = self._tasks.get(task_id)
        if known is None or not _names_functions_of(record, known):
            return None
        before = self._resolved.get(task_id)
        if before is not None and before[0] == definition:
            return before[1]
        task = WarmingTask.from_definition(record, known.compute_fn, known.cache_errors, known.compute_many_fn)
        self._resolved[task_id] = (definition, task)
        return task

    def _know(self, task: WarmingTask) -> None:
        self.revision += 1
        self._tasks[task.task_id] = task
        if task.enabled and not task.fields:
            self._id_by_key[task.target().cache_key] = task.task_id

    def _forget(self, task_id: str) -> None:
        self.revision += 1
        self._tasks.pop(task_id, None)
        self._resolved.pop(task_id, None)
        for key in [key for key, owner in self._id_by_key.items() if owner == task_id]:
            del self._id_by_key[key]


def _names_functions_of(record: Mapping[str, Any], task: WarmingTask) -> bool:
    named = record["compute"], record.get("compute_many")
    return named == (task.compute_path, task.compute_many_path)
