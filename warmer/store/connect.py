"""Opens Redis clients; the one place that knows their options."""

import os
from typing import Any
from weakref import WeakKeyDictionary

from redis import ConnectionPool, Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from warmer.errors import SettingsError

_opened: WeakKeyDictionary[Any, tuple[str, float, bool]] = WeakKeyDictionary()


def connect(url: str, timeout_s: float, *, resend: bool = False) -> Any:
    """Open a client for one server; nothing is sent yet. It may be used in forked children, too.

    By default commands are not re-sent behind our back: a script whose reply was lost must not run twice unnoticed.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://`` address.
        timeout_s: How long to wait for a connection, and for an answer.
        resend: Whether commands whose reply was lost are sent again; for RQ, whose jobs are only hints.

    Returns:
        A `redis.Redis` that answers in bytes; untyped, because redis-py's types do not tell bytes from text.

    Raises:
        SettingsError: the address cannot be used.
    """
    client = Redis.from_pool(_pool(url, timeout_s, resend))  # which closes the pool with the client
    _opened[client] = (url, timeout_s, resend)
    return client


def _pool(url: str, timeout_s: float, resend: bool) -> ConnectionPool:
    try:
        return ConnectionPool.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(ExponentialBackoff(), 3) if resend else Retry(NoBackoff(), 0),
            protocol=2,
            decode_responses=False,
            health_check_interval=0,
        )
    except (ValueError, RedisError) as error:
        raise SettingsError(
            "the address of Redis cannot be used; expected one such as redis://localhost:6379/0, "
            f"got one that begins with {url.partition(':')[0]!r} ({type(error).__name__})"
        ) from None


def _open_anew() -> None:
    """Give a forked child pools of its own: a thread of the parent's may have held a lock of its pools, for ever."""
    for client, options in list(_opened.items()):
        client.connection_pool = _pool(*options)


os.register_at_fork(after_in_child=_open_anew)
