"""What those do who wait for a value that another computes."""

from contextlib import suppress

from redis.exceptions import RedisError

from warmer.filling.leader import Leader, waited_in_vain
from warmer.flights import Flight, Landed
from warmer.steps import Steps, Wait
from warmer.wanted import Wanted

OVERDUE = Landed(is_abandoned=True)
"""Stands for what has not landed in time."""


def landing_of(flight: Flight, patience_s: float | None) -> Steps[Landed]:
    """Return what a flight brought, or `OVERDUE`.

    Args:
        flight: The flight.
        patience_s: How long to wait for it; None for as long as it takes.
    """
    try:
        landed: Landed = yield Wait(flight, patience_s, flight.loop)
    except TimeoutError:
        return OVERDUE
    return landed


def after_waiting(wanted: Wanted, leader: Leader) -> Steps[Landed]:
    """Take what there is, if the task wants that, when another's computation takes too long.

    Args:
        wanted: What was waited for.
        leader: Looks for it.
    """
    if wanted.terms.after_wait == "stale":
        with suppress(RedisError):
            found = yield from leader.looking(wanted)
            if found is not None:
                return found
    return Landed.with_error(waited_in_vain(wanted))
