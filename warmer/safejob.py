"""RQ's job, without its ways of running whatever is written in Redis."""

from collections.abc import Callable
from typing import Any, Final

from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

DRAIN: Final = "warmer_workers.jobs.drain"
OPTIMIZE: Final = "warmer_workers.jobs.optimize"

ALLOWED: Final = frozenset({DRAIN, OPTIMIZE})
"""Paths of the functions that a job may name. They are wire format: jobs of older versions name them too."""


class SafeJob(Job):
    """A job in JSON that names one of our own functions, and carries no callbacks and no webhooks.

    A plain RQ job imports any path and unpickles any bytes that stand in its hash: whoever can write to Redis can run
    anything on the workers. This one can only ever start a drain.
    """

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:  # noqa: A002
        """Create a job; whatever serializer is asked for, JSON is used."""
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
        """Take over what Redis holds, without what could make the worker call or import anything else."""
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
    if not isinstance(path, str) or path not in ALLOWED:
        raise DeserializationError(f"a job that names {path!r} is refused; only {sorted(ALLOWED)} are run")
    return path
