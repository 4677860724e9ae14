"""The bulk runs of this process: started, and ended when the `Warmer` is closed."""

import threading
from collections.abc import Callable, Iterable, Sized
from typing import Any

from warmer.on_demand.bulk.bulk_warming import BulkWarming
from warmer.on_demand.bulk.feeder import Feeder
from warmer.on_demand.bulk.intake import Intake
from warmer.on_demand.bulk.items import check_in_flight, check_items, refs_of
from warmer.on_demand.bulk.watched_requests import WatchedRequests
from warmer.on_demand.warming import rejection
from warmer.settings import Settings
from warmer.store import Store
from warmer.tasks.registry import Registry
from warmer.tasks.task import WarmingTask

CLOSE_LIMIT_S = 5.0


class BulkRuns:
    """Begins runs, and ends those that still go on when the `Warmer` is closed.

    Args:
        store: Where targets are.
        registry: The tasks that this process knows.
        settings: How many targets may wait at once.
        hint: Asks for a drain now.
    """

    def __init__(self, store: Store, registry: Registry, settings: Settings, hint: Callable[[], None]) -> None:
        """Start with none."""
        self._store = store
        self._registry = registry
        self._settings = settings
        self._hint = hint
        self._running: dict[Feeder, threading.Thread] = {}

    def task_of(self, task: str | WarmingTask) -> WarmingTask:
        """Return the task, which any process may have registered.

        Raises:
            UnknownTaskError: it is not registered, or it is disabled.
            redis.RedisError: Redis did not answer.
        """
        task_id = task.task_id if isinstance(task, WarmingTask) else task
        (definition,) = self._store.tasks.definitions_of([task_id])
        if definition is None or not definition["enabled"]:
            answer = "unknown" if definition is None else "disabled"
            raise rejection(task_id, answer, self._settings.backlog_capacity)
        if isinstance(task, WarmingTask):
            return task
        return self._registry.get(task_id) or WarmingTask.from_definition(definition)

    def begin(self, task: WarmingTask, arguments: Iterable[Any], force: bool, in_flight: int) -> BulkWarming:
        """Begin to ask for the targets of a task.

        Args:
            task: The task.
            arguments: For each target a mapping of arguments, a tuple of them, or a single one.
            force: Whether to compute even what is fresh.
            in_flight: How many may be outstanding.

        Raises:
            InvalidTaskError: there is no iterable of arguments, or nothing may be outstanding.
            RuntimeError: the interpreter is ending.
        """
        items = check_items(arguments)
        feeder = Feeder(
            WatchedRequests(self._store, self._hint),
            Intake(iter(items), refs_of(task)),
            len(items) if isinstance(items, Sized) else None,
            force=force,
            in_flight=check_in_flight(in_flight),
            capacity=self._settings.backlog_capacity,
            clock=self._store.clock,
        )
        self.launch(feeder)
        return BulkWarming(task.task_id, feeder)

    def close(self) -> None:
        """End the runs that still go on; targets that they requested are still warmed."""
        running = dict(self._running)
        for feeder in running:
            feeder.close()
        for thread in running.values():
            thread.join(CLOSE_LIMIT_S)

    def launch(self, feeder: Feeder) -> None:
        """Have a run go on by itself.

        Raises:
            RuntimeError: the interpreter is ending.
        """
        thread = threading.Thread(target=self._carry_out, args=[feeder], name="warmer-bulk", daemon=True)
        self._running[feeder] = thread
        thread.start()

    def _carry_out(self, feeder: Feeder) -> None:
        try:
            feeder.run()
        finally:
            self._running.pop(feeder, None)
