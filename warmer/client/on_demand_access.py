"""Warming on demand: targets that an application asks to be warmed now."""

from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Any

from warmer.client.runtime_access import RuntimeAccess, redis_required
from warmer.client.warmed_function import AsyncWarmed, Warmed
from warmer.errors import InvalidTaskError
from warmer.on_demand.bulk import BulkWarming
from warmer.on_demand.critical import CriticalRun
from warmer.on_demand.handle import Warming
from warmer.results import CriticalWarming, UserWarming
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask


class OnDemandAccess(RuntimeAccess):
    """Methods of a `Warmer` that warm values now. `warm` and `warm_many` ask workers and do not wait."""

    def warm(self, task_id: str, arguments: Mapping[str, Any] | None = None, *, force: bool = False) -> Warming:
        """Ask the workers to warm one target now; does not wait.

        Args:
            task_id: The id of its task.
            arguments: A value for each field of the key template.
            force: Whether to compute even if the present value is fresh.

        Returns:
            A `Warming`: to wait for, or to cancel.

        Raises:
            UnknownTaskError: no such task is registered, or it is disabled.
            InvalidTaskError: the arguments do not fit the template.
            StoreUnavailableError: Redis did not answer.
        """
        with redis_required():
            self._runtime.registration.register_declared()
            target = self._runtime.on_demand.target_of(task_id, arguments or {})
        return self._warm_target(target, force)

    def warm_many(
        self,
        task: str | WarmingTask | Warmed[..., Any] | AsyncWarmed[..., Any],
        arguments: Iterable[Any],
        *,
        force: bool = False,
        in_flight: int = 10_000,
    ) -> BulkWarming:
        """Ask the workers to warm many targets of a task now; does not wait.

        The iterable may have any length; a thread of its own reads it while targets are warmed. An item that fits no
        target is counted as failed, with the reason, and the others go on. Equal items are computed once, and each is
        counted. While Redis is away the run waits, and then goes on.

        Args:
            task: The id of the task, the task or its warmed function.
            arguments: For each target a dict of arguments, a tuple of them, or a single one.
            force: Whether to compute even if the present value is fresh.
            in_flight: How many targets may be outstanding; this bounds the memory that a run takes in Redis.

        Returns:
            A `BulkWarming`: to look at, to wait for, or to cancel.

        Raises:
            UnknownTaskError: no such task is registered, or it is disabled.
            InvalidTaskError: the task could not be registered, or `arguments` is not an iterable.
            StoreUnavailableError: Redis did not answer.
        """
        known = task.task if isinstance(task, Warmed | AsyncWarmed) else task
        if not isinstance(known, str | WarmingTask):
            raise InvalidTaskError(f"expected a task, its id or its warmed function, got {type(known).__name__}")
        with redis_required():
            self._runtime.registration.register_declared()
            self._runtime.registration.check_registered(known if isinstance(known, str) else known.task_id)
            registered = self._runtime.bulk_runs.task_of(known)
            return self._runtime.bulk_runs.begin(registered, arguments, force, in_flight)

    def warm_cache(
        self,
        key: str,
        compute_fn: Callable[[], Any],
        ttl: float = 3600,
        tags: Iterable[str] | None = None,
        *,
        force: bool = False,
    ) -> bool:
        """Compute a value in this process, under the lease of its key, and cache it.

        Args:
            key: The cache key.
            compute_fn: Computes the value; sync or async.
            ttl: Seconds for which it is fresh.
            tags: Words for the log.
            force: Whether to compute even if the present value is fresh.

        Returns:
            True if a fresh value is cached now. False if the computation failed: that is logged and counted, and the
            old value is kept.

        Raises:
            InvalidTaskError: the key, the ttl, the function or the tags cannot be used.
            StoreUnavailableError: Redis did not answer.
        """
        with redis_required():
            return self._runtime.on_demand.compute_here(key, compute_fn, ttl, tags, force)

    def warm_critical_data(self, timeout_s: float = 60.0, *, force: bool = False) -> CriticalWarming:
        """Warm all critical targets, highest priority first, and wait.

        Workers compute them; if no worker is alive, this process does.

        Args:
            timeout_s: The longest time to wait, in seconds; a computation that this process has begun is not cut short.
            force: Whether to compute even if the present value is fresh.

        Returns:
            The outcome of each critical task.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        runtime = self._runtime
        run = CriticalRun(runtime.store, runtime.claims, runtime.refresher.renewer, runtime.queue, runtime.clock)
        with redis_required():
            return run.warm(timeout_s, force)

    def warm_user_data(self, user_id: str, *, force: bool = False, preload_forms: bool = True) -> UserWarming:
        """Ask the workers to warm a user's values: of all tasks whose key has the one field ``{user_id}``.

        Does not wait, so that a login is not delayed.

        Args:
            user_id: The user.
            force: Whether to compute even if the present value is fresh.
            preload_forms: Whether tasks tagged "forms" are warmed as well.

        Returns:
            The ids of the tasks that workers were asked for.

        Raises:
            InvalidTaskError: the user id is empty, or not a str or an int.
            StoreUnavailableError: Redis did not answer.
        """
        with redis_required():
            requested = self._runtime.on_demand.request_for_user(user_id, force, preload_forms)
        if requested.requested:
            self._runtime.queue.try_hint()
        return requested

    def _warm_target(self, target: Target, force: bool) -> Warming:
        watcher = token_hex(16)
        with redis_required():
            self._runtime.registration.register_declared()
            self._runtime.registration.check_registered(target.task.task_id)
            self._runtime.on_demand.request(target, force, watcher)
        self._runtime.queue.try_hint()
        return Warming(target.ref, watcher, self._runtime.store, self._runtime.clock)
