"""The real traces that policies are replayed on, and what each can say."""

from pathlib import Path
from typing import NamedTuple

TRACES = Path(__file__).parents[2] / "traces"


class Recorded(NamedTuple):
    """One trace, and for how long values are fresh.

    Args:
        name: The trace's file, without its ending.
        ttls_s: Times to live, in seconds: not shorter than the trace tells times apart.
    """

    name: str
    ttls_s: tuple[float, ...]

    @property
    def file(self) -> Path:
        return TRACES / f"{self.name}.csv.gz"


ALL = (
    Recorded("wc98", (300.0, 900.0, 3600.0, 21_600.0)),
    Recorded("nasa", (300.0, 900.0, 3600.0, 21_600.0)),
    Recorded("azure", (600.0, 1800.0, 3600.0, 21_600.0)),
    Recorded("semicomplete", (3600.0, 21_600.0)),
)
QUICK = (Recorded("nasa", (900.0,)), Recorded("semicomplete", (3600.0,)))
