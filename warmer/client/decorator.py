"""Functions whose values are cached, and kept warm: what ``@warmed`` makes of them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypedDict, TypeVar, cast, overload

from warmer.cache.cache import MISSING
from warmer.cache.request import CacheRequest
from warmer.errors import InvalidTaskError
from warmer.on_demand.bulk.bulk_warming import BulkWarming
from warmer.on_demand.handle import Warming
from warmer.tasks.functions import check_returns, is_async
from warmer.tasks.loading import function_of
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask

if TYPE_CHECKING:
    from warmer.client.warmer import Warmer

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

Declare = Callable[[WarmingTask], Callable[[], "Warmer"]]
"""Makes a task known, and returns what says which `Warmer` to read through."""

MOST_AT_ONCE = 32
"""Values that one call of an async function's `many` has computed side by side."""

OWN_WORDS = frozenset({"default", "force"})
"""Keyword arguments of the methods of a warmed function, so not of the function itself."""


class TaskOptions(TypedDict, total=False):
    """The fields of a `WarmingTask` that ``@warmed`` takes besides the key; documented there.

    What is `compute_many_fn` there is ``batch`` here.
    """

    task_id: str
    name: str
    ttl: float
    stale_ttl: float
    refresh_ahead: float
    negative_ttl: float | None
    cache_errors: Mapping[type[Exception], float]
    jitter: float
    wait_s: float | None
    after_wait: Literal["compute", "stale", "raise"]
    codec: Literal["json", "msgpack", "bytes", "pickle"]
    compress_over_bytes: int | None
    max_value_bytes: int | None
    tags: Iterable[str]
    priority: int
    cron: str | None
    timezone: str
    enabled: bool
    critical: bool
    extra_compute: float | None
    target_hit_ratio: float | None
    budget_s_per_minute: float | None
    timeout_s: float
    batch: Callable[[list[Any]], Any] | str | None
    batch_size: int
    batch_wait_s: float
    limit: str | None
    isolation: Literal["thread", "process"]


class _WarmedFunction(Generic[Parameters, Returned]):
    """What warmed functions have in common, sync or async.

    Args:
        function: Computes the values.
        task: What it is registered as.
        find_warmer: Says which `Warmer` to read through.
    """

    def __init__(self, function: Callable[..., Any], task: WarmingTask, find_warmer: Callable[[], "Warmer"]) -> None:
        """Wrap the function; nothing is sent yet."""
        update_wrapper(cast(Callable[..., Any], self), function)
        self.task = task
        self.warmed_function = function
        self._find_warmer = find_warmer
        self._wanting: tuple[Warmer, Callable[[Target], CacheRequest]] | None = None

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

    def _wanted(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple["Warmer", CacheRequest]:
        warmer, wanting = self._find_warmer(), self._wanting
        if wanting is None or wanting[0] is not warmer:
            wanting = self._wanting = warmer, warmer._runtime.cache.wanting(self.task)
        return warmer, wanting[1](self.task.target_of_call(args, kwargs))

    def _wanted_each(self, arguments: Iterable[Any]) -> tuple["Warmer", list[CacheRequest]]:
        wanted = [self._wanted(*_spread(one))[1] for one in arguments]
        return self._find_warmer(), wanted

    def _ask(self, force: bool, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Warming:
        return self._find_warmer().ask(self.task.target_of_call(args, kwargs), force=force)

    def _ask_many(self, arguments: Iterable[Any], force: bool, in_flight: int) -> BulkWarming:
        return self._find_warmer().warm_many(self, arguments, force=force, in_flight=in_flight)  # type: ignore[arg-type]

    def _invalidate(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._find_warmer().invalidate(self.task.target_of_call(args, kwargs).cache_key)


class Warmed(_WarmedFunction[Parameters, Returned]):
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
        warmer, wanted = self._wanted(args, kwargs)
        return warmer._runtime.cache.want(wanted)  # type: ignore[no-any-return]

    def get(self, *args: Any, default: Any = None, **kwargs: Any) -> Returned | Any:
        """Return the value for these arguments if it is cached, else the default; computes nothing."""
        warmer, wanted = self._wanted(args, kwargs)
        return warmer._runtime.cache.peek(wanted, default)

    def many(self, arguments: Iterable[Any]) -> list[Returned]:
        """Return the values for many sets of arguments, in their order; those missing are computed.

        With a batch function they are computed by one call for each `batch_size` of them, one after the other.

        Args:
            arguments: For each value a dict of keyword arguments, a tuple of positional ones, or a single one.

        Raises:
            InvalidTaskError: arguments do not fit.
            Exception: what the function raises; with a batch function, once all others are cached.
        """
        warmer, wanted = self._wanted_each(arguments)
        found = warmer._runtime.cache.look_for(wanted)
        missing = _missing(wanted, found)
        is_batched = self.task.compute_many_fn is not None
        return _completed(
            found,
            warmer._runtime.cache.fill_many(missing)
            if is_batched
            else [warmer._runtime.cache.fill(one) for one in missing],
        )

    def refresh(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        """Compute the value here and now, whatever is cached, and cache it.

        Raises:
            StoreUnavailableError: Redis did not answer.
            WaitTimeoutError: another's computation took too long.
            Exception: what the function raises; what was cached before stays.
        """
        warmer, wanted = self._wanted(args, kwargs)
        return warmer.refresh_now(wanted)  # type: ignore[no-any-return]

    def warm(self, *args: Any, force: bool = False, **kwargs: Any) -> Warming:
        """Ask the workers to warm the value for these arguments.

        Args:
            *args: The function's arguments.
            force: Whether to compute even if the present value is fresh.
            **kwargs: The function's arguments.

        Returns:
            A handle to wait on.

        Raises:
            UnknownTaskError: the task was unregistered or is disabled.
            StoreUnavailableError: Redis did not answer.
        """
        return self._ask(force, args, kwargs)

    def warm_many(self, arguments: Iterable[Any], *, force: bool = False, in_flight: int = 10_000) -> BulkWarming:
        """Ask the workers to warm the values for many sets of arguments; see `Warmer.warm_many`.

        Args:
            arguments: For each value a dict of keyword arguments, a tuple of positional ones, or a single one; of any
                length, and read as values are warmed.
            force: Whether to compute even what is fresh.
            in_flight: How many may be outstanding.

        Returns:
            A handle that shows how far it is, to wait on or to cancel.

        Raises:
            UnknownTaskError: the task was unregistered or is disabled.
            StoreUnavailableError: Redis did not answer.
        """
        return self._ask_many(arguments, force, in_flight)

    def invalidate(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """Delete the value for these arguments; a computation that has begun before this is not published.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        self._invalidate(args, kwargs)


class AsyncWarmed(_WarmedFunction[Parameters, Returned]):
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
        """Return the value for these arguments, computed and cached if it is missing."""
        warmer, wanted = self._wanted(args, kwargs)
        return await warmer._runtime.cache.awant(wanted)  # type: ignore[no-any-return]

    async def get(self, *args: Any, default: Any = None, **kwargs: Any) -> Returned | Any:
        """Return the value for these arguments if it is cached, else the default; computes nothing."""
        warmer, wanted = self._wanted(args, kwargs)
        return await warmer._runtime.cache.apeek(wanted, default)

    async def many(self, arguments: Iterable[Any]) -> list[Returned]:
        """Return the values for many sets of arguments, in their order; those missing are computed side by side."""
        warmer, wanted = self._wanted_each(arguments)
        found = await warmer._runtime.cache.alook_for(wanted)
        missing = _missing(wanted, found)
        if self.task.compute_many_fn is not None:
            return _completed(found, await warmer._runtime.cache.afill_many(missing))
        turn = asyncio.Semaphore(MOST_AT_ONCE)

        async def fill(one: CacheRequest) -> Any:
            async with turn:
                return await warmer._runtime.cache.afill(one)

        return _completed(found, await asyncio.gather(*map(fill, missing)))

    async def refresh(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        """Compute the value here and now, whatever is cached, and cache it."""
        warmer, wanted = self._wanted(args, kwargs)
        return await warmer.arefresh_now(wanted)  # type: ignore[no-any-return]

    async def warm(self, *args: Any, force: bool = False, **kwargs: Any) -> Warming:
        """Ask the workers to warm the value for these arguments; the handle can be awaited."""
        return await asyncio.to_thread(self._ask, force, args, kwargs)

    async def warm_many(self, arguments: Iterable[Any], *, force: bool = False, in_flight: int = 10_000) -> BulkWarming:
        """Ask the workers to warm the values for many sets of arguments; the handle can be awaited."""
        return await asyncio.to_thread(self._ask_many, arguments, force, in_flight)

    async def invalidate(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """Delete the value for these arguments; a computation that has begun before this is not published."""
        await asyncio.to_thread(self._invalidate, args, kwargs)


class Decorator:
    """Makes a warmed function of a function: what ``warmed(...)`` returns.

    Args:
        cache_key: The key template.
        options: The other fields of the `WarmingTask`.
        declare: Makes the task known.

    Raises:
        InvalidTaskError: there is no key template.
    """

    def __init__(self, cache_key: str, options: TaskOptions, declare: Declare) -> None:
        """Keep what the task will be made of."""
        if not isinstance(cache_key, str):
            raise InvalidTaskError(
                f"warmed needs a key template, as in @warmed('product:{{product_id}}', ttl=600), got {cache_key!r}"
            )
        self._cache_key = cache_key
        self._options = options
        self._declare = declare

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine function is a function, too
        self, function: Callable[Parameters, Coroutine[Any, Any, Returned]]
    ) -> AsyncWarmed[Parameters, Returned]: ...

    @overload
    def __call__(self, function: Callable[Parameters, Returned]) -> Warmed[Parameters, Returned]: ...

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Return the warmed function.

        Raises:
            InvalidTaskError: the template, an option or the function cannot be used.
        """
        if not callable(function) or isinstance(function, _WarmedFunction):
            raise InvalidTaskError(f"warmed({self._cache_key!r}, ...) decorates a function, got {function!r}")
        task_id = self._options.get("task_id") or _dotted_name(function)
        options: dict[str, Any] = {**self._options, "task_id": task_id}
        if "batch" in options:
            options["compute_many_fn"] = options.pop("batch")
        task = WarmingTask(cache_key=self._cache_key, compute_fn=function, **options)
        return _function_of_task(task, self._declare)


def warmed_by(cache_key: str | WarmingTask, options: TaskOptions, declare: Declare) -> Any:
    """Return what ``warmed(...)`` returns: a decorator; for a whole task its function, warmed.

    Args:
        cache_key: The key template, or the task.
        options: The other fields of a `WarmingTask`; a task has its own.
        declare: Makes the task known.

    Raises:
        NotImportableError: the task's function is given by a path that leads nowhere.
        InvalidTaskError: there is neither a template nor a task, or something of it cannot be used; a generator
            function, for one.
    """
    if not isinstance(cache_key, WarmingTask):
        return Decorator(cache_key, options, declare)
    if options:
        raise InvalidTaskError(
            f"task {cache_key.task_id!r} has all its options itself, got {sorted(options)} beside it; set them in the "
            "WarmingTask"
        )
    return _function_of_task(cache_key, declare)


def _function_of_task(task: WarmingTask, declare: Declare) -> Any:
    taken = OWN_WORDS.intersection(task.fields)
    if taken:
        raise InvalidTaskError(
            f"task {task.task_id!r}: the parameter {min(taken)!r} is a word of the warmed function's own methods "
            "(.get(..., default=), .warm(..., force=)); give it another name"
        )
    function = function_of(task)
    try:
        check_returns(function)  # one that was given by its path is known only now
    except InvalidTaskError as error:
        raise InvalidTaskError(f"task {task.task_id!r} refused: {error}") from None
    kind = AsyncWarmed if is_async(function) else Warmed
    return kind(function, task, declare(task))


def _dotted_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", None)
    if name is None:
        raise InvalidTaskError(
            f"{function!r} has no name that the task could take over, as functions have; give it one: "
            "warmed(..., task_id='shop.product')"
        )
    return f"{function.__module__}.{name}".replace("<locals>.", "").replace("<lambda>", "lambda")


def _missing(wanted: Sequence[CacheRequest], found: Sequence[Any]) -> list[CacheRequest]:
    return [one for one, value in zip(wanted, found, strict=True) if value is MISSING]


def _completed(found: Sequence[Any], filled: Sequence[Any]) -> list[Any]:
    """Return what was found, with what was missing in its place."""
    if not filled:
        return list(found)
    rest = iter(filled)
    return [next(rest) if value is MISSING else value for value in found]


def _spread(arguments: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if isinstance(arguments, Mapping):
        return (), arguments
    if isinstance(arguments, tuple):
        return arguments, {}
    return (arguments,), {}
