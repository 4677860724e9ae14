"""The fleet's switch: whether warming is on, and for which targets."""

from dataclasses import asdict, dataclass
from typing import Self

import orjson


@dataclass(frozen=True, slots=True)
class Switch:
    """Switch of the whole fleet: whether warming is on, and for which targets.

    Args:
        on: Whether anything is refreshed by schedule.
        interval_s: Critical targets are refreshed at least this often, in seconds.
        pattern: Whether other targets are refreshed if their reads make it worth its cost.
        critical: Whether critical targets are kept warm whatever their reads.

    Example:
        >>> Switch.from_json(Switch(on=True).to_json()) == Switch(on=True)
        True
    """

    on: bool = False
    interval_s: float = 3600.0
    pattern: bool = True
    critical: bool = True

    def to_json(self) -> bytes:
        """Return the switch as Redis keeps it."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes | None) -> Self:
        """Return the switch that Redis keeps; off when there is none yet."""
        return cls(**orjson.loads(text)) if text else cls()
