"""What a worker is called: by its host, so that a health check finds its own."""

import os
import socket
from secrets import token_hex


def worker_name() -> str:
    """Return a name that no other worker has, beginning with this host's.

    Example:
        >>> is_of_this_host(worker_name())
        True
    """
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}"


def is_of_this_host(name: str) -> bool:
    """Say whether a worker of this name runs on this host, or in this container."""
    return name.rsplit("-", 2)[0] == socket.gethostname()
