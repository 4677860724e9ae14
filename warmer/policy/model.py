"""Online logistic regression: the chance of a read within the next ttl, learnt from the outcome of each decision.

    chance = sigmoid(w0 * poisson + b + sum of W_f[bin_f] + W[idle, sessions] + W[idle, value reads])

`poisson` is the log-odds that a Poisson process of the target's decayed read rate would give: before it has learnt, the
model is that process. Weights move by Adagrad (Duchi et al. 2011) as soon as the outcome of a decision is known. It is
known whether or not the target was refreshed, so that learning needs no experiments.
"""

import math
import sys
from array import array
from collections.abc import Sequence

from warmer.errors import PolicyStateError

FEATURES, BINS = 8, 16
IDLE, READS_4, READS_16, SESSIONS_64, SESSIONS_1024, VALUE_READS, TIMER, LOAD = range(FEATURES)
"""The features: see `warmer.policy.features`."""

RATE = 0.07
"""Adagrad's learning rate."""

_LAPSED_AT = FEATURES * BINS
_IDLE_BY_SESSIONS_AT = _LAPSED_AT + 2
_IDLE_BY_VALUE_READS_AT = _IDLE_BY_SESSIONS_AT + BINS * BINS
_BIAS_AT = _IDLE_BY_VALUE_READS_AT + BINS * BINS
_POISSON_AT = _BIAS_AT + 1
_WEIGHTS = _POISSON_AT + 1

ModelInput = tuple[list[int], float]
"""The indices of a target's weights, and its Poisson log-odds."""


def model_input(bins: Sequence[int], has_lapsed: bool, poisson: float) -> ModelInput:
    """Return the model's input.

    Args:
        bins: The bin of each feature, from 0 to 15.
        has_lapsed: Whether the value is no longer fresh.
        poisson: The log-odds of a read within the next ttl if reads were a Poisson process.

    Example:
        >>> weights, poisson = model_input([0] * 8, has_lapsed=False, poisson=1.5)
        >>> weights
        [0, 16, 32, 48, 64, 80, 96, 112, 128, 130, 386, 642]
    """
    idle, reads_4, reads_16, sessions_64, sessions_1024, value_reads, timer, load = bins
    return [
        idle,
        16 + reads_4,
        32 + reads_16,
        48 + sessions_64,
        64 + sessions_1024,
        80 + value_reads,
        96 + timer,
        112 + load,
        _LAPSED_AT + has_lapsed,
        _IDLE_BY_SESSIONS_AT + 16 * idle + sessions_64,
        _IDLE_BY_VALUE_READS_AT + 16 * idle + value_reads,
        _BIAS_AT,
    ], poisson


class Model:
    """The weights, and Adagrad's sums of squared gradients.

    Example:
        >>> model, seen = Model(), model_input([3] * 8, has_lapsed=False, poisson=0.0)
        >>> model.log_odds(seen)
        0.0
        >>> for _ in range(100):
        ...     model.learn(seen, was_read=True)
        >>> model.log_odds(seen) > 2
        True
    """

    __slots__ = ("_squares", "_weights")

    def __init__(self) -> None:
        self._weights = [0.0] * _WEIGHTS
        self._weights[_POISSON_AT] = 1.0
        self._squares = [1.0] * _WEIGHTS

    def log_odds(self, seen: ModelInput) -> float:
        """Return the log-odds of a read within the next ttl."""
        weights = self._weights
        return weights[_POISSON_AT] * seen[1] + sum(map(weights.__getitem__, seen[0]))

    def learn(self, seen: ModelInput, was_read: bool) -> None:
        """Learn from the outcome of a decision: its input, and whether a read came within one ttl."""
        weights, squares, sqrt = self._weights, self._squares, math.sqrt
        gradient = chance_of(self.log_odds(seen)) - was_read
        square, step = gradient * gradient, RATE * gradient
        for index in seen[0]:
            total = squares[index] + square
            squares[index] = total
            weights[index] -= step / sqrt(total)
        poisson = seen[1]
        total = squares[_POISSON_AT] + square * poisson * poisson
        squares[_POISSON_AT] = total
        weights[_POISSON_AT] -= step * poisson / sqrt(total)

    def to_bytes(self) -> bytes:
        """Return the model as Redis holds it: 4-byte floats, the weights and then the sums."""
        return _little_endian(array("f", self._weights + self._squares)).tobytes()

    @classmethod
    def from_bytes(cls, packed: bytes) -> "Model":
        """Return the model that `to_bytes` packed.

        Raises:
            PolicyStateError: the bytes are not those of a model.
        """
        if len(packed) != 8 * _WEIGHTS:
            raise PolicyStateError(
                f"expected {8 * _WEIGHTS} bytes of a model, got {len(packed)}; "
                "delete the key that holds it: it is learnt again from the next reads"
            )
        floats = _little_endian(array("f", packed)).tolist()
        model = cls.__new__(cls)
        model._weights, model._squares = floats[:_WEIGHTS], floats[_WEIGHTS:]
        return model


def chance_of(log_odds: float) -> float:
    """Return the probability that has these log-odds.

    Example:
        >>> chance_of(0.0), round(chance_of(2.0), 3), chance_of(-1000.0)
        (0.5, 0.881, 0.0)
    """
    if log_odds >= 0.0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds) if log_odds > -700.0 else 0.0
    return odds / (1.0 + odds)


def _little_endian(floats: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        floats.byteswap()
    return floats
