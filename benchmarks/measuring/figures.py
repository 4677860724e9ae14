"""Medians, percentiles and ratios of repeated measurements."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from contenders.contender import Side

Samples = Mapping[str, Sequence[float]]
"""For each contender its measurements, one per round, all in the same rounds."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One contender's measurements, in microseconds, and beside the baseline's.

    Args:
        name: The contender.
        side: Its side.
        median_us: The median over the rounds.
        p10_us: A tenth of the rounds took no longer.
        p90_us: A tenth of the rounds took longer.
        ratio: The median over the rounds of its time divided by the baseline's in the same round, which the
            machine's slow and quick spells cancel out of.
        quiet_ratio: Its quickest round divided by the baseline's quickest round. Other load on the machine moves it
            less than a median of few rounds.
    """

    name: str
    side: Side
    median_us: float
    p10_us: float
    p90_us: float
    ratio: float
    quiet_ratio: float

    def as_json(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def figures_of(samples: Samples, sides: Mapping[str, Side]) -> list[Figure]:
    """Return each contender's figure, the quickest first."""
    base = next(samples[name] for name, side in sides.items() if side == "base")
    figures = [_figure(name, sides[name], measured, base) for name, measured in samples.items()]
    return sorted(figures, key=lambda figure: figure.median_us)


def _figure(name: str, side: Side, measured: Sequence[float], base: Sequence[float]) -> Figure:
    p10, p90 = percentiles(measured)
    quiet_ratio = min(measured) / min(base)
    ratios = [own / bare for own, bare in zip(measured, base, strict=True)]
    return Figure(name, side, statistics.median(measured), p10, p90, statistics.median(ratios), quiet_ratio)


def percentiles(measured: Sequence[float]) -> tuple[float, float]:
    """Return the 10th and the 90th percentile."""
    if len(measured) == 1:
        return measured[0], measured[0]
    tenths = statistics.quantiles(measured, n=10, method="inclusive")
    return tenths[0], tenths[-1]
