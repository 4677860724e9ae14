"""Reading and writing by key, and ``@warmed``, over the default `Warmer`; coroutines have an ``a`` before the name."""

from collections.abc import Callable, Iterable
from typing import Any, Unpack, overload

from warmer.client import Warmer
from warmer.default import declare, default_warmer
from warmer.task import WarmingTask
from warmer.warmed import Decorator, TaskOptions, Warmed, warmed_by


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
