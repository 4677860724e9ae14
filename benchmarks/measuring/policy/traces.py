"""The recorded traces that policies are replayed on, with the ttls that each trace can resolve."""

from pathlib import Path
from typing import NamedTuple

TRACES = Path(__file__).parents[2] / "traces"


class RecordedTrace(NamedTuple):
    """One trace, and the ttls of its replays.

    Args:
        name: The name of its file, without suffix.
        ttls_s: Ttls in seconds, not shorter than the resolution of the trace's times.
    """

    name: str
    ttls_s: tuple[float, ...]

    @property
    def file(self) -> Path:
        return TRACES / f"{self.name}.csv.gz"


ALL = (
    RecordedTrace("wc98", (300.0, 900.0, 3600.0, 21_600.0)),
    RecordedTrace("nasa", (300.0, 900.0, 3600.0, 21_600.0)),
    RecordedTrace("azure", (600.0, 1800.0, 3600.0, 21_600.0)),
    RecordedTrace("semicomplete", (3600.0, 21_600.0)),
)
QUICK = (RecordedTrace("nasa", (900.0,)), RecordedTrace("semicomplete", (3600.0,)))
