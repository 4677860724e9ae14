"""Warmer: the one object that an application holds."""

from collections.abc import Callable
from typing import Any, Unpack, overload

from warmer.client.decorator import Decorator, TaskOptions, warmed_by
from warmer.client.key_access import KeyAccess
from warmer.client.on_demand_access import OnDemandAccess
from warmer.client.runtime_access import redis_required
from warmer.client.warmed_function import Warmed
from warmer.engine import tuning
from warmer.engine.switching import is_forbidden_to_switch_on
from warmer.errors import InvalidTaskError
from warmer.planning import Plan, make_plan
from warmer.results import Optimization, WarmingPerformance, WarmingStats
from warmer.runtime import Runtime
from warmer.stats import fleet_state, ledger
from warmer.tasks.switch import Switch
from warmer.tasks.task import WarmingTask

MAX_INTERVAL_MINUTES = 525_600
"""One year."""


class Warmer(KeyAccess, OnDemandAccess):
    """Declares tasks, reads and writes values, asks for values to be warmed, and shows the fleet.

    Args:
        settings: All settings; from ``WARMER_*`` variables when not given.

    Raises:
        SettingsError: at first use of Redis, if none is configured.

    Example:
        >>> from warmer import Settings
        >>> warmer = Warmer(Settings.load(embedded=True))
        >>> warmer.register(WarmingTask(task_id="answer", cache_key="answer", compute_fn=lambda: 42))
        'registered'
        >>> warmer.close()
    """

    # --- tasks -----------------------------------------------------------------------------------------------
    def register(self, task: WarmingTask, *, replace: bool = False) -> str:
        """Register a task, here and for the whole fleet; registering the same again changes nothing.

        Args:
            task: The task.
            replace: Whether to unregister another enabled task that owns the same cache key.

        Returns:
            "registered", "changed" or "unchanged".

        Raises:
            InvalidTaskError: this is not a task.
            NotImportableError: workers could not import its function, and this process does not warm by itself; or the
                task has ``isolation="process"``, and those processes could not.
            TaskConflictError: another enabled task owns the cache key; nothing was registered.
            StoreUnavailableError: Redis did not answer.
        """
        if not isinstance(task, WarmingTask):
            raise InvalidTaskError(f"expected a WarmingTask, got {type(task).__name__}: {str(task)[:80]}")
        with redis_required():
            status = self._runtime.registration.register(task, replace)
        self._runtime.background.start()
        if status != "unchanged" and task.enabled:
            self._runtime.queue.try_hint()
        return status

    def register_critical(self, task: WarmingTask, *, replace: bool = False) -> str:
        """Register a task as critical: kept warm whatever its reads. Otherwise as `register`."""
        if isinstance(task, WarmingTask):
            task = task.model_copy(update={"critical": True})
        return self.register(task, replace=replace)

    def declare(self, task: WarmingTask) -> None:
        """Make a task known here, and register it at the next use of Redis; this call sends nothing."""
        self._registry.declare(task)

    def unregister(self, task_id: str) -> bool:
        """Forget a task, here and for the whole fleet; its cached values stay until they expire.

        Args:
            task_id: The id of the task.

        Returns:
            False if it was not registered.

        Raises:
            InvalidTaskError: the id is not a str.
            StoreUnavailableError: Redis did not answer.
        """
        if not isinstance(task_id, str):
            raise InvalidTaskError(f"task_id must be a str, got {type(task_id).__name__}")
        with redis_required():
            return self._runtime.registration.unregister(task_id)

    @overload
    def warmed(self, cache_key: WarmingTask, /) -> Warmed[..., Any]: ...

    @overload
    def warmed(self, cache_key: str, **options: Unpack[TaskOptions]) -> Decorator: ...

    def warmed(self, cache_key: str | WarmingTask, **options: Unpack[TaskOptions]) -> Any:
        """Decorate a function, sync or async: its calls read through the cache, and its values are kept warm.

        Nothing is sent while a module is imported: the task is registered at the first use of Redis. Workers know the
        tasks of the default `Warmer`, which `warmer.warmed` declares; tasks of another `Warmer` are cached, and kept
        warm only by a process that has that `Warmer`.

        Args:
            cache_key: The key template, such as ``"product:{product_id}"``; its fields are the function's parameters.
                Or a whole `WarmingTask`: then its function is returned, warmed.
            **options: The other fields of a `WarmingTask`; `task_id` is the function's dotted name unless given.

        Returns:
            A decorator that returns a `Warmed`, or an `AsyncWarmed` for an async function.

        Raises:
            InvalidTaskError: when decorating, if the template, an option or the function cannot be used.
        """

        def declare(task: WarmingTask) -> Warmer:
            self.declare(task)
            return self

        return warmed_by(cache_key, options, declare)

    # --- the fleet -------------------------------------------------------------------------------------------
    def start(
        self,
        interval_minutes: float = 60,
        enable_pattern_warming: bool = True,
        enable_critical_warming: bool = True,
        *,
        embedded: bool | None = None,
    ) -> None:
        """Switch warming on for the whole fleet; any process may call it, any number of times.

        Args:
            interval_minutes: Critical targets are refreshed at least this often, in minutes.
            enable_pattern_warming: Whether other targets are refreshed if their reads make it worth its cost.
            enable_critical_warming: Whether critical targets are kept warm whatever their reads.
            embedded: Whether a scheduler and a worker thread run in this process; as configured unless given.

        Raises:
            InvalidTaskError: the interval is not a number above 0.
            SettingsError: no Redis is configured, and this process is not embedded.
            StoreUnavailableError: Redis did not answer.
        """
        if is_forbidden_to_switch_on():
            return
        switch = Switch(
            on=True,
            interval_s=60.0 * _checked_minutes(interval_minutes),
            pattern=enable_pattern_warming,
            critical=enable_critical_warming,
        )
        if embedded is not None:
            self._embed(embedded)
        with redis_required():
            self._runtime.switching.switch_on(switch)
        self._runtime.queue.try_hint()
        if self._is_embedded:
            self._embedded.start(self._runtime)

    def stop(self) -> None:
        """Switch warming off for the whole fleet; computations that have begun are finished.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        with redis_required():
            self._runtime.switching.switch_off()
        if self._is_embedded:
            self._embedded.stop()

    def release_quarantined(self, name: str) -> list[str]:
        """Release a target, or a task with all its targets, from quarantine; while warming is on it is computed soon.

        A target is put in quarantine when its computation has killed several processes. A new definition of its task
        releases it, too. A target of a quarantined task stays in quarantine until the task is released.

        Args:
            name: The ref of the target or the id of the task, as `stats` shows it.

        Returns:
            The released refs, and the id of the task; empty if nothing with this name was in quarantine.

        Raises:
            InvalidTaskError: the name is not a str.
            StoreUnavailableError: Redis did not answer.
        """
        if not isinstance(name, str):
            raise InvalidTaskError(f"expected a task's id or a target's ref, got {type(name).__name__}")
        with redis_required():
            released = self._runtime.store.quarantine.release(name)
        if released:
            self._runtime.queue.try_hint()
        return released

    def stats(self) -> WarmingStats:
        """Return the state of the whole fleet; counted reads of this process are sent first.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._runtime.background.tick()
        with redis_required():
            return fleet_state.stats(self._runtime.store)

    def performance(self) -> WarmingPerformance:
        """Return the performance of warming over the whole fleet; counted reads of this process are sent first.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._runtime.background.tick()
        with redis_required():
            return ledger.performance(self._runtime.store)

    def optimize(self) -> Optimization:
        """Adjust the next refresh of the most read targets to their latest reads, now instead of when each is due.

        Returns:
            Each schedule that was changed, and why.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._runtime.background.tick()
        with redis_required():
            return tuning.optimize(self._runtime.store, self._settings)

    def plan(
        self,
        minutes: float = 10,
        *,
        task_id: str | None = None,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> Plan:
        """Return which targets would be refreshed in the next minutes, why, and at which cost; changes nothing.

        The plan assumes that nobody reads anything meanwhile, and that the workers that are alive now stay alive. Reads
        that this process has not sent yet are not part of it.

        Args:
            minutes: How far to look ahead, up to a day.
            task_id: The id of a task, to plan its targets only; all tasks when not given.
            progress: Called with the number of targets looked at so far, and of all targets.

        Raises:
            InvalidTaskError: the minutes cannot be used.
            UnknownTaskError: no such task is registered, or it is disabled.
            StoreUnavailableError: Redis did not answer.
        """
        with redis_required():
            return make_plan(self._runtime.store, self._settings, minutes, task_id, progress)


def runtime_of(warmer: Warmer) -> Runtime:
    """Return the runtime of a `Warmer`, for the processes of the fleet and for tools; users do not need it.

    Raises:
        SettingsError: no Redis is configured.
    """
    return warmer._runtime


def _checked_minutes(interval_minutes: float) -> float:
    if isinstance(interval_minutes, bool) or not isinstance(interval_minutes, int | float):
        raise InvalidTaskError(f"interval_minutes must be a number above 0, got {interval_minutes!r}")
    if not 0 < interval_minutes <= MAX_INTERVAL_MINUTES:
        raise InvalidTaskError(f"interval_minutes must be above 0 and at most a year, got {interval_minutes!r}")
    return interval_minutes
