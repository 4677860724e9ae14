"""Access for RQ and rq-scheduler, which send commands of their own."""

from typing import Any, NamedTuple


class RqAccess(NamedTuple):
    """Connection and key names that RQ and rq-scheduler need to keep their queue and their schedule in the namespace.

    Args:
        connection: Client of the control server.
        scheduled_jobs: Key of rq-scheduler's schedule.
        scheduler_instances: Prefix of the keys in which rq-scheduler keeps its processes.
        leader: Key of the token of the scheduler that leads; only that one moves jobs.
    """

    connection: Any
    scheduled_jobs: str
    scheduler_instances: str
    leader: str
