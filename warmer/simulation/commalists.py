"""Lists in one argument of a command, such as `300,900`."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import click

T = TypeVar("T")
Convert = Callable[[click.Context, click.Parameter, str], tuple[T, ...]]
"""What click calls with an option's text."""


def numbers(least: float, most: float) -> Convert[float]:
    """Return what takes a list of numbers apart.

    Args:
        least: The least that is accepted.
        most: The most that is accepted.
    """

    def number(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not least <= found <= most:
            raise click.BadParameter(f"expected numbers from {least:,.15g} to {most:,.15g}, with commas, got {text!r}")
        return found

    return _list_of(number)


def names(known: Sequence[str]) -> Convert[str]:
    """Return what takes a list of names apart.

    Args:
        known: The names that are accepted.
    """

    def name(text: str) -> str:
        if text not in known:
            raise click.BadParameter(f"expected names out of {', '.join(known)}, with commas, got {text!r}")
        return text

    return _list_of(name)


def _list_of(convert: Callable[[str], T]) -> Convert[T]:
    """Return what takes each element once, in the order given."""

    def converted(context: click.Context, option: click.Parameter, value: str) -> tuple[T, ...]:
        return tuple(dict.fromkeys(convert(text.strip()) for text in value.split(",")))

    return converted
