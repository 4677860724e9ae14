"""Click callbacks for options that take comma-separated lists."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import click

T = TypeVar("T")
Callback = Callable[[click.Context, click.Parameter, str], tuple[T, ...]]


def numbers(minimum: float, maximum: float) -> Callback[float]:
    """Return the callback of an option that takes numbers within bounds."""

    def number(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not minimum <= found <= maximum:
            raise click.BadParameter(
                f"expected comma-separated numbers from {minimum:,.15g} to {maximum:,.15g}, got {text!r}"
            )
        return found

    return _list_of(number)


def names(known: Sequence[str]) -> Callback[str]:
    """Return the callback of an option that takes some of the known names."""

    def name(text: str) -> str:
        if text not in known:
            raise click.BadParameter(f"expected comma-separated names out of {', '.join(known)}, got {text!r}")
        return text

    return _list_of(name)


def _list_of(convert: Callable[[str], T]) -> Callback[T]:
    """Return a callback that converts each element, in the order given, and drops duplicates."""

    def converted(context: click.Context, option: click.Parameter, value: str) -> tuple[T, ...]:
        return tuple(dict.fromkeys(convert(text.strip()) for text in value.split(",")))

    return converted
