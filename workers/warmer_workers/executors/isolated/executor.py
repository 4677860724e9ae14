"""Hands computations over to processes of their own, and takes back what came of them."""

from collections.abc import Iterable
from functools import partial

from warmer.refresh.refreshed import Computed
from warmer.settings import Settings
from warmer_workers.computation import Computation, Tell, claim_of
from warmer_workers.executors.isolated.order import ComputeRequest
from warmer_workers.executors.isolated.process_pool import ProcessPool


class IsolatedExecutor:
    """A drain's processes for computations that need one.

    Args:
        settings: How many, and how values are stored.
        tell: Told what came of each computation.
    """

    def __init__(self, settings: Settings, tell: Tell) -> None:
        """Start without any."""
        self._settings = settings
        self._tell = tell
        self._processes = ProcessPool(settings.isolated_processes)
        self._orders: dict[Computation, ComputeRequest] = {}

    def do(self, computations: Iterable[Computation]) -> None:
        """Have computations carried out."""
        for computation in computations:
            order = self._orders[computation] = self._order_of(computation)
            self._processes.do(order, partial(self._told, computation))

    def leave_behind(self, computation: Computation) -> None:
        """Kill the process that computes; another takes its place."""
        order = self._orders.pop(computation, None)
        if order is not None:
            self._processes.give_up(order)

    def dismiss(self) -> None:
        """Kill all processes."""
        self._processes.dismiss()

    def look(self) -> None:
        """Take note of which computations have begun: they may have waited for a process, or for it to start."""
        for computation, order in list(self._orders.items()):
            computation.started_s = self._processes.computing_since_s(order)

    def _told(self, computation: Computation, computed: list[Computed]) -> None:
        self._orders.pop(computation, None)
        self._tell(computation, computed)

    def _order_of(self, computation: Computation) -> ComputeRequest:
        first = computation.works[0]
        task = first.task
        return ComputeRequest(
            definition=claim_of(first).definition.encode(),
            compute_path=task.compute_path,
            compute_many_path=task.compute_many_path,
            cache_errors=task.cache_errors,
            refs=tuple(work.ref for work in computation.works),
            timeout_s=computation.timeout_s,
            max_value_bytes=self._settings.max_value_bytes,
            signing_key=self._settings.signing_key(),
        )
