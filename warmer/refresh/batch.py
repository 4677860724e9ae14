"""Batch computation: many values by one call of a user's function; after a failure, halves isolate the cause."""

import inspect
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from warmer.errors import ComputationFailedError, ComputeTimeoutError, InvalidTaskError, WarmerError, shortened
from warmer.refresh.compute import ends_the_caller
from warmer.refresh.effects import Compute, Routine
from warmer.refresh.refreshed import Computed
from warmer.refresh.single_flight import computing
from warmer.tasks.loading import batch_function_of, function_of
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask

MAX_QUOTED_KEYS = 3
"""Keys of each kind that an error names where a batch function returns others than the requested ones."""


def computing_many(
    task: WarmingTask,
    targets: Sequence[Target],
    timeout_s: float | None,
    *,
    leaves_thread: bool = False,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Routine[list[Computed]]:
    """Compute the values of many targets by one call of their task's `compute_many_fn`.

    If that raises, or returns no mapping, the targets are halved, and each half is tried, until those that fail are
    alone: k of them among n cost about k log n calls. A time-out is not tried again: all targets of the call have it.

    Args:
        task: The task.
        targets: Its targets.
        timeout_s: Seconds that each call may take; None for ever.
        leaves_thread: Whether a sync function is run in a thread of its own, and abandoned at its time-out.
        monotonic_s: Measures the time.

    Returns:
        The outcome for each target, in their order.

    Raises:
        BaseException: only what ends the caller itself: a cancellation, or an exit in the main thread.

    Example:
        >>> from warmer.refresh.effects import run
        >>> def square_all(numbers):
        ...     return {n: 100 // n for n in numbers}
        >>> task = WarmingTask(task_id="hundredth", cache_key="hundredth:{n}", compute_fn="math:isqrt",
        ...                    compute_many_fn=square_all)
        >>> [one.value or one.error for one in run(computing_many(task, [task.target(n=n) for n in (5, 0)], 60))]
        [20, ZeroDivisionError('integer division or modulo by zero')]
    """
    try:
        function, names = batch_function_of(task), argument_names(task)
    except WarmerError as error:
        return [Computed(error=_copied(error)) for _ in targets]
    asked = [_asked(target, names) for target in targets]
    outcomes = _Outcomes(len(targets))
    with computing(*(target.cache_key for target in targets)):
        pending = list(_calls(task, asked, outcomes))
        while pending:
            indices = pending.pop()
            call = _Call([asked[index] for index in indices], function, monotonic_s)
            answer = yield from call.calling(timeout_s, leaves_thread)
            if isinstance(answer, list):
                outcomes.put(indices, answer)
            elif len(indices) == 1 or isinstance(answer, _WholeFailure):
                outcomes.fail(indices, answer)
            else:
                half = len(indices) // 2
                pending += [indices[half:], indices[:half]]
    return outcomes.all()


def argument_names(task: WarmingTask) -> tuple[str, ...]:
    """Return the names of a key's fields in the order in which a batch function gets their values.

    That is the order of the compute function's parameters, the same in all processes; names that it does not have
    follow in the template's order.

    Args:
        task: The task.

    Raises:
        NotImportableError: its compute function cannot be imported by its path.

    Example:
        >>> def load(shop: str, product_id: int): ...
        >>> argument_names(WarmingTask(task_id="p", cache_key="p:{product_id}:{shop}", compute_fn=load))
        ('shop', 'product_id')
    """
    named: list[str] = []
    with suppress(ValueError, TypeError):  # a function written in C may say nothing of its parameters
        named += inspect.signature(function_of(task)).parameters
    named += [field.root for field in task.template.places]
    return tuple(dict.fromkeys(name for name in named if name in task.fields))


class _WholeFailure(NamedTuple):
    """A failure that no single target can have caused: halves would fail, too."""

    error: BaseException
    duration_s: float


class _Failure(NamedTuple):
    """A failure that one of the targets may have caused."""

    error: BaseException
    duration_s: float


class _Call:
    """One call of a batch function.

    Args:
        asked: The arguments, as the function takes them.
        function: The function.
        monotonic_s: Measures the time.
    """

    def __init__(self, asked: list[Any], function: Callable[..., Any], monotonic_s: Callable[[], float]) -> None:
        self._asked = asked
        self._function = function
        self._monotonic_s = monotonic_s
        self._share_s = 0.0

    def calling(
        self, timeout_s: float | None, leaves_thread: bool
    ) -> Routine[list[Computed] | _Failure | _WholeFailure]:
        began_s = self._monotonic_s()
        try:
            function = partial(self._function, list(self._asked))  # a list of its own, which it may change
            answer = yield Compute(function, {}, timeout_s, leaves_thread)
            self._share_s = self._share_of(began_s)
            return self._outcomes_of(answer)
        except BaseException as error:
            if ends_the_caller(error):
                raise
            kind = _WholeFailure if isinstance(error, ComputeTimeoutError) else _Failure
            return kind(error, self._share_of(began_s))

    def _share_of(self, began_s: float) -> float:
        return (self._monotonic_s() - began_s) / len(self._asked)

    def _outcomes_of(self, answer: Any) -> list[Computed] | _WholeFailure:
        if not isinstance(answer, Mapping):
            raise ComputationFailedError(
                f"compute_many_fn must return a dict with the values by what it was asked for, got "
                f"{type(answer).__name__}"
            )
        if answer and not any(one in answer for one in self._asked):
            return _WholeFailure(_wrongly_keyed(self._asked, answer), self._share_s)
        return [Computed(answer.get(one), duration_s=self._share_s) for one in self._asked]


class _Outcomes:
    """The outcomes for all targets, as far as they are known; no two of them share an exception.

    Args:
        count: How many targets there are.
    """

    def __init__(self, count: int) -> None:
        self._outcomes: list[Computed | None] = [None] * count
        self._given: set[int] = set()

    def put(self, indices: Sequence[int], computed: Sequence[Computed]) -> None:
        for index, one in zip(indices, computed, strict=True):
            self._outcomes[index] = one

    def fail(self, indices: Sequence[int], failure: _Failure | _WholeFailure) -> None:
        for index in indices:
            error = failure.error
            if id(error) in self._given:  # all of them are kept, so each id is of one only
                error = _copied(error)
            self._given.add(id(error))
            self._outcomes[index] = Computed(error=error, duration_s=failure.duration_s)

    def all(self) -> list[Computed]:
        return [one for one in self._outcomes if one is not None]


def _asked(target: Target, names: Sequence[str]) -> Any:
    values = tuple(target.arguments[name] for name in names)
    return values[0] if len(values) == 1 else values


def _calls(task: WarmingTask, asked: Sequence[Any], outcomes: _Outcomes) -> Iterator[list[int]]:
    """Yield the targets of each call: one call for all, unless a dict could not tell their arguments apart."""
    by_key: dict[Hashable, list[int]] = {}
    for index, one in enumerate(asked):
        try:
            by_key.setdefault(one, []).append(index)
        except TypeError:
            outcomes.fail([index], _Failure(_not_a_key(task, one), 0.0))
    alike = list(by_key.values())  # 1 and True are different arguments, and the same key
    for turn in range(max(map(len, alike), default=0)):
        yield [indices[turn] for indices in alike if turn < len(indices)]


def _not_a_key(task: WarmingTask, asked: Any) -> InvalidTaskError:
    return InvalidTaskError(
        f"task {task.task_id!r}: compute_many_fn returns a dict keyed by the arguments, but {shortened(repr(asked))} "
        "cannot be a key; annotate its parameter with a type that can, such as an id or a frozen dataclass, or leave "
        "out compute_many_fn"
    )


def _wrongly_keyed(asked: Sequence[Any], answer: Mapping[Any, Any]) -> ComputationFailedError:
    keys = [key for _, key in zip(range(MAX_QUOTED_KEYS), answer, strict=False)]
    return ComputationFailedError(
        f"compute_many_fn was asked for {_quoted(asked[:MAX_QUOTED_KEYS])}, and returned a dict of {len(answer)} other "
        f"keys: {_quoted(keys)}; key it by exactly what it is asked for, in the same types"
    )


def _quoted(keys: Sequence[Any]) -> str:
    return ", ".join(shortened(repr(key)) for key in keys)


def _copied(error: BaseException) -> BaseException:
    """Return an exception like another, made without its constructor, which may want something else than its args."""
    kind = type(error)
    try:
        copied = kind.__new__(kind, *error.args)
        copied.args = error.args
        vars(copied).update(vars(error))
    except Exception:  # of a class that is made in a way of its own
        copied = ComputationFailedError(f"{kind.__name__}: {error}")
    copied.__cause__, copied.__context__ = error.__cause__, error.__context__
    copied.__suppress_context__ = error.__suppress_context__
    return copied.with_traceback(error.__traceback__)
