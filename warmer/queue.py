"""Hands drains to RQ: hints that there is work, never the work itself."""

import math
from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from warmer.safejob import DRAIN, SafeJob
from warmer.settings import Settings

HINT_TTL_S = 60
"""A hint nobody took for this long is dropped; the next tick gives another while there is work."""

FAILURE_TTL_S = 3600
SPARE_S = 10


class DrainQueue:
    """The one RQ queue of a namespace.

    A drain claims whatever is ready when it runs. So a waiting hint stands for all the work there is, a lost one costs
    at most a tick, and a doubled one finds nothing to do.

    Args:
        connection: Client of the control server.
        settings: The namespace names the queue.
    """

    def __init__(self, connection: "Redis", settings: Settings) -> None:
        """Prepare; nothing is sent yet."""
        self._settings = settings
        self.rq = Queue(settings.namespace, connection=connection, job_class=SafeJob, serializer=JSONSerializer)

    def hint(self, wanted: int = 1) -> int:
        """Have at least this many drains waiting; returns how many had to be added.

        Args:
            wanted: How many workers could be busy with what is ready.
        """
        missing = max(0, wanted - self.rq.count)
        for _ in range(missing):
            self.rq.enqueue_job(self.drain_job())
        return missing

    def drain_job(self) -> Any:
        """Return a new job that drains."""
        return SafeJob.create(
            DRAIN,
            connection=self.rq.connection,
            origin=self.rq.name,
            description="drain",
            timeout=math.ceil(self._settings.drain_s) + 2 * longest_task_s(self._settings),
            ttl=HINT_TTL_S,
            result_ttl=0,
            failure_ttl=FAILURE_TTL_S,
        )


def longest_task_s(settings: Settings) -> int:
    """Return how long a drain may go on after it has stopped claiming, in seconds."""
    return math.ceil(settings.longest_task_s) + SPARE_S
