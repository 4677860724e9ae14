"""Feature extraction: eight features of a target in 16 bins each, and the log-odds of a Poisson process.

All rates are reads or sessions per ttl, all durations ttls, so that tasks of any ttl share one model.
"""

import math
import struct
from bisect import bisect_right

from warmer.policy.history import (
    HABIT_TTLS,
    LONG_TTLS,
    SESSION_TTLS,
    SHORT_TTLS,
    History,
    gap_ttls,
)
from warmer.policy.model import ModelInput, model_input

IDLE_TTLS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 12.0, 30.0, 80.0)
PER_TTL = (0.004, 0.01, 0.025, 0.05, 0.1, 0.18, 0.3, 0.5, 0.8, 1.3, 2.0, 3.2, 5.0, 9.0, 18.0)
SESSIONS_PER_TTL = tuple(rate / 2.0 for rate in PER_TTL)
HABIT_PER_TTL = tuple(rate / 8.0 for rate in PER_TTL)
VALUE_READS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 18, 25, 40, 70, 120, 254)
GAPS = PER_TTL
"""The idle time, as a multiple of the gap before the latest session: a target that is read by a timer stands at 1."""
LOAD = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4, 1.6, 1.9, 2.4, 3.0)
"""The season's load over the next ttl, as a multiple of its mean."""

MIN_READS, MAX_READS = 1e-4, 30.0
"""Bounds of the rate that the Poisson log-odds are taken of, in reads per ttl."""

_DECISION = struct.Struct("<IbB")
_POISSON_STEPS = 8.0
_NO_GAP_BIN = 0

_GAP_TTLS = tuple(gap_ttls(packed) for packed in range(256))


def bins_of(history: History, now_s: float, ttl_s: float, load: float) -> tuple[list[int], float]:
    """Return the bin of each feature, and the Poisson log-odds of a read within the next ttl.

    Args:
        history: The target's reads.
        now_s: Now, at or after its latest read.
        ttl_s: Its ttl.
        load: The load over the next ttl, as a multiple of the mean.

    Example:
        >>> history = History()
        >>> history.read(1_700_000_000.0, reads=3, ttl_s=60.0)
        True
        >>> bins, poisson = bins_of(history, now_s=1_700_000_060.0, ttl_s=60.0, load=1.0)
        >>> bins, round(poisson, 2)
        ([9, 8, 5, 3, 1, 3, 0, 8], -1.65)
    """
    idle = (now_s - history.last_s) / ttl_s
    if idle < 0.0:
        idle = 0.0
    exp, bin_of = math.exp, bisect_right
    reads_16 = history.reads_16 * exp(-idle / LONG_TTLS) / LONG_TTLS
    bins = [
        bin_of(IDLE_TTLS, idle),
        bin_of(PER_TTL, history.reads_4 * exp(-idle / SHORT_TTLS) / SHORT_TTLS),
        bin_of(PER_TTL, reads_16),
        bin_of(SESSIONS_PER_TTL, history.sessions_64 * exp(-idle / SESSION_TTLS) / SESSION_TTLS),
        bin_of(HABIT_PER_TTL, history.sessions_1024 * exp(-idle / HABIT_TTLS) / HABIT_TTLS),
        bin_of(VALUE_READS, history.value_reads),
        bin_of(GAPS, idle / _GAP_TTLS[history.gap]) if history.gap else _NO_GAP_BIN,
        bin_of(LOAD, load),
    ]
    return bins, math.log(math.expm1(min(max(reads_16, MIN_READS), MAX_READS)))


def packed_decision(bins: list[int], poisson: float, log_odds: float) -> bytes:
    """Return the basis of a decision, with the model's log-odds, in 6 bytes: 4 bits a bin, log-odds in eighths."""
    a, b, c, d, e, f, g, h = bins
    return _DECISION.pack(
        a | b << 4 | c << 8 | d << 12 | e << 16 | f << 20 | g << 24 | h << 28,
        _eighths(poisson),
        _eighths(log_odds) & 0xFF,
    )


def seen_at(decision: bytes, has_lapsed: bool) -> ModelInput:
    """Return the model's input at an earlier decision, which `packed_decision` packed.

    Example:
        >>> bins = [1, 2, 3, 4, 5, 6, 7, 8]
        >>> seen_at(packed_decision(bins, 1.5, 0.0), False) == model_input(bins, False, 1.5)
        True
    """
    packed, poisson, _ = _DECISION.unpack(decision)
    bins = (
        packed & 15,
        packed >> 4 & 15,
        packed >> 8 & 15,
        packed >> 12 & 15,
        packed >> 16 & 15,
        packed >> 20 & 15,
        packed >> 24 & 15,
        packed >> 28,
    )
    return model_input(bins, has_lapsed, poisson / _POISSON_STEPS)


def _eighths(log_odds: float) -> int:
    return max(-127, min(127, round(_POISSON_STEPS * log_odds)))
