"""Single-flight: of all who want the same key in this process, threads and tasks alike, one computes it."""

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
    """What a flight brought.

    Args:
        value: What the leader computed itself.
        encoded: The same, or what another process computed, as bytes; None if there is no value.
        error: What the computation raised.
        traceback: Where it raised that.
        is_computed: Whether `value` is set.
        is_abandoned: Whether it is not for others, because the leader was stopped or its value is too old for them:
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
        """Return what a flight brought that has failed."""
        return cls(error=error, traceback=error.__traceback__)

    @property
    def is_for_others(self) -> bool:
        """Whether it brought what others may have: a value, or the error that they would meet, too."""
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


class InFlight(Future[FlightResult]):
    """A computation that is under way; its result is what it brings.

    Attributes:
        loop: The event loop beside which it runs; None for a thread.
        successor: What began in its place, when it brought nothing, or took too long.
    """

    loop: asyncio.AbstractEventLoop | None = None
    successor: "InFlight | None" = None

    @property
    def is_lost(self) -> bool:
        """Whether it will never land: its loop was closed in the middle."""
        return self.loop is not None and self.loop.is_closed() and not self.done()


class SingleFlight(ForkSafe):
    """The computations of this process that are under way, by what they compute.

    Example:
        >>> flights = SingleFlight()
        >>> flight, leads = flights.board("catalog")
        >>> flights.board("catalog") == (flight, False)
        True
        >>> flights.land("catalog", flight, FlightResult(42))
        >>> flight.result().value, leads
        (42, True)
    """

    def _reset_after_fork(self) -> None:
        # Re-entrant: the garbage collector may end an abandoned task, and with it its flight, anywhere.
        self._lock = threading.RLock()
        self._flights: dict[Hashable, InFlight] = {}

    def board(self, name: Hashable, instead_of: InFlight | None = None) -> tuple[InFlight, bool]:
        """Return the flight of this name, and whether the caller leads it, and has to land it.

        Args:
            name: What is computed.
            instead_of: A flight that was waited for in vain: one, and only one, takes its place. If the old one brings
                a value after all, those who wait for the new one have it, too.
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
            instead_of.add_done_callback(lambda landing: self._pass_on(name, flight, landing.result()))
        return flight, True

    def close(self, name: Hashable) -> None:
        """Take nobody else on board: what is published now may be invalidated before they have it."""
        with self._lock:
            self._flights.pop(name, None)

    def forget_lost(self) -> None:
        """Forget the flights that will never land."""
        with self._lock:
            for name in [name for name, flight in self._flights.items() if flight.is_lost]:
                del self._flights[name]

    def land(self, name: Hashable, flight: InFlight, landed: FlightResult) -> None:
        """End a flight: whoever waits gets what it brought, and the next one starts anew."""
        with self._lock:
            if self._flights.get(name) is flight:
                del self._flights[name]
        with suppress(InvalidStateError):  # the one before it was quicker, after all
            flight.set_result(landed)

    def _pass_on(self, name: Hashable, flight: InFlight, landed: FlightResult) -> None:
        if landed.is_for_others:
            self.land(name, flight, landed.copied())


class computing:  # noqa: N801  # reads as what it does
    """Marks, for a block, what the computation in it is for: one key, or those of a batch.

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
    """Say whether this very computation is for that key: it would wait for itself.

    Example:
        >>> with computing("catalog"):
        ...     is_own("catalog")
        True
    """
    return any(cache_key in around.cache_keys and not around.is_over for around in _around.get())


def is_within_another() -> bool:
    """Say whether this is part of a computation, which waits for it.

    Example:
        >>> is_within_another()
        False
    """
    return any(not around.is_over for around in _around.get())
