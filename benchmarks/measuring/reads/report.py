"""All that a run has measured, for people and for scripts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.table import Table

from contenders.contender import Side
from measuring.figures import Figure
from measuring.reads.misses import MissFigure
from measuring.screen import STYLES, absent_lines, table_of


class Comparison(NamedTuple):
    """The same work, done by each contender."""

    kind: str
    work: str
    figures: list[Figure]

    @property
    def title(self) -> str:
        return f"{self.kind}, {self.work}"

    def of_side(self, side: Side) -> list[Figure]:
        return [figure for figure in self.figures if figure.side == side]


@dataclass
class Report:
    """All that a run has measured.

    Args:
        environment: Of this run.
        is_quick: Whether this run is a quick one.
        absent: Rivals that could not be measured, with the reason.
        comparisons: What was timed.
        misses: What was counted.
    """

    environment: dict[str, str]
    is_quick: bool = False
    absent: dict[str, str] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    misses: list[MissFigure] = field(default_factory=list)

    def find(self, kind: str, work: str) -> Comparison:
        return next(found for found in self.comparisons if (found.kind, found.work) == (kind, work))

    def ratio_of(self, figure: Figure) -> float:
        """Return the ratio that promises are judged by: in a quick run the one that other load moves less."""
        return figure.quiet_ratio if self.is_quick else figure.ratio

    def as_json(self) -> dict[str, Any]:
        return {
            "absent": self.absent,
            "comparisons": {each.title: [figure.as_json() for figure in each.figures] for each in self.comparisons},
            "misses": [miss.as_json() for miss in self.misses],
        }

    def tables(self) -> Iterator[RenderableType]:
        """Yield a table of each comparison, one of the misses, and a line for each absent library."""
        yield from map(_hits_table, self.comparisons)
        yield _misses_table(self.misses)
        yield from absent_lines(self.absent)


def _hits_table(comparison: Comparison) -> Table:
    base = comparison.of_side("base")[0]
    title = f"reading {comparison.title}  ({base.name} = 1.00)"
    table = table_of(title, "µs", "p10 to p90", "per second", "ratio")
    for figure in comparison.figures:
        spread = f"{_us(figure.p10_us)} to {_us(figure.p90_us)}"
        row = (_us(figure.median_us), spread, f"{1e6 / figure.median_us:,.0f}", f"{figure.ratio:.2f}")
        table.add_row(figure.name, *row, style=STYLES[figure.side])
    return table


def _us(microseconds: float) -> str:
    return f"{microseconds:,.0f}" if microseconds >= 1000 else f"{microseconds:.1f}"


def _misses_table(misses: Iterable[MissFigure]) -> Table:
    table = table_of(
        "a miss, in round trips (the most of all misses)", "before computing", "after", "added to the read"
    )
    for miss in sorted(misses, key=lambda miss: miss.added):
        table.add_row(miss.name, str(miss.before), str(miss.after), str(miss.added), style=STYLES[miss.side])
    return table
