"""Parts of a `Warmer` that start no threads: a test does by itself what those would do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from warmer.embedded import Embedded
from warmer.guests import Guests
from warmer.pulse import Pulse
from warmer.renewal import Renewer


def without_threads(embedded: Embedded) -> Embedded:
    """Return the same with neither a scheduler nor a worker."""
    embedded.start = lambda: None  # type: ignore[method-assign]
    return embedded


def without_thread(pulse: Pulse) -> Pulse:
    """Return the same without its thread; `Pulse.beat` is called by the test."""
    pulse.start = lambda worker=None: None  # type: ignore[method-assign]
    return pulse


def without_reports(guests: Guests) -> Guests:
    """Return the same without its thread; nobody is told."""
    guests._ensure_running = lambda: None  # type: ignore[method-assign]
    return guests


class StillRenewer(Renewer):
    """Renews nothing: leases and claims on a clock that stands still do not lapse."""

    def __init__(self) -> None:
        """Hold nothing."""
        super().__init__(interval_s=1.0)

    @contextmanager
    def holding(self, renew: Callable[[], object]) -> Iterator[None]:
        """Run the block."""
        yield
