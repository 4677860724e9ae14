"""The functions of the quick start: registering, warming and statistics, over the default `Warmer`."""

from collections.abc import Callable, Iterable
from typing import Any, Unpack, overload

from warmer.client.decorator import AsyncWarmed, Decorator, TaskOptions, Warmed, warmed_by
from warmer.client.default import declare, default_warmer
from warmer.client.warmer import Warmer
from warmer.on_demand.bulk import BulkWarming
from warmer.results import CriticalWarming, Optimization, UserWarming, WarmingPerformance, WarmingStats
from warmer.tasks.task import WarmingTask


def register_warming_task(task: WarmingTask, *, replace: bool = False) -> None:
    """Register a task for the whole fleet; registering the same again changes nothing.

    Args:
        task: The task.
        replace: Whether to unregister another enabled task that owns the same cache key.

    Raises:
        InvalidTaskError: the task, its function or its cache key cannot be used; nothing was registered.
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> register_warming_task(WarmingTask(task_id="answer", cache_key="answer", compute_fn=lambda: 42))
    """
    default_warmer().register(task, replace=replace)


def register_critical_task(task: WarmingTask, *, replace: bool = False) -> None:
    """Register a task as critical: kept warm whatever its reads. As `register_warming_task` otherwise.

    Example:
        >>> register_critical_task(WarmingTask(task_id="prices", cache_key="prices", compute_fn=lambda: {"tea": 3}))
    """
    default_warmer().register_critical(task, replace=replace)


def unregister_warming_task(task_id: str) -> bool:
    """Forget a task for the whole fleet; its cached values stay until they expire.

    Args:
        task_id: Its id.

    Returns:
        False when it was not registered.

    Raises:
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> unregister_warming_task("never registered")
        False
    """
    return default_warmer().unregister(task_id)


def start_cache_warming(
    interval_minutes: float = 60,
    enable_pattern_warming: bool = True,
    enable_critical_warming: bool = True,
    embedded: bool | None = None,
) -> None:
    """Switch warming on for the whole fleet, from any process, any number of times.

    Args:
        interval_minutes: Critical targets are refreshed at least this often.
        enable_pattern_warming: Whether other targets are refreshed as their reads merit.
        enable_critical_warming: Whether critical targets are kept warm whatever their reads.
        embedded: Whether a scheduler and a worker thread in this process do it; by default as configured.

    Raises:
        InvalidTaskError: the interval is not a number above 0.
        SettingsError: no Redis is configured, and not embedded.
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> start_cache_warming(interval_minutes=60)
    """
    default_warmer().start(
        interval_minutes, pattern=enable_pattern_warming, critical=enable_critical_warming, embedded=embedded
    )


def stop_cache_warming() -> None:
    """Switch warming off for the whole fleet; computations that have begun are finished.

    Raises:
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> stop_cache_warming()
    """
    default_warmer().stop()


def warm_cache(
    key: str,
    compute_fn: Callable[[], Any],
    ttl: float = 3600,
    tags: Iterable[str] | None = None,
    force: bool = False,
) -> bool:
    """Compute a value here and now, under the lease, and cache it.

    Args:
        key: Where to cache it.
        compute_fn: Computes it; sync or async.
        ttl: Seconds for which it is fresh.
        tags: Words for the log.
        force: Whether to compute even if the present value is fresh.

    Returns:
        True if a fresh value is cached now; False if the computation failed: logged, counted, the old value kept.

    Raises:
        InvalidTaskError: an argument cannot be used.
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> warm_cache("answer", lambda: 42, ttl=60, tags={"critical"})
        True
    """
    return default_warmer().warm_cache(key, compute_fn, ttl, tags, force=force)


def warm_many(
    task: str | WarmingTask | Warmed[..., Any] | AsyncWarmed[..., Any],
    arguments: Iterable[Any],
    *,
    force: bool = False,
    in_flight: int = 10_000,
) -> BulkWarming:
    """Ask the workers to warm many targets of a task now; does not wait.

    The iterable may be of any length, and is read in a thread of its own as targets are warmed. An item that fits no
    target is counted as failed, with the reason, and the others go on; items that are equal are computed once, and
    each is counted. While Redis is away it waits, and goes on.

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

    Example:
        >>> def invoice(number: int) -> str:
        ...     return f"invoice {number}"
        >>> register_warming_task(WarmingTask(task_id="invoice", cache_key="invoice:{number}", compute_fn=invoice))
        >>> start_cache_warming()
        >>> warm_many("invoice", range(1_000)).wait(timeout_s=30).warmed
        1000
        >>> stop_cache_warming()
    """
    return default_warmer().warm_many(task, arguments, force=force, in_flight=in_flight)


def warm_critical_data(timeout_s: float = 60.0, force: bool = False) -> CriticalWarming:
    """Warm all critical targets, highest priority first, and wait.

    Args:
        timeout_s: How long to wait at most; a computation that this process has begun itself is not cut short.
        force: Whether to compute even what is fresh.

    Returns:
        How each of them fared.

    Raises:
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> warm_critical_data()["failed"]
        0
    """
    return default_warmer().warm_critical_data(timeout_s=timeout_s, force=force)


def warm_user_data_optimized(user_id: str, force: bool = False, preload_forms: bool = True) -> UserWarming:
    """Ask for a user's values to be warmed: those of all tasks whose key has the one field ``{user_id}``.

    Does not wait, so that a login is not held up.

    Args:
        user_id: The user.
        force: Whether to compute even what is fresh.
        preload_forms: Whether tasks tagged "forms" are warmed as well.

    Returns:
        What was asked for.

    Raises:
        InvalidTaskError: the user id cannot be used.
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> warm_user_data_optimized("42").user_id
        '42'
    """
    return default_warmer().warm_user_data(user_id, force=force, preload_forms=preload_forms)


def release_quarantined(name: str) -> list[str]:
    """Let a target, or a task with all its targets, out of quarantine; while warming is on it is computed at once.

    In quarantine is what has killed the processes that computed it; a changed definition lets it go, too.

    Args:
        name: The target's ref or the task's id, as `get_warming_stats` shows it.

    Returns:
        What had been in quarantine; empty if nothing of that name was.

    Raises:
        InvalidTaskError: the name is no text.
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> release_quarantined("never quarantined")
        []
    """
    return default_warmer().release(name)


def get_warming_stats() -> WarmingStats:
    """Return the state of the whole fleet.

    Raises:
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> get_warming_stats()["running"]
        False
    """
    return default_warmer().stats()


def get_warming_performance() -> WarmingPerformance:
    """Return how warming does over the whole fleet.

    Raises:
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> 0.0 <= get_warming_performance()["efficiency_score"] <= 100.0
        True
    """
    return default_warmer().performance()


def optimize_warming_schedules() -> Optimization:
    """Apply what reads have taught, now, and say what changed.

    Raises:
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> optimize_warming_schedules()["tasks_optimized"]
        0
    """
    return default_warmer().optimize()


@overload
def warmed(cache_key: WarmingTask, /) -> Warmed[..., Any]: ...


@overload
def warmed(cache_key: str, **options: Unpack[TaskOptions]) -> Decorator: ...


def warmed(cache_key: str | WarmingTask, **options: Unpack[TaskOptions]) -> Any:
    """Decorate a function, sync or async, so that its calls read through the cache and its values are kept warm.

    Nothing is sent while a module is imported: the task is registered at the first use of Redis.

    Args:
        cache_key: The key template, such as ``"product:{product_id}"``; its fields are the function's parameters. Or
            a whole `WarmingTask`, if there is one already: its function is returned, warmed.
        **options: The other fields of a `WarmingTask`; `task_id` is the function's dotted name unless given.

    Returns:
        A decorator; what it makes of a function is `Warmed`, or `AsyncWarmed`.

    Raises:
        InvalidTaskError: when decorating, if the template, an option or the function cannot be used.

    Example:
        >>> @warmed("product:{product_id}", ttl=600, tags={"catalog", "product:{product_id}"})
        ... def product(product_id: int) -> dict[str, int]:
        ...     return {"id": product_id}
        >>> product(42), product.key(42)
        ({'id': 42}, 'product:42')

        >>> def price(product_id: int) -> float:
        ...     return product_id / 10
        >>> price_task = WarmingTask(task_id="price", cache_key="price:{product_id}", compute_fn=price)
        >>> warmed(price_task)(product_id=42)
        4.2
    """
    return warmed_by(cache_key, options, _declare_on_default)


def _declare_on_default(task: WarmingTask) -> Callable[[], Warmer]:
    declare(task)
    return default_warmer


def get(key: str, default: Any = None) -> Any:
    """Return the cached value, or the default on a miss; a cached None is a value.

    Redis being away is a miss, never an error.

    Args:
        key: Where it is cached.
        default: What is returned on a miss, and where an exception is cached in the place of a value.

    Raises:
        InvalidTaskError: the key cannot be used.
        SettingsError: no Redis is configured.

    Example:
        >>> get("nobody cached this", default="nothing")
        'nothing'
    """
    return default_warmer().get(key, default)


def get_or_compute(key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
    """Return the cached value, or compute and cache it: once, however many ask at the same time.

    Args:
        key: Where it is cached.
        compute_fn: Computes it; sync or async.
        ttl: Seconds for which it is fresh.

    Raises:
        InvalidTaskError: the key, the function or the ttl cannot be used.
        CodecError: the computed value cannot be cached as it is.
        Exception: what the function raises; a caller that waited for another process's computation gets it as
            `ComputationFailedError`.

    Example:
        >>> get_or_compute("seven", lambda: 3 + 4, ttl=60)
        7
    """
    return default_warmer().get_or_compute(key, compute_fn, ttl)


def get_many(keys: Iterable[str]) -> dict[str, Any]:
    """Return the values that are cached, by key; all are asked for in one round trip to each node.

    Args:
        keys: The keys; those that miss are absent from the answer.

    Raises:
        InvalidTaskError: a key cannot be used.
        SettingsError: no Redis is configured.

    Example:
        >>> set("one", 1)
        >>> get_many(["one", "nobody cached this"])
        {'one': 1}
    """
    return default_warmer().get_many(keys)


def set(key: str, value: Any, ttl: float = 3600) -> None:  # noqa: A001  # the word of every cache
    """Cache a value that the caller has; a computation that has begun before this is not published.

    Args:
        key: Where to cache it.
        value: The value.
        ttl: Seconds for which it is fresh.

    Raises:
        InvalidTaskError: the key or the ttl cannot be used.
        CodecError: the value cannot be cached as it is; what was cached before stays.
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> set("two", [1, 2], ttl=60)
        >>> get("two")
        [1, 2]
    """
    default_warmer().set(key, value, ttl)


def invalidate(key: str) -> None:
    """Delete a value; a computation that has begun before this is not published.

    Args:
        key: Where it is cached.

    Raises:
        InvalidTaskError: the key cannot be used.
        StoreUnavailableError: Redis did not answer.

    Example:
        >>> invalidate("seven")
    """
    default_warmer().invalidate(key)


async def aget(key: str, default: Any = None) -> Any:
    """As `get`, beside an event loop.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget("nobody cached this", default="nothing"))
        'nothing'
    """
    return await default_warmer().aget(key, default)


async def aget_or_compute(key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
    """As `get_or_compute`, beside an event loop; a sync function is run in a thread of its own.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget_or_compute("eight", lambda: 4 + 4, ttl=60))
        8
    """
    return await default_warmer().aget_or_compute(key, compute_fn, ttl)


async def aget_many(keys: Iterable[str]) -> dict[str, Any]:
    """As `get_many`, beside an event loop.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget_many(["nobody cached this"]))
        {}
    """
    return await default_warmer().aget_many(keys)


async def aset(key: str, value: Any, ttl: float = 3600) -> None:
    """As `set`, beside an event loop.

    Example:
        >>> import asyncio
        >>> asyncio.run(aset("three", 3))
    """
    await default_warmer().aset(key, value, ttl)


async def ainvalidate(key: str) -> None:
    """As `invalidate`, beside an event loop.

    Example:
        >>> import asyncio
        >>> asyncio.run(ainvalidate("three"))
    """
    await default_warmer().ainvalidate(key)
