"""Compute functions: what they are, where they live, and whether they can compute a task's values."""

import inspect
from collections.abc import Callable
from typing import Any

from warmer.errors import InvalidTaskError


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling a function gives a coroutine: it is ``async def``, or wraps one, or its ``__call__`` is.

    Example:
        >>> is_async(print)
        False
    """
    innermost = inspect.unwrap(getattr(function, "func", function))
    return any(map(inspect.iscoroutinefunction, (function, type(function).__call__, innermost)))


def path_of(function: Callable[..., Any] | str) -> str:
    """Return where a function lives, as ``"module:function"``.

    Example:
        >>> import math
        >>> path_of(math.sqrt), path_of("shop.catalog:load")
        ('math:sqrt', 'shop.catalog:load')
    """
    if isinstance(function, str):
        return function
    innermost = getattr(function, "func", function)  # a functools.partial names its inner one
    return f"{getattr(innermost, '__module__', '?')}:{getattr(innermost, '__qualname__', repr(type(innermost)))}"


def check_returns(function: Callable[..., Any] | str, name: str = "compute_fn") -> None:
    """Refuse a function that yields its values one by one: there is nothing to be cached before they are asked for.

    Args:
        function: A compute function; of one that is given by its path nothing is known yet.
        name: What it was given as, for the message.

    Raises:
        InvalidTaskError: it is a generator function, sync or async.

    Example:
        >>> check_returns(lambda: [1, 2])
    """
    if isinstance(function, str):
        return
    wanted, made = ("a value that can be cached", "list") if name == "compute_fn" else ("a dict", "dict")
    for called in (function, type(function).__call__):  # an instance may be called, too
        if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
            raise InvalidTaskError(
                f"{name} must return {wanted}, but it is a generator function, which yields; collect what it yields "
                f"and return a {made}"
            )


def check_batch_function(function: Callable[..., Any] | str) -> None:
    """Refuse a function that cannot compute many values at once: it takes one list, and returns a dict.

    Args:
        function: What was given as `compute_many_fn`; of one that is given by its path nothing is known yet.

    Raises:
        InvalidTaskError: it yields, or cannot be called with one list by position.

    Example:
        >>> check_batch_function(lambda numbers: {n: n * n for n in numbers})
    """
    if isinstance(function, str):
        return
    check_returns(function, "compute_many_fn")
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # one written in C says nothing of its parameters
        return
    try:
        signature.bind([])
    except TypeError:
        raise InvalidTaskError(
            "compute_many_fn must take one list by position and return a dict, as in "
            f"'def load_many(product_ids): return {{1: ..., 2: ...}}', but it takes {signature}"
        ) from None
