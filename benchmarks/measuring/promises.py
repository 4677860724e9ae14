"""What is promised, what was measured, and whether it holds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, beside what this run measured.

    Args:
        text: What is promised.
        measured: What was measured, as it is shown.
        is_held: Whether that is what was promised.
    """

    text: str
    measured: str
    is_held: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def verdict(promises: Sequence[Promise]) -> Table:
    """Return the table that says which promises this run has found kept."""
    table = Table("promise", "measured in this run", "held", title="verdict", title_justify="left")
    for promise in promises:
        table.add_row(
            escape(promise.text), escape(promise.measured), "[green]yes[/]" if promise.is_held else "[bold red]no[/]"
        )
    return table


def exit_code(promises: Sequence[Promise]) -> int:
    """Return 0 if every promise is held, else 1."""
    return 0 if all(promise.is_held for promise in promises) else 1
