"""Warmer: the one object that an application holds."""

from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Any, Unpack, overload

from redis.exceptions import RedisError

from warmer.cache.request import CacheRequest
from warmer.client.decorator import AsyncWarmed, Decorator, TaskOptions, Warmed, warmed_by
from warmer.client.key_access import KeyAccess, unavailable
from warmer.engine import tuning
from warmer.engine.switching import is_forbidden_to_switch_on
from warmer.errors import InvalidTaskError
from warmer.on_demand.bulk import BulkWarming
from warmer.on_demand.critical import CriticalRun
from warmer.on_demand.handle import Warming
from warmer.planning import Plan, make_plan
from warmer.results import CriticalWarming, Optimization, UserWarming, WarmingPerformance, WarmingStats
from warmer.runtime import Runtime
from warmer.stats import fleet, ledger
from warmer.tasks.switch import Switch
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask


class Warmer(KeyAccess):
    """Registers tasks, reads values, and asks for values to be warmed.

    Args:
        settings: What is configured; from ``WARMER_*`` variables when not given.

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
            InvalidTaskError: this is no task.
            NotImportableError: workers could not import its function, and this process does not warm itself; or it
                runs in processes apart (``isolation="process"``), and they could not.
            TaskConflictError: another enabled task owns the cache key; then nothing was registered.
            StoreUnavailableError: Redis did not answer.
        """
        if not isinstance(task, WarmingTask):
            raise InvalidTaskError(f"expected a WarmingTask, got {type(task).__name__}: {str(task)[:80]}")
        status = self._reach(lambda: self._runtime.registration.register(task, replace))
        self._runtime.background.start()
        if status != "unchanged" and task.enabled:
            self._runtime.queue.try_hint()
        return status

    def register_critical(self, task: WarmingTask, *, replace: bool = False) -> str:
        """Register a task as critical: kept warm whatever its reads. As `register` otherwise."""
        if isinstance(task, WarmingTask):
            task = task.model_copy(update={"critical": True})
        return self.register(task, replace=replace)

    def unregister(self, task_id: str) -> bool:
        """Forget a task, here and for the whole fleet; its cached values stay until they expire.

        Returns:
            False when it was not registered.

        Raises:
            InvalidTaskError: the id is no text.
            StoreUnavailableError: Redis did not answer.
        """
        if not isinstance(task_id, str):
            raise InvalidTaskError(f"task_id must be a str, got {type(task_id).__name__}")
        return self._reach(lambda: self._runtime.registration.unregister(task_id))

    # --- the switch ------------------------------------------------------------------------------------------
    def start(
        self,
        interval_minutes: float = 60,
        *,
        pattern: bool = True,
        critical: bool = True,
        embedded: bool | None = None,
    ) -> None:
        """Switch warming on for the whole fleet; from any process, any number of times.

        Args:
            interval_minutes: Critical targets are refreshed at least this often.
            pattern: Whether other targets are refreshed as their reads merit.
            critical: Whether critical targets are kept warm whatever their reads.
            embedded: Whether a scheduler and a worker thread in this process do it; by default as configured.

        Raises:
            InvalidTaskError: the interval is not a number above 0.
            SettingsError: no Redis is configured, and not embedded.
            StoreUnavailableError: Redis did not answer.
        """
        if is_forbidden_to_switch_on():
            return
        if isinstance(interval_minutes, bool) or not isinstance(interval_minutes, int | float):
            raise InvalidTaskError(f"interval_minutes must be a number above 0, got {interval_minutes!r}")
        if not 0 < interval_minutes <= 525_600:
            raise InvalidTaskError(f"interval_minutes must be above 0 and at most a year, got {interval_minutes!r}")
        if embedded is not None:
            self._embed(embedded)
        switch = Switch(on=True, interval_s=60.0 * interval_minutes, pattern=pattern, critical=critical)
        self._reach(lambda: self._runtime.switching.switch_on(switch))
        self._runtime.queue.try_hint()
        if self._is_embedded:
            self._embedded.start(self._runtime)

    def _embed(self, is_embedded: bool) -> None:
        with self._making:
            self._is_embedded = is_embedded
            if "_runtime" in vars(self):
                self._runtime.registration.accepts_local = is_embedded

    def stop(self) -> None:
        """Switch warming off for the whole fleet; computations that have begun are finished.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._reach(self._runtime.switching.switch_off)
        if self._is_embedded:
            self._embedded.stop()

    # --- warming by hand -------------------------------------------------------------------------------------
    def warm(self, task_id: str, arguments: Mapping[str, Any] | None = None, *, force: bool = False) -> Warming:
        """Ask the workers to warm one target now; does not wait.

        Args:
            task_id: Its task.
            arguments: A value for each field of the key template.
            force: Whether to compute even if the present value is fresh.

        Returns:
            A handle to wait on.

        Raises:
            UnknownTaskError: no such task is registered, or it is disabled.
            InvalidTaskError: the arguments do not fit the template.
            StoreUnavailableError: Redis did not answer.
        """
        self._reach(self._runtime.registration.register_declared)
        return self.ask(self._reach(lambda: self._runtime.on_demand.target_of(task_id, arguments or {})), force=force)

    def warm_many(
        self,
        task: "str | WarmingTask | Warmed[..., Any] | AsyncWarmed[..., Any]",
        arguments: Iterable[Any],
        *,
        force: bool = False,
        in_flight: int = 10_000,
    ) -> BulkWarming:
        """Ask the workers to warm many targets of a task now; does not wait.

        The iterable may be of any length, and is read in a thread of its own as targets are warmed. An item that fits
        no target is counted as failed, with the reason, and the others go on; items that are equal are computed once,
        and each is counted. While Redis is away it waits, and goes on.

        Args:
            task: Its id, the task itself or its warmed function.
            arguments: For each target a dict of arguments, a tuple of them, or a single one.
            force: Whether to compute even if the present value is fresh.
            in_flight: How many may be outstanding: what is kept in Redis is bounded by it.

        Returns:
            A handle that shows how far it is, to wait on or to cancel.

        Raises:
            UnknownTaskError: no such task is registered, or it is disabled.
            InvalidTaskError: the task could not be registered, or there is no iterable of arguments.
            StoreUnavailableError: Redis did not answer.
        """
        known = task.task if isinstance(task, Warmed | AsyncWarmed) else task
        if not isinstance(known, str | WarmingTask):
            raise InvalidTaskError(f"expected a task, its id or its warmed function, got {type(known).__name__}")
        self._reach(self._runtime.registration.register_declared)
        self._runtime.registration.check_registered(known if isinstance(known, str) else known.task_id)
        registered = self._reach(lambda: self._runtime.bulk_runs.task_of(known))
        return self._reach(lambda: self._runtime.bulk_runs.begin(registered, arguments, force, in_flight))

    def warm_cache(
        self,
        cache_key: str,
        compute_fn: Callable[[], Any],
        ttl: float = 3600,
        tags: Iterable[str] | None = None,
        *,
        force: bool = False,
    ) -> bool:
        """Compute a value here and now, under the lease, and cache it.

        Args:
            cache_key: Where to cache it.
            compute_fn: Computes it; sync or async.
            ttl: Seconds for which it is fresh.
            tags: Words for the log.
            force: Whether to compute even if the present value is fresh.

        Returns:
            True if a fresh value is cached now; False if the computation failed, which is logged and counted, and the
            old value is kept.

        Raises:
            InvalidTaskError: the key, the ttl, the function or the tags cannot be used.
            StoreUnavailableError: Redis did not answer.
        """
        return self._reach(lambda: self._runtime.on_demand.compute_here(cache_key, compute_fn, ttl, tags, force))

    def warm_critical_data(self, *, timeout_s: float = 60.0, force: bool = False) -> CriticalWarming:
        """Warm all critical targets, highest priority first, and wait.

        The workers do it; this process does, when no worker is alive.

        Args:
            timeout_s: How long to wait at most; a computation that this process has begun itself is not cut short.
            force: Whether to compute even what is fresh.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        run = CriticalRun(
            self._runtime.store,
            self._runtime.claims,
            self._runtime.refresher.renewer,
            self._runtime.queue,
            self._runtime.clock,
        )
        return self._reach(lambda: run.warm(timeout_s, force))

    def warm_user_data(self, user_id: str, *, force: bool = False, preload_forms: bool = True) -> UserWarming:
        """Ask for a user's values to be warmed: those of all tasks whose key has the one field ``{user_id}``.

        Does not wait; a login is not held up.

        Args:
            user_id: The user.
            force: Whether to compute even what is fresh.
            preload_forms: Whether tasks tagged "forms" are warmed as well.

        Raises:
            InvalidTaskError: the user id is empty or not a str or an int.
            StoreUnavailableError: Redis did not answer.
        """
        asked = self._reach(lambda: self._runtime.on_demand.ask_for_user(user_id, force, preload_forms))
        if asked.requested:
            self._runtime.queue.try_hint()
        return asked

    def release(self, name: str) -> list[str]:
        """Let a target, or a task with all its targets, out of quarantine; while warming is on it is computed at once.

        A target whose task is in quarantine itself stays where it is until the task is let go.

        Args:
            name: The target's ref or the task's id, as `stats` shows it.

        Returns:
            What had been in quarantine: refs, and the id of the task; empty if nothing of that name was.

        Raises:
            InvalidTaskError: the name is no text.
            StoreUnavailableError: Redis did not answer.
        """
        if not isinstance(name, str):
            raise InvalidTaskError(f"expected a task's id or a target's ref, got {type(name).__name__}")
        released = self._reach(lambda: self._runtime.store.quarantine.release(name))
        if released:
            self._runtime.queue.try_hint()
        return released

    # --- warmed functions ------------------------------------------------------------------------------------
    @overload
    def warmed(self, cache_key: WarmingTask, /) -> Warmed[..., Any]: ...

    @overload
    def warmed(self, cache_key: str, **options: Unpack[TaskOptions]) -> Decorator: ...

    def warmed(self, cache_key: str | WarmingTask, **options: Unpack[TaskOptions]) -> Any:
        """Decorate a function, sync or async, so that its calls read through the cache and its values are kept warm.

        Worker processes know the tasks of the default `Warmer`, which `warmer.warmed` declares on; those of another one
        are cached, and kept warm only by a process that has it.

        Args:
            cache_key: The key template, such as ``"product:{product_id}"``; its fields are the function's parameters.
                Or a whole `WarmingTask`, if there is one already: its function is returned, warmed.
            **options: The other fields of a `WarmingTask`; `task_id` is the function's dotted name unless given.

        Raises:
            InvalidTaskError: when decorating, if the template, an option or the function cannot be used.
        """

        def declare(task: WarmingTask) -> Callable[[], Warmer]:
            self.declare(task)
            return lambda: self

        return warmed_by(cache_key, options, declare)

    def declare(self, task: WarmingTask) -> None:
        """Know a task here, and register it for the whole fleet soon: nothing is sent by this call."""
        self._registry.declare(task)

    def ask(self, target: Target, *, force: bool = False) -> Warming:
        """Ask the workers to warm a target now.

        Args:
            target: The target.
            force: Whether to compute even if the present value is fresh.

        Returns:
            A handle to wait on.

        Raises:
            UnknownTaskError: its task is not registered, or it is disabled.
            InvalidTaskError: its task could not be registered; the message says why.
            StoreUnavailableError: Redis did not answer.
        """
        watcher = token_hex(16)
        self._reach(self._runtime.registration.register_declared)
        self._runtime.registration.check_registered(target.task.task_id)
        self._reach(lambda: self._runtime.on_demand.ask_for(target, force, watcher))
        self._runtime.queue.try_hint()
        return Warming(target.ref, watcher, self._runtime.store, self._runtime.clock)

    def refresh_now(self, wanted: CacheRequest) -> Any:
        """Compute a value here and now, and cache it; see `Warmed.refresh`."""
        return self._reach(lambda: self._runtime.miss_handler.refresh(wanted))

    async def arefresh_now(self, wanted: CacheRequest) -> Any:
        """As `refresh_now`, beside an event loop."""
        try:
            return await self._runtime.miss_handler.arefresh(wanted)
        except RedisError as error:
            raise unavailable(error) from error

    # --- statistics ------------------------------------------------------------------------------------------
    def stats(self) -> WarmingStats:
        """Return the state of the whole fleet; this process's own reads are sent first.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._runtime.background.tick()
        return self._reach(lambda: fleet.stats(self._runtime.store))

    def performance(self) -> WarmingPerformance:
        """Return how warming does over the whole fleet; this process's own reads are sent first.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._runtime.background.tick()
        return self._reach(lambda: ledger.performance(self._runtime.store))

    def optimize(self) -> Optimization:
        """Apply what reads have taught, now, and say what changed.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._runtime.background.tick()
        return self._reach(lambda: tuning.optimize(self._runtime.store, self._settings))

    def plan(
        self,
        minutes: float = 10,
        *,
        task_id: str | None = None,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> Plan:
        """Return what would be refreshed within some time, why, and what it costs; nothing is run or changed.

        It is what production would do if nobody read anything meanwhile, with the workers that are alive now. Reads of
        this process that were not sent yet are not known to it.

        Args:
            minutes: How far to look ahead, up to a day.
            task_id: Of the one task that is wanted; all when not given.
            progress: Takes how many targets were looked at, and how many will be.

        Raises:
            InvalidTaskError: the minutes cannot be used.
            UnknownTaskError: no such task is registered, or it is disabled.
            StoreUnavailableError: Redis did not answer.
        """
        return self._reach(lambda: make_plan(self._runtime.store, self._settings, minutes, task_id, progress))


def runtime_of(warmer: Warmer) -> Runtime:
    """Return the parts behind a `Warmer`, for the processes of the fleet and for tools; users need none of them.

    Raises:
        SettingsError: no Redis is configured.
    """
    return warmer._runtime
