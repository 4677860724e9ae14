"""Where one order after the other is computed, by a child that is replaced when it dies."""

import time
from collections.abc import Callable, Mapping, Sequence

from warmer.computed import Computed
from warmer.errors import described
from warmer_workers.isolation.childprocess import ChildProcess, DiedError, not_started
from warmer_workers.isolation.order import Order


class Seat:
    """A seat for one child, which is started when it is first needed.

    Args:
        import_path: Where children find modules.
        environment: Variables that they have besides those of this process.
    """

    def __init__(self, import_path: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start nothing yet."""
        self._import_path = import_path
        self._environment = environment
        self._child: ChildProcess | None = None

    def compute(self, order: Order, entrust: Callable[[ChildProcess], None]) -> list[Computed]:
        """Return what comes of each target of an order.

        After a crash, those that had not been computed are computed one by one, so that only those crash that do so
        alone.

        Args:
            order: What to compute.
            entrust: Told which child computes it, each time before it does; may raise to have nothing computed.

        Raises:
            BaseException: what `entrust` raises.
        """
        computed, crashed = self._attempt(order, order.refs, entrust)
        if crashed is None:
            return computed
        if len(order.refs) == 1:
            return [crashed]
        for ref in order.refs[len(computed) :]:
            alone, crashed = self._attempt(order, (ref,), entrust)
            computed += alone if crashed is None else [crashed]
        return computed

    def leave(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _attempt(
        self, order: Order, refs: Sequence[str], entrust: Callable[[ChildProcess], None]
    ) -> tuple[list[Computed], Computed | None]:
        """Return what was computed, and the crash that ended it, if one did."""
        before = self._child
        try:
            child = self._ready(entrust)
        except (DiedError, OSError) as error:
            reason = described(error) if isinstance(error, OSError) else str(error)
            return [Computed(0.0, error=not_started(reason)) for _ in refs], None
        sent_s = time.monotonic()
        computed: list[Computed] = []
        try:
            computed.extend(child.compute(order, refs))
        except DiedError as died:
            began_s = child.computing_since_s
            if began_s is None and child is before:  # it had died before it got this
                return self._attempt(order, refs, entrust)
            began_s = sent_s if began_s is None else began_s
            return computed, Computed(time.monotonic() - began_s, crashed=str(died))
        return computed, None

    def _ready(self, entrust: Callable[[ChildProcess], None]) -> ChildProcess:
        if self._child is None or not self._child.is_alive:
            self.leave()
            self._child = ChildProcess(self._import_path, self._environment)
        entrust(self._child)
        self._child.await_ready()
        return self._child
