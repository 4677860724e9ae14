"""Where the demo's Redis is: a private server, or the one that is configured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue

from warmer import Settings, Warmer, configure
from warmer.errors import redacted
from warmer.processes.private_server import PrivateServer

HEAT_HALF_LIFE_S = 3
"""Reads count half after so long: the demo's days are seconds, so it has to forget as fast."""

COMPUTATIONS_PER_WORKER = 1
"""The demo's own machine does all the work, so workers leave some of it to the users."""


@contextmanager
def redis_place(say: Callable[[str], None]) -> Iterator[Warmer]:
    """Yield a `Warmer` with the demo's settings, which child processes inherit, and leave nothing behind.

    Args:
        say: Tells people where Redis is.
    """
    with ExitStack() as stack:
        url = os.environ.get("WARMER_REDIS_URL")
        if url is None:
            server = stack.enter_context(PrivateServer.start())
            url = server.url
            say(f"private {server.binary.name} at {url}, gone when this ends")
        else:
            stack.callback(_leave_nothing)
            say(f"Redis at {redacted(url)}")
        # A namespace of its own keeps the demo apart from whatever else is in that Redis.
        os.environ |= {
            "WARMER_REDIS_URL": url,
            "WARMER_NAMESPACE": f"warmer-demo-{os.getpid()}",
            "WARMER_EMBEDDED": "0",
            "WARMER_CONCURRENCY": str(COMPUTATIONS_PER_WORKER),
            "WARMER_HEAT_HALF_LIFE_S": str(HEAT_HALF_LIFE_S),
        }
        warmer = configure()
        stack.callback(warmer.close)
        yield warmer


def _leave_nothing() -> None:
    settings = Settings.load()
    with suppress(RedisError), Redis.from_url(settings.required_redis_url()) as redis:
        Queue(settings.namespace, connection=redis).delete(delete_jobs=True)
        for pattern in (f"{settings.namespace}:*", f"rq:job:{settings.namespace}-*"):
            for key in redis.scan_iter(pattern):
                redis.delete(key)
