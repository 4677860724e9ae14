"""On-demand warming: of one key in this process, or of targets by the workers.

`Warmer` documents each call; here they are checked and carried out.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from warmer.codec.entry import Origin
from warmer.engine.claims import Claims
from warmer.errors import BacklogFullError, InvalidTaskError, UnknownTaskError, WarmerError
from warmer.on_demand.handle import WATCH_S
from warmer.refresh.cache_options import TaskCacheOptions
from warmer.refresh.effects import run
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.refresher import Refresher, is_fresh, never_ok
from warmer.refresh.request import CacheRequest
from warmer.results import UserWarming
from warmer.store import Result, Store
from warmer.tasks.registry import Registry
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask
from warmer.tasks.validation import check_argument, check_function, check_key, check_ttl

logger = logging.getLogger("warmer")

FORMS = "forms"
"""Tag of the user-scoped tasks that a login may leave out."""


def rejection(task_id: str, answer: str, capacity: int) -> WarmerError:
    """Return the error for a request that Redis rejected.

    Args:
        task_id: The requested task.
        answer: "full", "quarantined", "disabled" or "unknown".
        capacity: How many targets may wait for a worker.

    Example:
        >>> rejection("profile", "disabled", 100)
        UnknownTaskError("task 'profile' is disabled; register it, enabled, before warming it")
    """
    if answer == "full":
        return BacklogFullError(
            f"task {task_id!r} was not requested: the backlog is full, {capacity} targets wait for a worker; start "
            "more workers and try again, or raise WARMER_BACKLOG_CAPACITY"
        )
    if answer == "quarantined":
        return WarmerError(
            f"task {task_id!r}, or its requested target, is in quarantine: it has crashed the processes that computed "
            "it, so workers do not compute it; `warmer stats` shows it, and a new definition or `warmer release NAME` "
            "releases it"
        )
    state = "not registered" if answer == "unknown" else answer
    return UnknownTaskError(f"task {task_id!r} is {state}; register it, enabled, before warming it")


class OnDemandWarming:
    """Warms on demand; the parts of `Warmer` that call it document each method.

    Args:
        store: Accepts requests.
        registry: Finds the task of a key.
        cache_options: The cache options of each task.
        refresher: The refresh routine.
        claims: Completes targets after a refresh.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        cache_options: TaskCacheOptions,
        refresher: Refresher,
        claims: Claims,
    ) -> None:
        self._store = store
        self._registry = registry
        self._cache_options = cache_options
        self._refresher = refresher
        self._claims = claims

    def target_of(self, task_id: str, arguments: Mapping[str, Any]) -> Target:
        """Return a task's target with these arguments; any process may have registered the task."""
        (definition,) = self._store.tasks.definitions_of([task_id])
        if definition is None:
            raise rejection(task_id, "unknown", self._store.settings.backlog_capacity)
        known = self._registry.get(task_id)
        task = WarmingTask.from_definition(definition) if known is None else known
        return task.target(**arguments)

    def request(self, target: Target, force: bool, watcher: str) -> None:
        """Request one target from the workers."""
        (answer,) = self._store.requests.submit([target.ref], force=force, watcher=watcher, watch_s=WATCH_S)
        if answer != "asked":
            raise rejection(target.task.task_id, answer, self._store.settings.backlog_capacity)

    def request_for_user(self, user_id: str, force: bool, preload_forms: bool) -> UserWarming:
        """Request a user's targets from the workers."""
        check_argument("user_id", user_id)
        if user_id == "":
            raise InvalidTaskError("argument 'user_id' must not be empty")
        task_ids = self._store.tasks.scoped_ids(["user_id"])
        records = self._store.tasks.definitions_of(task_ids)
        tasks = [WarmingTask.from_definition(record) for record in records if record is not None]
        wanted = [task for task in tasks if preload_forms or FORMS not in task.tags]
        answers = self._store.requests.submit([task.target(user_id=user_id).ref for task in wanted], force=force)
        if answers:
            self._store.stats.count("users_preloaded")
        requested = [task.task_id for task, answer in zip(wanted, answers, strict=True) if answer == "asked"]
        skipped = [task_id for task_id in task_ids if task_id not in requested]
        return UserWarming(user_id=str(user_id), requested=requested, skipped=skipped)

    def compute_here(
        self, cache_key: str, function: Callable[[], Any], ttl_s: float, tags: Iterable[str] | None, force: bool
    ) -> bool:
        """Compute a value in this process and cache it; returns whether a fresh value is cached now."""
        checked_tags = _checked_tags(tags)
        task = self._registry.owner(check_key(cache_key))
        ref = task.task_id if task else ""
        options = self._cache_options.of_call(task, check_function(function), check_ttl(ttl_s))
        request = CacheRequest(cache_key, ref, lambda: options, function, {})
        with uncounted_reads():
            refreshed = run(self._refresher.refreshing_in_turn(request, Origin.WARM, never_ok if force else is_fresh))
        if refreshed.result is not Result.BUSY:
            self._claims.complete_unclaimed([refreshed])
        succeeded = refreshed.result in (Result.PUBLISHED, Result.FRESH)
        if not succeeded:
            tagged = f" (tags: {', '.join(checked_tags)})" if checked_tags else ""
            logger.warning("warming %r%s failed: %s", cache_key, tagged, refreshed.error or refreshed.result.value)
        return succeeded


def _checked_tags(tags: Iterable[str] | None) -> list[str]:
    if tags is None:
        return []
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidTaskError(f"tags must be a set or list of words, got {tags!r}")
    words = list(tags)
    if not all(isinstance(word, str) for word in words):
        raise InvalidTaskError(f"tags must be words, got {words!r}")
    return sorted(words)
