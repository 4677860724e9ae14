"""Warmed functions: their calls read through the cache, and workers keep their values warm."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

from warmer.cache.cache import MISSING
from warmer.client.runtime_access import redis_required
from warmer.on_demand.bulk import BulkWarming
from warmer.on_demand.bulk.items import call_arguments
from warmer.on_demand.handle import Warming
from warmer.refresh.request import CacheRequest
from warmer.runtime import Runtime
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

MAX_COMPUTATIONS = 32
"""Values that one call of an async function's `many` computes side by side."""


class WarmerOfFunction(Protocol):
    """The part of a `Warmer` that a warmed function uses."""

    @property
    def _runtime(self) -> Runtime: ...

    def _warm_target(self, target: Target, force: bool) -> Warming: ...

    def warm_many(self, task: WarmingTask, arguments: Iterable[Any], *, force: bool, in_flight: int) -> BulkWarming:
        """Ask the workers to warm many targets."""

    def invalidate(self, key: str) -> None:
        """Delete a value."""


class WarmedFunction(Generic[Parameters, Returned]):
    """Base of warmed functions, sync and async.

    Args:
        function: Computes the values.
        task: The task that declares it.
        warmer: The `Warmer` to read through, or a function that returns the present default one.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        task: WarmingTask,
        warmer: WarmerOfFunction | Callable[[], WarmerOfFunction],
    ) -> None:
        """Wrap the function; nothing is sent yet."""
        update_wrapper(cast(Callable[..., Any], self), function)
        self.task = task
        self._targets = task._targets
        self.warmed_function = function
        self._own_warmer: WarmerOfFunction | None = None
        if callable(warmer):
            self._find_default = warmer
        else:
            self._own_warmer = warmer
        self._found: tuple[WarmerOfFunction, Runtime, Callable[[Target], CacheRequest]] | None = None

    def __repr__(self) -> str:
        return f"<warmed {self.task.task_id}: {self.task.cache_key}>"

    def __reduce__(self) -> str:
        return str(vars(self)["__qualname__"])  # like any function, it is pickled by its name

    def key(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> str:
        """Return the cache key for these arguments.

        Raises:
            InvalidTaskError: the arguments do not fit.
        """
        return self.task.target_of_call(args, kwargs).cache_key

    def _warmer(self) -> WarmerOfFunction:
        return self._own_warmer or self._find_default()

    def _request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Runtime, CacheRequest]:
        warmer, found = self._own_warmer or self._find_default(), self._found
        if found is None or found[0] is not warmer:
            runtime = warmer._runtime
            found = self._found = warmer, runtime, runtime.cache.requests_of(self.task)
        return found[1], found[2](self._targets.of_call(args, kwargs))

    def _requests(self, arguments: Iterable[Any]) -> tuple[Runtime, list[CacheRequest]]:
        requests = [self._request(*call_arguments(one))[1] for one in arguments]
        return self._warmer()._runtime, requests

    def _warm(self, force: bool, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Warming:
        return self._warmer()._warm_target(self.task.target_of_call(args, kwargs), force)

    def _warm_many(self, arguments: Iterable[Any], force: bool, in_flight: int) -> BulkWarming:
        return self._warmer().warm_many(self.task, arguments, force=force, in_flight=in_flight)

    def _invalidate(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._warmer().invalidate(self.task.target_of_call(args, kwargs).cache_key)


class Warmed(WarmedFunction[Parameters, Returned]):
    """A function whose calls read through the cache; made by ``@warmed``.

    Example:
        >>> from warmer import warmed
        >>> @warmed("square:{n}", ttl=60)
        ... def square(n: int) -> int:
        ...     return n * n
        >>> square(7), square.get(7), square.key(7)
        (49, 49, 'square:7')
    """

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        """Return the value for these arguments, computed and cached if it is missing.

        Raises:
            InvalidTaskError: the arguments do not fit.
            CodecError: the value cannot be cached as it is.
            Exception: what the function raises.
        """
        runtime, request = self._request(args, kwargs)
        return runtime.cache.get_or_compute(request)  # type: ignore[no-any-return]

    def get(self, *args: Any, default: Any = None, **kwargs: Any) -> Returned | Any:
        """Return the cached value for these arguments, or the default on a miss; computes nothing."""
        runtime, request = self._request(args, kwargs)
        return runtime.cache.peek(request, default)

    def many(self, arguments: Iterable[Any]) -> list[Returned]:
        """Return the values for many sets of arguments, in their order; missing ones are computed and cached.

        With a batch function one call computes up to `batch_size` of them, one call after the other.

        Args:
            arguments: For each value a dict of keyword arguments, a tuple of positional ones, or a single one.

        Raises:
            InvalidTaskError: arguments do not fit.
            Exception: what the function raises; with a batch function, after all others are cached.
        """
        runtime, requests = self._requests(arguments)
        found = runtime.cache.look_up(requests)
        missing = _missing(requests, found)
        if self.task.compute_many_fn is not None:
            return _completed(found, runtime.miss_handler.compute_many(missing))
        return _completed(found, [runtime.miss_handler.compute(request) for request in missing])

    def refresh(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        """Compute the value in this process, even if a fresh one is cached, and cache it.

        Raises:
            StoreUnavailableError: Redis did not answer.
            WaitTimeoutError: the computation of another process took too long.
            Exception: what the function raises; the cached value stays.
        """
        runtime, request = self._request(args, kwargs)
        with redis_required():
            return runtime.miss_handler.refresh(request)  # type: ignore[no-any-return]

    def warm(self, *args: Any, force: bool = False, **kwargs: Any) -> Warming:
        """Ask the workers to warm the value for these arguments; see `Warmer.warm`.

        Args:
            *args: The function's arguments.
            force: Whether to compute even if the present value is fresh.
            **kwargs: The function's arguments.

        Returns:
            A `Warming`: to wait for, or to cancel.

        Raises:
            UnknownTaskError: the task was unregistered or is disabled.
            StoreUnavailableError: Redis did not answer.
        """
        return self._warm(force, args, kwargs)

    def warm_many(self, arguments: Iterable[Any], *, force: bool = False, in_flight: int = 10_000) -> BulkWarming:
        """Ask the workers to warm the values for many sets of arguments; see `Warmer.warm_many`."""
        return self._warm_many(arguments, force, in_flight)

    def invalidate(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """Delete the value for these arguments; a computation that began earlier is not published.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._invalidate(args, kwargs)


class AsyncWarmed(WarmedFunction[Parameters, Returned]):
    """An ``async def`` function whose calls read through the cache; made by ``@warmed``. As `Warmed`, with awaits.

    Example:
        >>> import asyncio
        >>> from warmer import warmed
        >>> @warmed("cube:{n}", ttl=60)
        ... async def cube(n: int) -> int:
        ...     return n**3
        >>> asyncio.run(cube(3))
        27
    """

    async def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        """As `Warmed.__call__`."""
        runtime, request = self._request(args, kwargs)
        return await runtime.cache.aget_or_compute(request)  # type: ignore[no-any-return]

    async def get(self, *args: Any, default: Any = None, **kwargs: Any) -> Returned | Any:
        """As `Warmed.get`."""
        runtime, request = self._request(args, kwargs)
        return await runtime.cache.apeek(request, default)

    async def many(self, arguments: Iterable[Any]) -> list[Returned]:
        """As `Warmed.many`; without a batch function up to 32 values are computed side by side."""
        runtime, requests = self._requests(arguments)
        found = await runtime.cache.alook_up(requests)
        missing = _missing(requests, found)
        if self.task.compute_many_fn is not None:
            return _completed(found, await runtime.miss_handler.acompute_many(missing))
        turn = asyncio.Semaphore(MAX_COMPUTATIONS)

        async def fill(request: CacheRequest) -> Any:
            async with turn:
                return await runtime.miss_handler.acompute(request)

        return _completed(found, await asyncio.gather(*map(fill, missing)))

    async def refresh(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        """As `Warmed.refresh`."""
        runtime, request = self._request(args, kwargs)
        with redis_required():
            return await runtime.miss_handler.arefresh(request)  # type: ignore[no-any-return]

    async def warm(self, *args: Any, force: bool = False, **kwargs: Any) -> Warming:
        """As `Warmed.warm`; the `Warming` can be awaited."""
        return await asyncio.to_thread(self._warm, force, args, kwargs)

    async def warm_many(self, arguments: Iterable[Any], *, force: bool = False, in_flight: int = 10_000) -> BulkWarming:
        """As `Warmed.warm_many`; the `BulkWarming` can be awaited."""
        return await asyncio.to_thread(self._warm_many, arguments, force, in_flight)

    async def invalidate(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """As `Warmed.invalidate`."""
        await asyncio.to_thread(self._invalidate, args, kwargs)


def _missing(requests: Sequence[CacheRequest], found: Sequence[Any]) -> list[CacheRequest]:
    return [request for request, value in zip(requests, found, strict=True) if value is MISSING]


def _completed(found: Sequence[Any], computed: Sequence[Any]) -> list[Any]:
    """Return the found values, with the computed ones in the place of those missing."""
    if not computed:
        return list(found)
    rest = iter(computed)
    return [next(rest) if value is MISSING else value for value in found]
