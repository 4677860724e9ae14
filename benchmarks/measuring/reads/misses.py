"""Round trips of a miss beside its computation: counted, not timed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from contenders.contender import Contender, Side
from measuring.reads.round_trips import CountingProxy
from measuring.rounds import settled


@dataclass(frozen=True, slots=True)
class MissFigure:
    """The round trips of the miss that took most of them.

    Args:
        name: The contender.
        side: Its side.
        before: From the call to the begin of the computation; the read that finds nothing is one of them.
        after: From the end of the computation until the caller has its value.
    """

    name: str
    side: Side
    before: int
    after: int

    @property
    def added(self) -> int:
        """Round trips beside the read itself."""
        return self.before + self.after - 1

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "added": self.added}


class Watched:
    """A computation that notes how many round trips there had been when it ran.

    Args:
        proxy: Counts them.
        value: What is computed.
    """

    def __init__(self, proxy: CountingProxy, value: Any) -> None:
        self._proxy = proxy
        self._value = value
        self._computed_at = 0

    def compute(self, key: str) -> Any:
        self._computed_at = self._proxy.round_trips
        return self._value

    async def async_compute(self, key: str) -> Any:
        return self.compute(key)

    async def count(self, contender: Contender, keys: Sequence[str]) -> MissFigure:
        """Return what the misses of these keys took at most; the first opens connections and does not count."""
        trips = [await self._miss(contender, key) for key in keys]
        return MissFigure(contender.name, contender.side, *max(trips[1:], key=sum))

    async def _miss(self, contender: Contender, key: str) -> tuple[int, int]:
        called_at, self._computed_at = self._proxy.round_trips, -1
        await settled(contender.ask(key))
        if self._computed_at < 0:
            raise SystemExit(f"{contender.name} did not compute {key}, which nobody had cached")
        return self._computed_at - called_at, self._proxy.round_trips - self._computed_at
