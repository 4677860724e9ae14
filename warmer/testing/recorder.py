"""A compute function that does as a test tells it, and keeps a record of its calls."""

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
    """A compute function that returns or raises what it is told, and records the arguments of its calls.

    It fits wherever a function does: as `compute_fn` of a task, under ``@warmed``, in `get_or_compute`. One made with
    `Recorder.of` has the signature of a function; this one takes any keyword arguments.

    Args:
        is_async: Whether it is to be awaited, as an ``async def`` function is.
        name: What it is called; ``recorder_1`` and so on unless told otherwise.

    Example:
        >>> load = Recorder().returns("a price")
        >>> load(product_id=42), load.calls, load.count
        ('a price', [{'product_id': 42}], 1)
    """

    calls: list[dict[str, Any]]
    """The arguments of each call by name, those left out with their defaults; `clear` it to start anew."""

    def __init__(self, *, is_async: bool = False, name: str | None = None) -> None:
        """Return None until told otherwise."""
        self._stand_in_for(_taking_anything(is_async, name or f"recorder_{next(_numbers)}"))

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Recorder":
        """Return a recorder in front of a function, with its signature; sync or async as the function is.

        Args:
            function: What computes the values, unless the recorder is told otherwise. One made by ``@warmed`` would
                read its own cached value: of that, the function inside is taken.

        Example:
            >>> def price(product_id: int, currency: str = "EUR") -> str:
            ...     return f"{product_id} {currency}"
            >>> load = Recorder.of(price)
            >>> load(42), load.calls
            ('42 EUR', [{'product_id': 42, 'currency': 'EUR'}])
        """
        recorder = cls.__new__(cls)
        recorder._stand_in_for(getattr(function, "warmed_function", function))
        return recorder

    def _stand_in_for(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)  # which makes its signature that of the function
        self.calls = []
        self._signature = inspect.signature(function)
        self._compute: Callable[[BoundArguments], Any] = lambda bound: function(*bound.args, **bound.kwargs)
        self._is_async = is_async(function)
        self._gate: Gate | None = None

    def __repr__(self) -> str:
        return f"<Recorder of {getattr(self, '__name__', 'a callable')}: {self.count} calls>"

    @property
    def count(self) -> int:
        """How often it was called."""
        return len(self.calls)

    # --- what it does --------------------------------------------------------------------------------------------
    def returns(self, value: Any) -> "Recorder":
        """Return this value from now on.

        Example:
            >>> Recorder().returns(42)()
            42
        """
        return self.computes(lambda **arguments: value)

    def raises(self, error: BaseException | type[BaseException]) -> "Recorder":
        """Raise this exception from now on.

        Example:
            >>> load = Recorder().raises(ConnectionError("the database is away"))
            >>> load()
            Traceback (most recent call last):
            ...
            ConnectionError: the database is away
        """

        def fail(**arguments: Any) -> Any:
            raise error

        return self.computes(fail)

    def computes(self, function: Callable[..., Any]) -> "Recorder":
        """Do what this function does from now on.

        Args:
            function: Called with the arguments by name; sync or, if the recorder is, async.

        Example:
            >>> Recorder().computes(lambda n: n * n)(n=7)
            49
        """
        self._compute = lambda bound: function(**_by_name(bound))
        return self

    @contextmanager
    def held(self, timeout_s: float = 10.0) -> Iterator[Gate]:
        """Hold every call of this block at a gate, until the block ends or opens it; it is recorded before that.

        Args:
            timeout_s: How long a call is held at most; then it fails.

        Example:
            >>> from threading import Thread
            >>> load = Recorder().returns(42)
            >>> with load.held() as gate:
            ...     reader = Thread(target=load)
            ...     reader.start()
            ...     gate.wait_for(1)  # from here on, the computation is under way
            >>> reader.join()
        """
        outer, self._gate = self._gate, Gate(timeout_s)
        gate = self._gate
        try:
            yield gate
        finally:
            self._gate = outer
            gate.open()

    # --- being called --------------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record the call, and do as told.

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
    """Return all arguments by name, those gathered by ``**`` among the others."""
    arguments = dict(bound.arguments)
    for name, parameter in bound.signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(name))
    return arguments


def _taking_anything(is_async: bool, name: str) -> Callable[..., Any]:
    """Return a function whose signature fits every key template, and that returns None."""

    def compute(**arguments: Any) -> Any:
        return None

    async def acompute(**arguments: Any) -> Any:
        return None

    function = acompute if is_async else compute
    function.__name__, function.__qualname__ = name, f"<locals>.{name}"  # no worker could import it
    return function
