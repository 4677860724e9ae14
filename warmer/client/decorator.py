"""The decorator ``@warmed``: declares a task for a function, and returns the warmed function."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar, overload

from warmer.client.warmed_function import AsyncWarmed, Warmed, WarmedFunction, WarmerOfFunction
from warmer.errors import InvalidTaskError
from warmer.tasks.functions import check_returns, is_async
from warmer.tasks.loading import function_of
from warmer.tasks.task import WarmingTask

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

Declare = Callable[[WarmingTask], WarmerOfFunction | Callable[[], WarmerOfFunction]]
"""Makes a task known, and returns the `Warmer` to read through, or a function that returns the default one."""

OWN_WORDS = frozenset({"default", "force"})
"""Keyword arguments of the methods of a warmed function, which its own parameters cannot have as names."""


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
        if not callable(function) or isinstance(function, WarmedFunction):
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
