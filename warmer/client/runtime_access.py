"""Access to the runtime of a `Warmer`: made at first use of Redis, with a private server where none is configured."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from redis.exceptions import RedisError

from warmer.client.embedded import Embedded
from warmer.errors import StoreUnavailableError, described
from warmer.fork import ForkSafe
from warmer.runtime import Runtime
from warmer.settings import Settings
from warmer.spawn import Spawn, start_thread
from warmer.tasks.registry import Registry

Made = TypeVar("Made")


class _Lazy(Generic[Made]):
    """An attribute that is made at first use, once, however many threads come; later reads call nothing."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._make = make
        self._name = make.__name__

    def __get__(self, instance: Any, owner: object = None) -> Made:
        attributes = vars(instance)
        with instance._making:
            if self._name not in attributes:
                attributes[self._name] = self._make(instance)
        made: Made = attributes[self._name]
        return made


class RuntimeAccess(ForkSafe):
    """Base of a `Warmer`: its settings, the tasks of this process and the runtime, which users do not see.

    Args:
        settings: All settings; from ``WARMER_*`` variables when not given.
    """

    _spawn: Spawn = staticmethod(start_thread)
    """Starts all threads of this object; `warmer.testing` starts none."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Prepare; nothing is sent and no thread runs yet."""
        self._settings = settings or Settings.load()
        self._is_embedded = self._settings.embedded
        self._registry = Registry()
        self._embedded = Embedded(self._spawn)
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._making = threading.RLock()

    @property
    def settings(self) -> Settings:
        """The settings, as they were configured."""
        return self._settings

    def close(self) -> None:
        """Send counted reads that were not sent yet, stop all threads and close all connections."""
        self._embedded.stop()
        if "_runtime" in vars(self):
            self._runtime.close()
        self._embedded.stop_server()

    @_Lazy
    def _runtime(self) -> Runtime:
        if self._settings.redis_url is None and self._is_embedded:
            return self._compose(self._settings.model_copy(update={"redis_url": self._embedded.start_server()}))
        return self._compose(self._settings)

    def _compose(self, settings: Settings) -> Runtime:
        runtime = Runtime(settings, self._registry, spawn=self._spawn)
        runtime.registration.accepts_local = self._is_embedded
        return runtime

    def _embed(self, is_embedded: bool) -> None:
        with self._making:
            self._is_embedded = is_embedded
            if "_runtime" in vars(self):
                self._runtime.registration.accepts_local = is_embedded


@contextmanager
def redis_required() -> Iterator[None]:
    """Raise `StoreUnavailableError` for an error of Redis in this block, since nothing can be done without it.

    Raises:
        StoreUnavailableError: Redis did not answer, or refused.
    """
    try:
        yield
    except RedisError as error:
        raise StoreUnavailableError(
            f"Redis did not do what was asked ({described(error)}); check that the server at WARMER_REDIS_URL "
            "is up and accepts writes, then try again"
        ) from error
