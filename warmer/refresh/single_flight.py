"""Single-flight: of all readers of a key in this process, threads and tasks alike, one computes it."""

import asyncio
import threading
from collections.abc import Hashable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import NamedTuple, Self

from warmer.codec import Codec, Encoded
from warmer.errors import ComputationFailedError, described
from warmer.fork import ForkSafe


class FlightResult(NamedTuple):
    """The result of a computation that is shared.

    Args:
        value: The value as the leader computed it.
        encoded: The same, or another process's value, as bytes; None if there is no value.
        error: What the computation raised.
        traceback: Where it raised that.
        is_computed: Whether `value` is set.
        is_abandoned: Whether followers get nothing, because the leader was stopped or its value is too old for them:
            one of them has to lead.
    """

    value: object = None
    encoded: Encoded | None = None
    error: BaseException | None = None
    traceback: TracebackType | None = None
    is_computed: bool = False
    is_abandoned: bool = False

    @classmethod
    def with_error(cls, error: BaseException) -> Self:
        """Return the result of a flight that has failed."""
        return cls(error=error, traceback=error.__traceback__)

    @property
    def is_for_others(self) -> bool:
        """Whether followers may have it: it is a value, or the error that they would meet, too."""
        return not self.is_abandoned and (self.encoded is not None or self.error is not None)

    def for_leader(self, cache_key: str, codec: Codec) -> object:
        """Return the value, or raise what the computation raised."""
        if self.error is not None:
            raise self.error.with_traceback(self.traceback)  # not with what others have added to it
        if self.is_computed or self.encoded is None:
            return self.value
        return codec.decode(cache_key, self.encoded.number, self.encoded.payload)

    def for_follower(self, cache_key: str, codec: Codec) -> object:
        """Return a copy of the value, which nobody else can change, or raise what the computation raised."""
        if self.error is not None and not isinstance(self.error, Exception):  # it is the leader's thread that ends
            raise ComputationFailedError(f"the computation was ended by {described(self.error)}") from self.error
        return self.copied().for_leader(cache_key, codec)

    def copied(self) -> Self:
        """Return the same without the leader's own object."""
        return self._replace(value=None, is_computed=False)


NO_RESULT = FlightResult(is_abandoned=True)
"""The result of a flight whose leader was stopped."""


class InFlight(Future[FlightResult]):
    """A computation that is under way.

    Attributes:
        loop: The event loop beside which it runs; None for a thread.
        successor: The flight that took its place, because it brought nothing, or took too long.
    """

    loop: asyncio.AbstractEventLoop | None = None
    successor: "InFlight | None" = None

    @property
    def is_lost(self) -> bool:
        """Whether it will never be resolved: its loop was closed in the middle."""
        return self.loop is not None and self.loop.is_closed() and not self.done()


class SingleFlight(ForkSafe):
    """The computations of this process that are under way, by what they compute.

    Example:
        >>> flights = SingleFlight()
        >>> flight, leads = flights.join("catalog")
        >>> flights.join("catalog") == (flight, False)
        True
        >>> flights.resolve("catalog", flight, FlightResult(42))
        >>> flight.result().value, leads
        (42, True)
    """

    def _reset_after_fork(self) -> None:
        # Re-entrant: the garbage collector may end an abandoned task, and with it its flight, anywhere.
        self._lock = threading.RLock()
        self._flights: dict[Hashable, InFlight] = {}

    def join(self, name: Hashable, instead_of: InFlight | None = None) -> tuple[InFlight, bool]:
        """Return the flight of this name, and whether the caller leads it, and has to resolve it.

        Args:
            name: Names what is computed.
            instead_of: A flight that has brought nothing in time: one, and only one, takes its place. If the old one
                brings a value after all, the followers of the new one get it, too.
        """
        with self._lock:
            latest = self._flights.get(name)
            if instead_of is not None and instead_of.successor is not None:
                return instead_of.successor, False
            if latest is not None and latest is not instead_of and not latest.is_lost:
                return latest, False
            flight = self._flights[name] = InFlight()
            if instead_of is not None:
                instead_of.successor = flight
        if instead_of is not None:
            instead_of.add_done_callback(lambda ended: self._pass_on(name, flight, ended.result()))
        return flight, True

    def stop_joining(self, name: Hashable) -> None:
        """Let no more followers join: what is published now may be invalidated before they have it."""
        with self._lock:
            self._flights.pop(name, None)

    def forget_lost(self) -> None:
        """Forget the flights that will never be resolved."""
        with self._lock:
            for name in [name for name, flight in self._flights.items() if flight.is_lost]:
                del self._flights[name]

    def resolve(self, name: Hashable, flight: InFlight, result: FlightResult) -> None:
        """End a flight: all who wait get its result, and the next one starts again."""
        with self._lock:
            if self._flights.get(name) is flight:
                del self._flights[name]
        with suppress(InvalidStateError):  # the one before it was quicker, after all
            flight.set_result(result)

    def _pass_on(self, name: Hashable, flight: InFlight, result: FlightResult) -> None:
        if result.is_for_others:
            self.resolve(name, flight, result.copied())


class computing:  # noqa: N801  # reads as what it does
    """Marks a block as the computation of one key, or of those of a batch.

    Args:
        *cache_keys: The keys.
    """

    __slots__ = ("_token", "cache_keys", "is_over")

    def __init__(self, *cache_keys: str) -> None:
        """Mark nothing yet."""
        self.cache_keys = frozenset(cache_keys) if len(cache_keys) > 1 else cache_keys
        self.is_over = False  # threads and tasks that it started may live on

    def __enter__(self) -> None:
        """Begin."""
        self._token = _around.set((*_around.get(), self))

    def __exit__(self, *error: object) -> None:
        """End."""
        self.is_over = True
        with suppress(ValueError):  # closed from elsewhere, after its loop
            _around.reset(self._token)


_around: ContextVar[tuple[computing, ...]] = ContextVar("computing", default=())


def is_own(cache_key: str) -> bool:
    """Whether the running computation is for this key: waiting for it would be a deadlock.

    Example:
        >>> with computing("catalog"):
        ...     is_own("catalog")
        True
    """
    all_around = _around.get()
    return bool(all_around) and any(cache_key in one.cache_keys and not one.is_over for one in all_around)


def is_within_another() -> bool:
    """Whether this runs within a computation, which waits for it.

    Example:
        >>> is_within_another()
        False
    """
    return any(not around.is_over for around in _around.get())
