"""Charts of misses removed against compute, one for each trace and ttl (matplotlib)."""

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from warmer.errors import SettingsError
from warmer.simulation.policies import BASELINE, FIXED, POLICIES, PRODUCTION
from warmer.simulation.result import ComparisonRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
INK, QUIET_INK, OURS = "#0f172a", "#64748b", "#0f766e"
COLOURS = {
    PRODUCTION: OURS,
    "all": QUIET_INK,
    "tiers": "#b45309",
    "xfetch": "#7c3aed",
    "rlfu": "#2563eb",
    "rlru": "#db2777",
    "clairvoyant": "#94a3b8",
}
MARGIN = 1.08
"""Each chart ends this far beyond the most expensive policy with a setting; policies beyond it are named at its
edge."""


def check_can_draw(file: Path) -> None:
    """Check before a long replay that its picture can be drawn, and written to this file.

    Raises:
        SettingsError: matplotlib is not installed, or the file's folder does not exist.
    """
    if find_spec("matplotlib") is None:
        raise SettingsError("--plot needs matplotlib, which is not installed; run: pip install 'warmer[bench]'")
    if not file.parent.is_dir():
        raise SettingsError(f"--plot expected a file in a folder that exists, got {str(file)!r}")


def draw(rows: Sequence[ComparisonRow], file: Path, footnote: str = "") -> None:
    """Write a picture with one chart for each trace and ttl.

    Args:
        rows: Ordered by trace and ttl.
        file: Where to; its suffix is the format.
        footnote: Stands below the charts.

    Raises:
        SettingsError: The file cannot be written, or its format is not known.
    """
    from matplotlib.figure import Figure

    groups = [(key, list(group)) for key, group in groupby(rows, key=lambda row: (row.trace, row.ttl_s))]
    columns = min(COLUMNS, len(groups))
    lines = ceil(len(groups) / columns)
    figure = Figure(figsize=(max(3.4 * columns, 6.8), 2.8 * lines + 0.8), dpi=110, layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, ((trace, ttl_s), group) in zip(grid.flat, groups, strict=False):
        _draw_chart(axes, f"{trace}, ttl {ttl_s:g} s", group)
    for axes in list(grid.flat)[len(groups) :]:
        axes.set_axis_off()
    _draw_legend(figure, list(grid.flat)[: len(groups)])
    figure.supxlabel(footnote, x=0.01, ha="left", fontsize=8, color=QUIET_INK)
    try:
        figure.savefig(file, facecolor="white")
    except (OSError, ValueError) as error:
        raise SettingsError(f"--plot expected a file such as frontier.png, got {str(file)!r}: {error}") from error


def _draw_chart(axes: "Axes", title: str, rows: Sequence[ComparisonRow]) -> None:
    highest = max([row.result.compute_ratio for row in rows if row.extra_compute is not None], default=2.0)
    right = 1.0 + MARGIN * (highest - 1.0)
    beyond = []
    for policy, group in groupby(rows, key=lambda row: row.policy):
        points = sorted((row.result.compute_ratio, 100 * row.result.removed) for row in group)
        if policy in FIXED and points[0][0] > right:
            beyond.append(f"{policy}: {points[0][1]:.0f} % at {points[0][0]:.1f}x")
        elif policy != BASELINE:
            _draw_policy(axes, policy, points)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlim(1.0, right)
    axes.set_ylim(0, 100)
    axes.set_xlabel("compute (a plain cache = 1)", fontsize=8, color=QUIET_INK)
    axes.set_ylabel("misses removed, %", fontsize=8, color=QUIET_INK)
    axes.tick_params(labelsize=8, colors=QUIET_INK)
    axes.grid(color="#e2e8f0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.text(0.99, 0.02, "\n".join(beyond), transform=axes.transAxes, ha="right", fontsize=7, color=QUIET_INK)


def _draw_policy(axes: "Axes", policy: str, points: Sequence[tuple[float, float]]) -> None:
    if policy in FIXED:
        axes.plot(*points[0], label=policy, color=COLOURS[policy], marker="D", markersize=5, linestyle="none")
        return
    computes, removed = zip((1.0, 0.0), *points, strict=True)
    axes.plot(
        computes,
        removed,
        label=policy,
        color=COLOURS[policy],
        marker="o",
        markersize=3,
        linewidth=2.4 if policy == PRODUCTION else 1.2,
        linestyle="--" if policy == "clairvoyant" else "-",
        zorder=3 if policy == PRODUCTION else 2,
    )


def _draw_legend(figure: "Figure", charts: Sequence["Axes"]) -> None:
    lines = {label: line for axes in charts for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels = [policy for policy in POLICIES if policy in lines]
    figure.legend(
        [lines[label] for label in labels], labels, loc="outside upper left", ncols=8, frameon=False, fontsize=9
    )
