"""A server full of registered targets, to measure memory, ticks and claims."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType

from measuring.store.memory import WITHOUT_HISTOGRAMS, bytes_by_key, data_bytes
from measuring.store.store_calls import AT_ONCE, Flow, fleet_at
from measuring.warming.warming_tasks import NO_OP
from warmer.client.warmer import runtime_of
from warmer.processes.private_server import PrivateServer
from warmer.tasks.target import make_ref

DUE = 1000
"""Targets that one tick finds due."""

FEW, MANY = 32, 500
"""Targets in one claim: as many as a worker has threads, and the most that one call takes."""

LATEST = 10_000
"""Asking is timed for the last so many targets: what it costs beside all those that stand there already."""

NAMESPACE = "scale"


def ref_of(number: int) -> str:
    return make_ref(NO_OP.task_id, {"number": number})


@dataclass
class Timings:
    """The measurements of all rounds with one number of targets, in milliseconds.

    Args:
        ticks: One tick that moves a thousand due targets, once per round.
        claims: Claims by how many targets each of them took.
    """

    ticks: list[float] = field(default_factory=list)
    claims: dict[int, list[float]] = field(default_factory=lambda: {FEW: [], MANY: []})


class Population(AbstractContextManager["Population"]):
    """So many targets of one task on a private server of their own.

    Each has come the whole way once: asked for, claimed, completed and read. It waits for its next time, its reads are
    known, and its last refresh is still to be judged. The cached values themselves are not there.

    Args:
        targets: How many.
        histories: The share of targets whose history is remembered; if None, as many histories as by default.
    """

    def __init__(self, targets: int, histories: float | None = None) -> None:
        self.targets = targets
        self.timings = Timings()
        self.server = PrivateServer.start(args=WITHOUT_HISTOGRAMS)
        # As many reads are remembered as there are targets, or those beyond would cost less than is said. Beats far
        # apart: what goes on in the background is not measured.
        bounds = {"heat_capacity": targets} | ({"history_capacity": round(histories * targets)} if histories else {})
        self._warmer = fleet_at(self.server.url, NAMESPACE, **bounds, flush_s=60, tick_s=60)
        self._bytes_before = data_bytes(runtime_of(self._warmer).store.control)
        self._flow = Flow(self._warmer, NO_OP)
        self._asking_s = 0.0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._warmer.close()
        self.server.stop()

    def fill(self, after_chunk: Callable[[], None]) -> None:
        """Bring the targets in.

        Args:
            after_chunk: Called after each 500 of them, to show progress.
        """
        for first in range(0, self.targets, AT_ONCE):
            refs = [ref_of(number) for number in range(first, min(first + AT_ONCE, self.targets))]
            asking_s = _timed_ms(lambda refs=refs: self._flow.ask(refs)) / 1000
            if first >= self.targets - LATEST:
                self._asking_s += asking_s
            self._flow.finish(self._flow.claim(len(refs)))
            self._flow.read(refs)
            after_chunk()

    @property
    def asked_per_s(self) -> float:
        """New targets that one process requests per second, beside those that exist."""
        return min(LATEST, self.targets) / self._asking_s

    @property
    def bytes_each(self) -> float:
        """The control data that a target costs; to be asked after `fill`, before anything else."""
        return (data_bytes(runtime_of(self._warmer).store.control) - self._bytes_before) / self.targets

    def largest_parts(self, count: int) -> Mapping[str, float]:
        """Return the bytes that a target costs in each of the largest keys, by the key's name."""
        parts = sorted(
            bytes_by_key(runtime_of(self._warmer).store.control, NAMESPACE).items(), key=lambda part: -part[1]
        )
        return {name: size / self.targets for name, size in parts[:count]}

    def take_turn(self) -> None:
        """Time one tick with a thousand targets due, and claims of 500; then claims of 32 of a thousand others."""
        self._make_due()
        self.timings.ticks.append(_timed_ms(self._tick))
        self._claim_all(MANY)
        self._make_due()
        self._tick()
        self._claim_all(FEW)

    def _make_due(self) -> None:
        self._flow.make_due([ref_of(number) for number in random.sample(range(self.targets), DUE)])

    def _tick(self) -> None:
        moved = self._flow.tick()
        if moved != DUE:
            raise SystemExit(f"a tick moved {moved} of {DUE} targets that were due")

    def _claim_all(self, at_once: int) -> None:
        left = DUE
        while left > 0:
            wanted = min(at_once, left)
            started = time.perf_counter()
            batch = self._flow.claim(wanted)
            passed_ms = 1000 * (time.perf_counter() - started)
            if len(batch.claims) != wanted:
                raise SystemExit(f"a claim of {wanted} took {len(batch.claims)} targets of {left}")
            if wanted == at_once:
                self.timings.claims[at_once].append(passed_ms)
            self._flow.finish(batch)
            left -= wanted


def _timed_ms(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)


def in_turns(populations: Sequence[Population], rounds: int, after_turn: Callable[[], None]) -> None:
    """Give each population its turn in each round, in a shuffled order; the first round does not count."""
    for number in range(rounds + 1):
        for population in random.sample(populations, len(populations)):
            population.take_turn()
            after_turn()
        if number == 0:
            for population in populations:
                population.timings = Timings()
