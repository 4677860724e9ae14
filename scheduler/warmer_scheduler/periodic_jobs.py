"""Periodic jobs of the fleet, as a pure function of the switch."""

from dataclasses import dataclass

from warmer.engine.drain_queue import OPTIMIZE
from warmer.tasks.switch import Switch

OPTIMIZE_INTERVAL_S = 600


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """A job that rq-scheduler enqueues again and again.

    Args:
        job_id: Its id, the same for every scheduler, so that there is only one.
        path: What it runs.
        every_s: How often, in whole seconds.
        timeout_s: How long it may take.
    """

    job_id: str
    path: str
    every_s: int
    timeout_s: int = 60


def periodic_jobs(namespace: str, switch: Switch) -> list[PeriodicJob]:
    """Return the periodic jobs that should stand in the schedule.

    Targets are no jobs: their due times are in the `due` set, where nothing can be lost between two commands. Only
    what the fleet does as a whole is a periodic job.

    Args:
        namespace: Makes the ids unique.
        switch: What warming covers.

    Example:
        >>> [job.every_s for job in periodic_jobs("warmer", Switch(on=True))]
        [600]
    """
    if not (switch.on and switch.pattern):
        return []
    return [PeriodicJob(f"{namespace}-optimize", OPTIMIZE, OPTIMIZE_INTERVAL_S)]
