"""Redis of the demo: a private server, or the configured one."""

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
"""Half-life of the read rates; short, because popularity in the demo changes within seconds."""

COMPUTATIONS_PER_WORKER = 1
"""The demo runs on one machine, so workers leave processor time to the users."""


@contextmanager
def demo_warmer(announce: Callable[[str], None]) -> Iterator[Warmer]:
    """Yield a `Warmer` with the demo's settings, which child processes inherit; delete all data at the end.

    Args:
        announce: Called with a line about the address of Redis.
    """
    with ExitStack() as stack:
        url = os.environ.get("WARMER_REDIS_URL")
        if url is None:
            server = stack.enter_context(PrivateServer.start())
            url = server.url
            announce(f"private {server.binary.name} at {url}, its data is lost at the end")
        else:
            stack.callback(_delete_all)
            announce(f"Redis at {redacted(url)}")
        # A separate namespace keeps the demo's data apart from other data in that Redis.
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


def _delete_all() -> None:
    settings = Settings.load()
    with suppress(RedisError), Redis.from_url(settings.required_redis_url()) as redis:
        Queue(settings.namespace, connection=redis).delete(delete_jobs=True)
        for pattern in (f"{settings.namespace}:*", f"rq:job:{settings.namespace}-*"):
            for key in redis.scan_iter(pattern):
                redis.delete(key)
