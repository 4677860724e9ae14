"""What a line of recorded reads says."""

from typing import NamedTuple


class Row(NamedTuple):
    """Reads of one key at one moment.

    Args:
        time_s: When, in seconds; since the epoch if the source says so, else since any moment.
        key: Which key.
        reads: How many reads, at least 1.
        cost_s: How long one computation of the key took, in seconds; None if the source does not say.
    """

    time_s: float
    key: str
    reads: int = 1
    cost_s: float | None = None
