"""Isolated executor of a drain: sends computations to a process pool, and reports their outcomes."""

from collections.abc import Iterable
from functools import partial

from warmer.refresh.refreshed import Computed
from warmer.settings import Settings
from warmer_workers.computation import Computation, Report, claim_of
from warmer_workers.executors.isolated.compute_request import ComputeRequest
from warmer_workers.executors.isolated.process_pool import ProcessPool


class IsolatedExecutor:
    """Computes in isolated processes.

    Args:
        settings: The number of processes, the signing key and the limit of a value's size.
        report: Receives the outcome of each computation.
    """

    def __init__(self, settings: Settings, report: Report) -> None:
        self._settings = settings
        self._report = report
        self._processes = ProcessPool(settings.isolated_processes)
        self._requests: dict[Computation, ComputeRequest] = {}

    def submit(self, computations: Iterable[Computation]) -> None:
        """Queue computations."""
        for computation in computations:
            request = self._requests[computation] = self._request_of(computation)
            self._processes.submit(request, partial(self._report_computed, computation))

    def abandon(self, computation: Computation) -> None:
        """Kill the process of a computation; another one takes its place."""
        request = self._requests.pop(computation, None)
        if request is not None:
            self._processes.cancel(request)

    def shutdown(self) -> None:
        """Kill all processes."""
        self._processes.shutdown()

    def update_starts(self) -> None:
        """Record which computations have begun; before, they waited for a process or for its start."""
        for computation, request in list(self._requests.items()):
            computation.started_s = self._processes.computing_since_s(request)

    def _report_computed(self, computation: Computation, computed: list[Computed]) -> None:
        self._requests.pop(computation, None)
        self._report(computation, computed)

    def _request_of(self, computation: Computation) -> ComputeRequest:
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
