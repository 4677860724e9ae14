"""Where the demo's Redis is: a private server, or the one that is configured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from warmer import Warmer, configure
from warmer.errors import redacted
from warmer.server import PrivateServer

HEAT_HALF_LIFE_S = 4
"""Reads count half after so long: the demo's days are seconds, so it has to forget as fast."""

COMPUTATIONS_PER_WORKER = 1
"""The demo's own machine does all the work, so workers leave some of it to the users."""


@contextmanager
def redis_place(say: Callable[[str], None]) -> Iterator[Warmer]:
    """Yield a `Warmer` with the demo's settings, which child processes inherit."""
    url = os.environ.get("WARMER_REDIS_URL")
    if url is None:
        with PrivateServer.start() as server:
            say(f"private {server.binary.name} at {server.url}; its data is gone when this ends")
            yield from _configured(server.url)
    else:
        say(f"Redis at {redacted(url)}")
        for warmer in _configured(url):
            yield warmer
            _leave_nothing(warmer)


def _configured(url: str) -> Iterator[Warmer]:
    """Yield the default `Warmer`; a namespace of its own keeps it apart from whatever else is in that Redis."""
    os.environ |= {
        "WARMER_REDIS_URL": url,
        "WARMER_NAMESPACE": f"warmer-demo-{os.getpid()}",
        "WARMER_EMBEDDED": "0",
        "WARMER_CONCURRENCY": str(COMPUTATIONS_PER_WORKER),
        "WARMER_HEAT_HALF_LIFE_S": str(HEAT_HALF_LIFE_S),
    }
    warmer = configure()
    try:
        yield warmer
    finally:
        warmer.close()


def _leave_nothing(warmer: Warmer) -> None:
    redis, namespace = warmer.store.control, warmer.settings.namespace
    warmer.queue.rq.delete(delete_jobs=True)
    for key in redis.scan_iter(f"{namespace}:*"):
        redis.delete(key)
