"""Functions of the package: each calls a method of the default `Warmer`, which documents it."""

from collections.abc import Callable, Iterable
from typing import Any, Unpack, overload

from warmer.client.decorator import Decorator, TaskOptions, warmed_by
from warmer.client.default import declare, default_warmer
from warmer.client.warmed_function import AsyncWarmed, Warmed
from warmer.client.warmer import Warmer
from warmer.on_demand.bulk import BulkWarming
from warmer.results import CriticalWarming, Optimization, UserWarming, WarmingPerformance, WarmingStats
from warmer.tasks.task import WarmingTask


# --- tasks ---------------------------------------------------------------------------------------------------
def register_warming_task(task: WarmingTask, *, replace: bool = False) -> str:
    """See `Warmer.register`.

    Example:
        >>> register_warming_task(WarmingTask(task_id="answer", cache_key="answer", compute_fn=lambda: 42))
        'registered'
    """
    return default_warmer().register(task, replace=replace)


def register_critical_task(task: WarmingTask, *, replace: bool = False) -> str:
    """See `Warmer.register_critical`.

    Example:
        >>> register_critical_task(WarmingTask(task_id="prices", cache_key="prices", compute_fn=lambda: {"tea": 3}))
        'registered'
    """
    return default_warmer().register_critical(task, replace=replace)


def unregister_warming_task(task_id: str) -> bool:
    """See `Warmer.unregister`.

    Example:
        >>> unregister_warming_task("never registered")
        False
    """
    return default_warmer().unregister(task_id)


@overload
def warmed(cache_key: WarmingTask, /) -> Warmed[..., Any]: ...


@overload
def warmed(cache_key: str, **options: Unpack[TaskOptions]) -> Decorator: ...


def warmed(cache_key: str | WarmingTask, **options: Unpack[TaskOptions]) -> Any:
    """See `Warmer.warmed`.

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


# --- the fleet -----------------------------------------------------------------------------------------------
def start_cache_warming(
    interval_minutes: float = 60,
    enable_pattern_warming: bool = True,
    enable_critical_warming: bool = True,
    *,
    embedded: bool | None = None,
) -> None:
    """See `Warmer.start`.

    Example:
        >>> start_cache_warming(interval_minutes=60)
    """
    default_warmer().start(interval_minutes, enable_pattern_warming, enable_critical_warming, embedded=embedded)


def stop_cache_warming() -> None:
    """See `Warmer.stop`.

    Example:
        >>> stop_cache_warming()
    """
    default_warmer().stop()


def release_quarantined(name: str) -> list[str]:
    """See `Warmer.release_quarantined`.

    Example:
        >>> release_quarantined("never quarantined")
        []
    """
    return default_warmer().release_quarantined(name)


def get_warming_stats() -> WarmingStats:
    """See `Warmer.stats`.

    Example:
        >>> get_warming_stats()["running"]
        False
    """
    return default_warmer().stats()


def get_warming_performance() -> WarmingPerformance:
    """See `Warmer.performance`.

    Example:
        >>> 0.0 <= get_warming_performance()["efficiency_score"] <= 100.0
        True
    """
    return default_warmer().performance()


def optimize_warming_schedules() -> Optimization:
    """See `Warmer.optimize`.

    Example:
        >>> optimize_warming_schedules()["tasks_optimized"]
        0
    """
    return default_warmer().optimize()


# --- warming on demand ---------------------------------------------------------------------------------------
def warm_cache(
    key: str,
    compute_fn: Callable[[], Any],
    ttl: float = 3600,
    tags: Iterable[str] | None = None,
    *,
    force: bool = False,
) -> bool:
    """See `Warmer.warm_cache`.

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
    """See `Warmer.warm_many`.

    Example:
        >>> def invoice(number: int) -> str:
        ...     return f"invoice {number}"
        >>> register_warming_task(WarmingTask(task_id="invoice", cache_key="invoice:{number}", compute_fn=invoice))
        'registered'
        >>> start_cache_warming()
        >>> warm_many("invoice", range(1_000)).wait(timeout_s=30).warmed
        1000
        >>> stop_cache_warming()
    """
    return default_warmer().warm_many(task, arguments, force=force, in_flight=in_flight)


def warm_critical_data(timeout_s: float = 60.0, *, force: bool = False) -> CriticalWarming:
    """See `Warmer.warm_critical_data`.

    Example:
        >>> warm_critical_data()["failed"]
        0
    """
    return default_warmer().warm_critical_data(timeout_s, force=force)


def warm_user_data_optimized(user_id: str, *, force: bool = False, preload_forms: bool = True) -> UserWarming:
    """See `Warmer.warm_user_data`.

    Example:
        >>> warm_user_data_optimized("42").user_id
        '42'
    """
    return default_warmer().warm_user_data(user_id, force=force, preload_forms=preload_forms)


# --- by key --------------------------------------------------------------------------------------------------
def get(key: str, default: Any = None) -> Any:
    """See `Warmer.get`.

    Example:
        >>> get("nobody cached this", default="nothing")
        'nothing'
    """
    return default_warmer().get(key, default)


def get_many(keys: Iterable[str]) -> dict[str, Any]:
    """See `Warmer.get_many`.

    Example:
        >>> set("one", 1)
        >>> get_many(["one", "nobody cached this"])
        {'one': 1}
    """
    return default_warmer().get_many(keys)


def get_or_compute(key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
    """See `Warmer.get_or_compute`.

    Example:
        >>> get_or_compute("seven", lambda: 3 + 4, ttl=60)
        7
    """
    return default_warmer().get_or_compute(key, compute_fn, ttl)


def set(key: str, value: Any, ttl: float = 3600) -> None:  # noqa: A001  # the word of every cache
    """See `Warmer.set`.

    Example:
        >>> set("two", [1, 2], ttl=60)
        >>> get("two")
        [1, 2]
    """
    default_warmer().set(key, value, ttl)


def invalidate(key: str) -> None:
    """See `Warmer.invalidate`.

    Example:
        >>> invalidate("seven")
    """
    default_warmer().invalidate(key)


# --- by key, as coroutines -----------------------------------------------------------------------------------
async def aget(key: str, default: Any = None) -> Any:
    """See `Warmer.aget`.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget("nobody cached this", default="nothing"))
        'nothing'
    """
    return await default_warmer().aget(key, default)


async def aget_many(keys: Iterable[str]) -> dict[str, Any]:
    """See `Warmer.aget_many`.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget_many(["nobody cached this"]))
        {}
    """
    return await default_warmer().aget_many(keys)


async def aget_or_compute(key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
    """See `Warmer.aget_or_compute`.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget_or_compute("eight", lambda: 4 + 4, ttl=60))
        8
    """
    return await default_warmer().aget_or_compute(key, compute_fn, ttl)


async def aset(key: str, value: Any, ttl: float = 3600) -> None:
    """See `Warmer.aset`.

    Example:
        >>> import asyncio
        >>> asyncio.run(aset("three", 3))
    """
    await default_warmer().aset(key, value, ttl)


async def ainvalidate(key: str) -> None:
    """See `Warmer.ainvalidate`.

    Example:
        >>> import asyncio
        >>> asyncio.run(ainvalidate("three"))
    """
    await default_warmer().ainvalidate(key)
