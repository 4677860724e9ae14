"""Recorder: a compute function for tests that returns or raises what a test sets, and records its calls."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from inspect import BoundArguments
from itertools import count
from typing import Any

from warmer.tasks.functions import is_async
from warmer.testing.gate import Gate

_numbers = count(1)


class Recorder:
    """A compute function that returns or raises what a test sets, and records the arguments of its calls.

    It can stand for any function: as `compute_fn` of a task, under ``@warmed``, in `get_or_compute`. One made with
    `Recorder.of` has the signature of a function; this one takes any keyword arguments.

    Args:
        is_async: Whether it must be awaited, as an ``async def`` function.
        name: Its ``__name__``; by default ``recorder_1`` and so on.

    Example:
        >>> load = Recorder().returns("a price")
        >>> load(product_id=42), load.calls, load.count
        ('a price', [{'product_id': 42}], 1)
    """

    calls: list[dict[str, Any]]
    """The arguments of each call by name, with defaults filled in; ``calls.clear()`` removes the record."""

    def __init__(self, *, is_async: bool = False, name: str | None = None) -> None:
        self._replace(_function_of_any_arguments(is_async, name or f"recorder_{next(_numbers)}"))

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Recorder":
        """Return a recorder with the signature of a function; it is async if the function is.

        Args:
            function: Computes the values, until the test sets another result. Of a function under ``@warmed``, the one
                inside is used, as the outer one would read its own cached value.

        Example:
            >>> def price(product_id: int, currency: str = "EUR") -> str:
            ...     return f"{product_id} {currency}"
            >>> load = Recorder.of(price)
            >>> load(42), load.calls
            ('42 EUR', [{'product_id': 42, 'currency': 'EUR'}])
        """
        recorder = cls.__new__(cls)
        recorder._replace(getattr(function, "warmed_function", function))
        return recorder

    def _replace(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)  # this also sets the signature
        self.calls = []
        self._signature = inspect.signature(function)
        self._compute: Callable[[BoundArguments], Any] = lambda bound: function(*bound.args, **bound.kwargs)
        self._is_async = is_async(function)
        self._gate: Gate | None = None

    def __repr__(self) -> str:
        return f"<Recorder of {getattr(self, '__name__', 'a callable')}: {self.count} calls>"

    @property
    def count(self) -> int:
        """Number of calls."""
        return len(self.calls)

    # --- results -------------------------------------------------------------------------------------------------
    def returns(self, value: Any) -> "Recorder":
        """Return this value from now on."""
        return self.computes(lambda **arguments: value)

    def raises(self, error: BaseException | type[BaseException]) -> "Recorder":
        """Raise this exception from now on."""

        def fail(**arguments: Any) -> Any:
            raise error

        return self.computes(fail)

    def computes(self, function: Callable[..., Any]) -> "Recorder":
        """Call this function from now on.

        Args:
            function: Called with the arguments by name; it may be async if the recorder is.
        """
        self._compute = lambda bound: function(**_by_name(bound))
        return self

    @contextmanager
    def held(self, timeout_s: float = 10.0) -> Iterator[Gate]:
        """Hold every call at a gate, until the block ends or opens it; a call is recorded before it is held.

        Args:
            timeout_s: The longest time a call is held, in seconds; then it raises `WaitTimeoutError`.

        Example:
            >>> from threading import Thread
            >>> load = Recorder().returns(42)
            >>> with load.held() as gate:
            ...     reader = Thread(target=load)
            ...     reader.start()
            ...     gate.wait_for(1)  # now the computation has begun
            >>> reader.join()
        """
        outer, self._gate = self._gate, Gate(timeout_s)
        gate = self._gate
        try:
            yield gate
        finally:
            self._gate = outer
            gate.open()

    # --- calls ---------------------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record the call, and return or raise what was set.

        Raises:
            TypeError: the arguments do not fit the signature.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return self._acall(bound) if self._is_async else self._call(bound)

    def _call(self, bound: BoundArguments) -> Any:
        gate = self._gate
        self.calls.append(_by_name(bound))
        if gate is not None:
            gate.hold()
        return self._compute(bound)

    async def _acall(self, bound: BoundArguments) -> Any:
        gate = self._gate
        self.calls.append(_by_name(bound))
        if gate is not None:
            await gate.ahold()
        value = self._compute(bound)
        return await value if inspect.isawaitable(value) else value


def _by_name(bound: BoundArguments) -> dict[str, Any]:
    """Return all arguments by name, including those collected by ``**``."""
    arguments = dict(bound.arguments)
    for name, parameter in bound.signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(name))
    return arguments


def _function_of_any_arguments(is_async: bool, name: str) -> Callable[..., Any]:
    """Return a function that takes any keyword arguments, so that it fits every key template, and returns None."""

    def compute(**arguments: Any) -> Any:
        return None

    async def acompute(**arguments: Any) -> Any:
        return None

    function = acompute if is_async else compute
    function.__name__, function.__qualname__ = name, f"<locals>.{name}"  # no worker could import it
    return function
