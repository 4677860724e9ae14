"""Draws what each policy achieves for what it spends."""

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from warmer.errors import SettingsError
from warmer.simulation.policies import FIXED, PLAIN, POLICIES, PRICED
from warmer.simulation.result import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
INK, QUIET_INK, OURS = "#0f172a", "#64748b", "#0f766e"
COLOURS = {
    PRICED: OURS,
    "all": QUIET_INK,
    "tiers": "#b45309",
    "xfetch": "#7c3aed",
    "rlfu": "#2563eb",
    "rlru": "#db2777",
    "clairvoyant": "#94a3b8",
}
BEYOND = 1.08
"""The picture ends so far beyond the dearest policy that takes orders; what spends more is named at its edge."""


def check_can_draw(file: Path) -> None:
    """Say before anything is replayed that nothing could be drawn in the end.

    Args:
        file: Where the picture shall be written.

    Raises:
        SettingsError: matplotlib is not installed, or the file's folder is not there.
    """
    if find_spec("matplotlib") is None:
        raise SettingsError("--plot draws with matplotlib, which is not installed; run: pip install 'warmer[bench]'")
    if not file.parent.is_dir():
        raise SettingsError(f"--plot expected a file in a folder that exists, got {str(file)!r}")


def draw(findings: Sequence[Finding], file: Path, footnote: str = "") -> None:
    """Write a picture with one chart for each trace and ttl; the file's ending says in which format.

    Args:
        findings: What was found, in the order of traces and ttls.
        file: Where to.
        footnote: Stands below the charts.

    Raises:
        SettingsError: It cannot be written there, or not in that format.
    """
    from matplotlib.figure import Figure

    groups = [
        (key, list(group)) for key, group in groupby(findings, key=lambda finding: (finding.trace, finding.ttl_s))
    ]
    columns = min(COLUMNS, len(groups))
    rows = ceil(len(groups) / columns)
    figure = Figure(figsize=(max(3.4 * columns, 6.8), 2.8 * rows + 0.8), dpi=110, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
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


def _draw_chart(axes: "Axes", title: str, findings: Sequence[Finding]) -> None:
    dearest = max([found.replayed.compute_ratio for found in findings if found.extra_compute is not None], default=2.0)
    right = 1.0 + BEYOND * (dearest - 1.0)
    beyond = []
    for policy, group in groupby(findings, key=lambda finding: finding.policy):
        points = sorted((found.replayed.compute_ratio, 100 * found.replayed.removed) for found in group)
        if policy in FIXED and points[0][0] > right:
            beyond.append(f"{policy}: {points[0][1]:.0f} % at {points[0][0]:.1f}x")
        elif policy != PLAIN:
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
        linewidth=2.4 if policy == PRICED else 1.2,
        linestyle="--" if policy == "clairvoyant" else "-",
        zorder=3 if policy == PRICED else 2,
    )


def _draw_legend(figure: "Figure", charts: Sequence["Axes"]) -> None:
    lines = {label: line for axes in charts for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels = [policy for policy in POLICIES if policy in lines]
    figure.legend(
        [lines[label] for label in labels], labels, loc="outside upper left", ncols=8, frameon=False, fontsize=9
    )
