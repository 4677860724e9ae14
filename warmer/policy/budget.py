"""What users say of how much warming may do: one of three knobs, for one task or for all."""

from dataclasses import dataclass

from warmer.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ExtraCompute:
    """Warming may spend this part more than a plain cache would on the same reads.

    Args:
        share: 0.25 for a quarter more compute seconds; above 0, at most 100.

    Raises:
        SettingsError: the share is out of its range.

    Example:
        >>> ExtraCompute(0.25)
        ExtraCompute(share=0.25)
    """

    share: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 100.0:
            raise SettingsError(
                f"expected extra compute above 0 and at most 100, got {self.share!r}; "
                "0.25 lets warming spend a quarter more than a plain cache"
            )


@dataclass(frozen=True, slots=True)
class TargetHitRatio:
    """Warming spends as little as this hit ratio takes.

    Args:
        ratio: 0.99 for at most one read in a hundred that waits for a computation; between 0 and 1.

    Raises:
        SettingsError: the ratio is out of its range.

    Example:
        >>> TargetHitRatio(0.99)
        TargetHitRatio(ratio=0.99)
    """

    ratio: float

    def __post_init__(self) -> None:
        if not 0.0 < self.ratio < 1.0:
            raise SettingsError(
                f"expected a target hit ratio between 0 and 1, got {self.ratio!r}; "
                "0.99 lets one read in a hundred wait for a computation"
            )


@dataclass(frozen=True, slots=True)
class ComputeBudget:
    """Refreshes may take so many compute seconds each minute.

    Args:
        seconds_per_minute: 30 for half of one core; above 0.

    Raises:
        SettingsError: the budget is not above 0.

    Example:
        >>> ComputeBudget(30)
        ComputeBudget(seconds_per_minute=30)
    """

    seconds_per_minute: float

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds_per_minute < float("inf"):
            raise SettingsError(
                f"expected a compute budget above 0 seconds a minute, got {self.seconds_per_minute!r}; "
                "30 lets refreshes keep half of one core busy"
            )


Budget = ExtraCompute | TargetHitRatio | ComputeBudget
