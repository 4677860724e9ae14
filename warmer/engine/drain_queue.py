"""The RQ queue of drains: a job in it is a hint that there is work, never the work itself."""

import logging
import math
from collections.abc import Callable
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from warmer.errors import described
from warmer.settings import Settings

logger = logging.getLogger("warmer")

DRAIN: Final = "warmer_workers.jobs.drain"
OPTIMIZE: Final = "warmer_workers.jobs.optimize"

ALLOWED_PATHS: Final = frozenset({DRAIN, OPTIMIZE})
"""Paths of the functions that a job may name. They are wire format: jobs of older versions name them too."""


class SafeJob(Job):
    """A job in JSON that names one of our own functions, and carries no callbacks and no webhooks.

    A plain RQ job imports any path and unpickles any bytes in its hash: anyone who can write to Redis can run any code
    on the workers. This one can only call the functions in `ALLOWED_PATHS`.
    """

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:  # noqa: A002
        """Create a job; JSON is used whatever the serializer argument is."""
        super().__init__(id, connection, JSONSerializer)

    @property
    def func(self) -> Callable[..., Any]:
        """The function to run.

        Raises:
            DeserializationError: the job names another than the allowed ones.
        """
        function: Callable[..., Any] = import_attribute(_allowed(self.func_name))
        return function

    def restore(self, raw_data: Any) -> Any:
        """Read the job from its hash, without fields that could make the worker call or import anything else."""
        super().restore(raw_data)
        self._success_callback_name = None
        self._failure_callback_name = None
        self._stopped_callback_name = None
        self.webhooks = []

    def _deserialize_data(self) -> None:
        super()._deserialize_data()  # type: ignore[no-untyped-call]
        _allowed(self._func_name)
        if self._instance is not None:
            raise DeserializationError("a job bound to an instance is refused")


def _allowed(path: object) -> str:
    if not isinstance(path, str) or path not in ALLOWED_PATHS:
        raise DeserializationError(f"a job that names {path!r} is refused; only {sorted(ALLOWED_PATHS)} are run")
    return path


HINT_TTL_S = 60
"""A hint that no worker took for this long is dropped; the next tick adds another one while there is work."""

FAILURE_TTL_S = 3600
JOB_TIMEOUT_MARGIN_S = 10


class DrainQueue:
    """The one RQ queue of a namespace.

    A drain claims everything that is ready when it runs. So one waiting hint stands for all work, a lost hint delays
    the work by at most a tick, and a second one finds nothing to do.

    Args:
        connection: Client of the control server.
        settings: The namespace names the queue.
    """

    def __init__(self, connection: "Redis", settings: Settings) -> None:
        self._settings = settings
        self.rq = Queue(settings.namespace, connection=connection, job_class=SafeJob, serializer=JSONSerializer)

    def hint(self, wanted: int = 1) -> int:
        """Make sure that at least this many drains wait.

        Args:
            wanted: How many workers the ready targets can keep busy.

        Returns:
            How many drains were added.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        missing = max(0, wanted - self.rq.count)
        for _ in range(missing):
            self.rq.enqueue_job(self.drain_job())
        return missing

    def try_hint(self) -> None:
        """Make sure that a drain waits; if Redis does not answer, the next tick does so."""
        try:
            self.hint()
        except RedisError as error:
            logger.warning("a drain could not be requested, the next tick tries again: %s", described(error))

    def drain_job(self) -> Any:
        """Return a new job that drains."""
        return SafeJob.create(
            DRAIN,
            connection=self.rq.connection,
            origin=self.rq.name,
            description="drain",
            timeout=math.ceil(self._settings.drain_time_s) + 2 * max_task_s(self._settings),
            ttl=HINT_TTL_S,
            result_ttl=0,
            failure_ttl=FAILURE_TTL_S,
        )


def max_task_s(settings: Settings) -> int:
    """Return how long a drain may go on after it has stopped claiming, in seconds."""
    return math.ceil(settings.max_task_s) + JOB_TIMEOUT_MARGIN_S
