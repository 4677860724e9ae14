"""A promise beside its measurement, and the verdict on all of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

HELD, NOT_HELD, NOT_JUDGED = "held", "not held", "not judged"
STYLES = {HELD: "green", NOT_HELD: "bold red", NOT_JUDGED: "yellow"}


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, beside what this run measured.

    Args:
        text: The promise.
        measured: The measurement, as it is shown; why there is none, if the promise is not judged.
        is_held: Whether the measurement keeps the promise; None if this run cannot judge it.
        is_noisy: Whether other load on the machine moves the measurement. A quick run measures such a promise again
            before it counts as not held; bytes, counts and round trips are not noisy.
    """

    text: str
    measured: str
    is_held: bool | None
    is_noisy: bool = False

    @property
    def state(self) -> str:
        if self.is_held is None:
            return NOT_JUDGED
        return HELD if self.is_held else NOT_HELD

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "state": self.state}


def not_judged(text: str, why: str) -> Promise:
    """Return a promise that this run cannot judge, with the reason."""
    return Promise(text, why, None)


def better(first: Sequence[Promise], second: Sequence[Promise]) -> list[Promise]:
    """Return the promises of two runs: a noisy one is held if either run found it held, others by the first run."""
    again = {promise.text: promise for promise in second}
    return [_better(promise, again[promise.text]) for promise in first]


def _better(first: Promise, second: Promise) -> Promise:
    return second if first.is_noisy and first.is_held is False and second.is_held else first


def verdict(promises: Sequence[Promise]) -> Table:
    """Return the table of the promises and their states."""
    table = Table("promise", "measured in this run", "held", title="verdict", title_justify="left")
    for promise in promises:
        style = STYLES[promise.state]
        table.add_row(escape(promise.text), escape(promise.measured), f"[{style}]{promise.state}[/]")
    return table


def exit_code(promises: Sequence[Promise]) -> int:
    """Return 0 if every promise that was judged is held, and at least one was judged; else 1."""
    states = {promise.state for promise in promises}
    return 0 if HELD in states and NOT_HELD not in states else 1
