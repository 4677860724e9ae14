"""Registry of the fleet's tasks: their definitions, and indexes over them."""

from collections.abc import Iterable, Sequence
from secrets import token_hex
from typing import Any

import orjson

from warmer.store.control.operations import ControlOperations
from warmer.store.task_spec import task_spec_text
from warmer.tasks.task import WarmingTask


class RegisteredTasks(ControlOperations):
    """The tasks that are registered in the namespace."""

    def register(self, task: WarmingTask, replace: bool) -> tuple[str, str, str]:
        """Register a task, or its changed definition.

        Args:
            task: The task.
            replace: Whether to unregister another task that owns the same cache key.

        Returns:
            "registered", "changed", "unchanged" or "conflict"; the id of the task it conflicts with, or ""; the epoch.
        """
        status, other, epoch = self._scripts.run(
            "register",
            task.task_id,
            task.definition(),
            task_spec_text(task),
            int(replace),
            token_hex(8),
        )
        return status.decode(), other.decode(), epoch.decode()

    def unregister(self, task_id: str) -> bool:
        """Unregister a task; returns False when it was not registered."""
        return bool(self._scripts.run("unregister", task_id))

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Return all definitions by task id."""
        found = self._client.hgetall(self._keys.definitions)
        return {task_id.decode(): orjson.loads(text) for task_id, text in found.items()}

    def definitions_of(self, task_ids: Sequence[str]) -> list[dict[str, Any] | None]:
        """Return the definitions of these tasks, in order; None for a task that is not registered."""
        if not task_ids:
            return []
        found = self._client.hmget(self._keys.definitions, list(task_ids))
        return [orjson.loads(text) if text else None for text in found]

    def critical_ids(self) -> list[str]:
        """Return the ids of enabled critical tasks without arguments, the highest priority first."""
        critical = self._client.smembers(self._keys.critical)
        ordered = self._client.zrevrange(self._keys.tasks, 0, -1)
        return [task_id.decode() for task_id in ordered if task_id in critical]

    def scoped_ids(self, fields: Iterable[str]) -> list[str]:
        """Return the ids of enabled tasks whose key template has exactly these fields."""
        return sorted(
            task_id.decode() for task_id in self._client.smembers(self._keys.tasks_by_fields + ",".join(sorted(fields)))
        )

    def specs(self) -> dict[str, str]:
        """Return the spec of each enabled task by its id; `parse_task_spec` reads it."""
        found = self._client.hgetall(self._keys.task_specs)
        return {task_id.decode(): text.decode() for task_id, text in found.items()}
