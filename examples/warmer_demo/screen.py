"""The screen of the demo: one picture of the fleet and its users, as tables or as one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .measure import WAYS, Experience, Way
from .reasons import chance, why
from .snapshot import Snapshot, State, Target

BAR_WIDTH = 5
MARKS: dict[State, str] = {"computing": "▶", "waiting": "·", "planned": "", "expiring": ""}


@dataclass(frozen=True, slots=True)
class Picture:
    """The data of one picture.

    Args:
        elapsed_s: Seconds since the first read.
        snapshot: The state of the fleet.
        users: The experience of users with warming and without.
    """

    elapsed_s: float
    snapshot: Snapshot
    users: dict[Way, Experience]

    def hit_ratio(self, way: Way) -> float:
        """Return the part of the reads that found a value."""
        if way == "with":
            return self.snapshot.stats.performance.hit_ratio
        users = self.users[way]
        return 1 - users.computations / max(1, users.latencies.reads)

    def computed_by_workers(self, way: Way) -> int:
        """Return how many values were computed before users asked for them."""
        return self.snapshot.stats.performance.total_warmings if way == "with" else 0


def screen(picture: Picture, until: str) -> RenderableType:
    """Return everything, for a terminal."""
    title = Text.assemble(("warmer demo", "bold"), f"  {picture.elapsed_s:.0f} s {until}")
    return Group(title, _headline(picture), _fleet(picture), _targets(picture))


def line(picture: Picture) -> str:
    """Return the main figures in one line, for output that is not a terminal."""
    ways = "; ".join(f"{way} warming {_short(picture, way)}" for way in WAYS)
    backlog = picture.snapshot.stats.backlog
    return f"{picture.elapsed_s:4.0f} s  {ways}; backlog {backlog}; computing {_computing(picture)}"


def summary(picture: Picture) -> Table:
    """Return the final comparison, with and without warming."""
    table = Table("", "with warming", "without", box=SIMPLE_HEAD)
    table.columns[1].style = "bold green"
    for column in table.columns[1:]:
        column.justify = "right"
    for label, cell in _MEASURES.items():
        table.add_row(label, *(cell(picture, way) for way in WAYS))
    return table


_MEASURES: dict[str, Callable[[Picture, Way], str]] = {
    "reads": lambda picture, way: str(picture.users[way].latencies.reads),
    "hits": lambda picture, way: f"{100 * picture.hit_ratio(way):.1f} %",
    "half of the reads took at most": lambda picture, way: f"{picture.users[way].latencies.percentile_ms(50):.1f} ms",
    "99 of 100 took at most": lambda picture, way: f"{picture.users[way].latencies.percentile_ms(99):.1f} ms",
    "the slowest took": lambda picture, way: f"{picture.users[way].latencies.slowest_ms:.0f} ms",
    "users waited in total": lambda picture, way: f"{picture.users[way].latencies.waited_s:.1f} s",
    "computed by workers": lambda picture, way: str(picture.computed_by_workers(way)),
    "computed by waiting users": lambda picture, way: str(picture.users[way].computations),
}


def _headline(picture: Picture) -> Table:
    table = Table.grid(padding=(0, 2))
    for way, style in zip(WAYS, ("bold green", ""), strict=True):
        table.add_row(f"{way} warming", _short(picture, way), style=style)
    return table


def _short(picture: Picture, way: Way) -> str:
    latencies = picture.users[way].latencies
    return (
        f"{100 * picture.hit_ratio(way):.1f} % hits, p50 {latencies.percentile_ms(50):.1f} ms, "
        f"p99 {latencies.percentile_ms(99):.1f} ms, slowest {latencies.slowest_ms:.0f} ms"
    )


def _fleet(picture: Picture) -> Text:
    stats = picture.snapshot.stats
    parts = [f"workers {stats.workers}", f"backlog {stats.backlog}"]
    if stats.performance.judged:
        parts.append(f"{stats.performance.efficiency_score:.0f} % of refreshes used")
    parts.append(f"computing {_computing(picture)}")
    return Text("   ".join(parts), style="cyan", no_wrap=True, overflow="ellipsis")


def _computing(picture: Picture) -> str:
    computing = [target for target in picture.snapshot.targets if target.state == "computing"]
    return ", ".join(f"{target.name} ({why(target, picture.snapshot.threshold)})" for target in computing) or "nothing"


def _targets(picture: Picture) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", width=1)
    table.add_column("dashboard", no_wrap=True, max_width=22)
    table.add_column("prio", justify="right", min_width=4)
    table.add_column("/min", justify="right", min_width=4)
    table.add_column("chance", justify="right", min_width=6)
    table.add_column("fresh for", no_wrap=True, min_width=10)
    table.add_column("ms", justify="right", min_width=4)
    table.add_column("why", no_wrap=True, min_width=22)
    for target in picture.snapshot.targets:
        table.add_row(*_cells(target, picture.snapshot.threshold), style=_style(target))
    return table


def _cells(target: Target, threshold: float) -> list[str]:
    return [
        MARKS[target.state],
        target.name,
        str(target.priority),
        f"{60 * target.reads_per_s:.0f}",
        f"{100 * chance(target):.0f} %",
        _freshness(target),
        "" if target.compute_ms is None else f"{target.compute_ms:.0f}",
        why(target, threshold),
    ]


def _freshness(target: Target) -> str:
    if target.fresh_for_s is None:
        return "-" * BAR_WIDTH
    filled = min(BAR_WIDTH, round(BAR_WIDTH * target.fresh_for_s / target.ttl_s))
    return "█" * filled + "░" * (BAR_WIDTH - filled) + f" {target.fresh_for_s:4.1f}"


def _style(target: Target) -> str:
    if target.state == "computing":
        return "bold yellow"
    return "dim" if target.state == "expiring" else ""
