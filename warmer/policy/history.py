"""Read history of one target in 47 bytes: decayed counts of its reads, enough to predict the next one.

Redis holds these bytes, and its scripts do the same arithmetic as `History.read` and `History.published`.
Each count decays exponentially, with a time constant that is a multiple of the target's ttl: a steady rate of
x reads per ttl builds up the count k * x if the time constant is k ttls (Cormode et al. 2009, forward decay).
"""

import math
import struct

from warmer.errors import PolicyStateError

EPOCH_S = 1577836800.0
"""2020-01-01 UTC: times are packed as milliseconds since then, in five bytes; 0 means never."""

SHORT_TTLS, LONG_TTLS = 4.0, 16.0
"""Time constants of the two counts of reads, in ttls."""

SESSION_TTLS, HABIT_TTLS = 64.0, 1024.0
"""Time constants of the two counts of sessions, in ttls."""

SESSION_GAP = 0.125
"""A read later than this part of a ttl after the last one begins a session."""

OPEN, TO_REFRESH, ANSWERED, LAPSED = 1, 2, 4, 8
"""Flags of a decision: not learnt from yet; refresh decided; a read came within one ttl; the value had lapsed."""

DECISION_BYTES = 6

_BYTES = struct.Struct("<IBffffBBIBIBHIBB6s")
_GAP_STEPS = 16.0
_MAX_MS = 2**40 - 1
_COST_STEPS = 2048.0
_NO_DECISION = bytes(DECISION_BYTES)

HISTORY_BYTES = _BYTES.size


class History:
    """What is known of one target's reads; all times are seconds since the epoch, 0 for never.

    Attributes:
        last_s: When it was last read.
        reads_4: Reads, decayed over 4 ttls, as of `last_s`.
        reads_16: Reads, decayed over 16 ttls.
        sessions_64: Sessions, decayed over 64 ttls: reads in quick succession count as one.
        sessions_1024: Sessions, decayed over 1024 ttls.
        gap: The gap before the latest session, as `gap_ttls` reads it; 0 for none.
        value_reads: Reads since the present value was published, at most 255.
        fresh_until_s: Until when the present value is fresh.
        baseline_until_s: Until when a plain ttl cache would have a value, on the same reads.
        cost_s: Compute seconds of the latest value.
        decided_s: When the latest decision was taken.
        flags: `OPEN`, `TO_REFRESH`, `ANSWERED`, `LAPSED`.
        decision: The basis of the decision, as `packed_decision` packs it.

    Example:
        >>> history = History()
        >>> history.read(1_700_000_000.0, reads=3, ttl_s=60.0)
        True
        >>> history.published(fresh_until_s=1_700_000_060.0, cost_s=0.25)
        >>> history.read(1_700_000_030.0, reads=1, ttl_s=60.0)
        False
        >>> round(history.reads_4, 3), history.value_reads
        (3.647, 1)
    """

    __slots__ = (
        "baseline_until_s",
        "cost_s",
        "decided_s",
        "decision",
        "flags",
        "fresh_until_s",
        "gap",
        "last_s",
        "reads_4",
        "reads_16",
        "sessions_64",
        "sessions_1024",
        "value_reads",
    )

    def __init__(self) -> None:
        self.last_s = 0.0
        self.reads_4 = 0.0
        self.reads_16 = 0.0
        self.sessions_64 = 0.0
        self.sessions_1024 = 0.0
        self.gap = 0
        self.value_reads = 0
        self.fresh_until_s = 0.0
        self.baseline_until_s = 0.0
        self.cost_s = 0.0
        self.decided_s = 0.0
        self.flags = 0
        self.decision = _NO_DECISION

    def read(self, t_s: float, reads: int, ttl_s: float) -> bool:
        """Count a batch of reads.

        Args:
            t_s: When they came; a time before the latest known read counts as that read's time.
            reads: How many, at least 1.
            ttl_s: The target's ttl.

        Returns:
            Whether a plain ttl cache would have missed: the baseline of the ledger.
        """
        last_s = self.last_s
        if t_s < last_s:
            t_s = last_s
        idle_ttls = (t_s - last_s) / ttl_s
        exp = math.exp
        self.reads_4 = self.reads_4 * exp(-idle_ttls / SHORT_TTLS) + reads
        self.reads_16 = self.reads_16 * exp(-idle_ttls / LONG_TTLS) + reads
        session = 0.0
        if idle_ttls > SESSION_GAP:
            session = 1.0
            if last_s:
                self.gap = packed_gap(idle_ttls)
        self.sessions_64 = self.sessions_64 * exp(-idle_ttls / SESSION_TTLS) + session
        self.sessions_1024 = self.sessions_1024 * exp(-idle_ttls / HABIT_TTLS) + session
        self.last_s = t_s
        value_reads = self.value_reads + reads
        self.value_reads = value_reads if value_reads < 255 else 255
        if self.flags & OPEN and self.decided_s <= t_s < self.decided_s + ttl_s:
            self.flags |= ANSWERED
        if t_s < self.baseline_until_s:
            return False
        self.baseline_until_s = t_s + ttl_s
        return True

    def published(self, fresh_until_s: float, cost_s: float) -> None:
        """Record a value, by warming or by a reader, that is fresh until `fresh_until_s` and took `cost_s` seconds."""
        self.fresh_until_s = fresh_until_s
        self.cost_s = cost_s
        self.value_reads = 0

    def pack(self) -> bytes:
        """Return the bytes that Redis holds: little-endian, times in whole milliseconds, the cost to 0.02 %."""
        last, fresh = _packed_ms(self.last_s), _packed_ms(self.fresh_until_s)
        baseline, decided = _packed_ms(self.baseline_until_s), _packed_ms(self.decided_s)
        return _BYTES.pack(
            last & 0xFFFFFFFF,
            last >> 32,
            self.reads_4,
            self.reads_16,
            self.sessions_64,
            self.sessions_1024,
            self.gap,
            self.value_reads,
            fresh & 0xFFFFFFFF,
            fresh >> 32,
            baseline & 0xFFFFFFFF,
            baseline >> 32,
            packed_cost(self.cost_s),
            decided & 0xFFFFFFFF,
            decided >> 32,
            self.flags,
            self.decision,
        )

    @classmethod
    def unpack(cls, packed: bytes) -> "History":
        """Return the history that `pack` packed.

        Raises:
            PolicyStateError: the bytes are not those of a history.
        """
        if len(packed) != HISTORY_BYTES:
            raise PolicyStateError(
                f"expected {HISTORY_BYTES} bytes of a target's history, got {len(packed)}; "
                "delete the key that holds it: it is learnt again from the next reads"
            )
        history = cls.__new__(cls)
        (
            last,
            last_high,
            history.reads_4,
            history.reads_16,
            history.sessions_64,
            history.sessions_1024,
            history.gap,
            history.value_reads,
            fresh,
            fresh_high,
            baseline,
            baseline_high,
            cost,
            decided,
            decided_high,
            history.flags,
            history.decision,
        ) = _BYTES.unpack(packed)
        history.last_s = _unpacked_s(last | last_high << 32)
        history.fresh_until_s = _unpacked_s(fresh | fresh_high << 32)
        history.baseline_until_s = _unpacked_s(baseline | baseline_high << 32)
        history.decided_s = _unpacked_s(decided | decided_high << 32)
        history.cost_s = unpacked_cost_s(cost)
        return history


def packed_cost(cost_s: float) -> int:
    """Return compute seconds in 16 bits: 2048 steps for each doubling, from a microsecond (0 below) to 71 minutes.

    Example:
        >>> packed_cost(0.0), packed_cost(2e-6), round(unpacked_cost_s(packed_cost(0.25)), 4)
        (0, 2048, 0.25)
    """
    if cost_s <= 1e-6:
        return 0
    return min(round(_COST_STEPS * math.log2(cost_s * 1e6)), 0xFFFF)


def unpacked_cost_s(packed: int) -> float:
    """Return the compute seconds that `packed_cost` packed."""
    return math.exp2(packed / _COST_STEPS) * 1e-6 if packed else 0.0


def packed_gap(gap_ttls: float) -> int:
    """Return a gap between sessions in one byte: 16 steps for each doubling, from an eighth of a ttl to 7,000 ttls.

    Example:
        >>> packed_gap(0.125), packed_gap(1.0), packed_gap(1e9)
        (1, 49, 255)
    """
    return max(1, min(1 + int(_GAP_STEPS * math.log2(gap_ttls / SESSION_GAP)), 255))


def gap_ttls(packed: int) -> float:
    """Return the gap that `packed_gap` packed, in ttls."""
    return SESSION_GAP * math.exp2((packed - 1) / _GAP_STEPS)


def _packed_ms(at_s: float) -> int:
    return min(max(round((at_s - EPOCH_S) * 1000.0), 0), _MAX_MS)


def _unpacked_s(packed_ms: int) -> float:
    return EPOCH_S + packed_ms / 1000.0 if packed_ms else 0.0
