"""Draws bar charts of what a run measured."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from contenders.contender import Side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[Side, str] = {"ours": "#0f766e", "base": "#475569", "rival": "#cbd5e1", "floor": "#e2e8f0"}
COLUMNS = 2
INK, QUIET_INK = "#0f172a", "#64748b"


class Bar(NamedTuple):
    """One contender's bar, and what stands at its end."""

    name: str
    side: Side
    length: float
    label: str


class Panel(NamedTuple):
    """One chart of a picture."""

    title: str
    axis: str
    bars: Sequence[Bar]


def check_can_draw() -> None:
    """Say before anything is measured that nothing could be drawn in the end.

    Raises:
        SystemExit: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise SystemExit("--plot draws with matplotlib, which is not installed; run: pip install 'warmer[bench]'")


def draw(panels: Sequence[Panel], title: str, footnote: str, file: Path) -> None:
    """Write a picture of these panels; the file's ending says in which format.

    Args:
        panels: The charts, as many as fill whole rows.
        title: Stands above them.
        footnote: Stands below them.
        file: Where to.
    """
    from matplotlib.figure import Figure

    rows = [panels[first : first + COLUMNS] for first in range(0, len(panels), COLUMNS)]
    tallest = [max(len(panel.bars) for panel in row) for row in rows]
    figure = Figure(figsize=(6.4 * COLUMNS, 0.34 * sum(tallest) + 0.9 * len(rows) + 1.0), dpi=150, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=15, fontweight="bold", color=INK)
    grid = figure.subplots(len(rows), COLUMNS, squeeze=False, height_ratios=tallest)
    for row, line, most in zip(rows, grid, tallest, strict=True):
        for panel, axes in zip(row, line, strict=True):
            _draw_panel(axes, panel, most)
    figure.supxlabel(footnote, x=0.01, ha="left", fontsize=8, color=QUIET_INK)
    figure.savefig(file, facecolor="white")


def _draw_panel(axes: "Axes", panel: Panel, most_bars: int) -> None:
    bars = sorted(panel.bars, key=lambda bar: bar.length, reverse=True)  # the first is drawn at the bottom
    drawn = axes.barh([bar.name for bar in bars], [bar.length for bar in bars], height=0.72)
    for rectangle, bar, name in zip(drawn, bars, axes.get_yticklabels(), strict=True):
        rectangle.set_facecolor(COLOURS[bar.side])
        name.set_color(INK if bar.side != "rival" else QUIET_INK)
        name.set_fontweight("bold" if bar.side == "ours" else "normal")
    axes.bar_label(drawn, [bar.label for bar in bars], padding=4, fontsize=8, color=INK)
    axes.set_title(panel.title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(panel.axis, fontsize=8, color=QUIET_INK)
    axes.margins(x=0.24)
    # Bars are of one height throughout a row, and begin at its top.
    axes.set_ylim(len(bars) - most_bars - 0.6, len(bars) - 0.4)
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=8, colors=QUIET_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(COLOURS["rival"])
