"""Draws how figures grow with the number of things, which stands on a logarithmic scale."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from measuring.charts.bars import COLOURS, COLUMNS, INK, QUIET_INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STROKES = (COLOURS["ours"], COLOURS["base"])


class Curves(NamedTuple):
    """One chart of a picture.

    Args:
        title: Stands above it.
        axis: What the numbers are.
        values: For each curve its numbers, one for each number of things.
        limit: A line that is not to be crossed, if there is one.
    """

    title: str
    axis: str
    values: Mapping[str, Sequence[float]]
    limit: float | None = None


def draw_curves(
    charts: Sequence[Curves], numbers: Sequence[int], things: str, title: str, note: str, file: Path
) -> None:
    """Write a picture of these charts; the file's ending says in which format.

    Args:
        charts: As many as fill whole rows.
        numbers: Of the things, the same for all curves.
        things: What they are.
        title: Stands above the charts.
        note: Stands below them.
        file: Where to.
    """
    from matplotlib.figure import Figure

    rows = -(-len(charts) // COLUMNS)
    figure = Figure(figsize=(6.4 * COLUMNS, 3.0 * rows + 0.8), dpi=150, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=15, fontweight="bold", color=INK)
    for chart, axes in zip(charts, figure.subplots(rows, COLUMNS, squeeze=False).flat, strict=True):
        _draw_chart(axes, chart, numbers, things)
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=QUIET_INK)
    figure.savefig(file, facecolor="white")


def _draw_chart(axes: "Axes", chart: Curves, numbers: Sequence[int], things: str) -> None:
    for (name, values), colour in zip(chart.values.items(), STROKES, strict=False):
        axes.plot(numbers, values, marker="o", linewidth=2, color=colour, label=name)
        for number, value in zip(numbers, values, strict=True):
            label = f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
            axes.annotate(label, (number, value), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8)
    if chart.limit is not None:
        axes.axhline(chart.limit, linestyle="--", linewidth=1, color=QUIET_INK, label=f"promised: {chart.limit:,.0f}")
    if chart.limit is not None or len(chart.values) > 1:
        axes.legend(frameon=False, fontsize=8, loc="center")
    axes.set_xscale("log")
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.set_xlim(numbers[0] / 2, numbers[-1] * 2)
    axes.minorticks_off()
    axes.set_ylim(0, 1.25 * max(chart.limit or 0, *map(max, chart.values.values())))
    axes.set_title(chart.title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(things, fontsize=8, color=QUIET_INK)
    axes.set_ylabel(chart.axis, fontsize=8, color=QUIET_INK)
    axes.tick_params(labelsize=8, colors=QUIET_INK)
    axes.spines[["top", "right"]].set_visible(False)
