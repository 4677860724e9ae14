"""Opens Redis clients; the one place that knows their options."""

from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from warmer.errors import SettingsError


def connect(url: str, timeout_s: float, *, resend: bool = False) -> Any:
    """Open a client for one server; nothing is sent yet.

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
    try:
        return Redis.from_url(
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
