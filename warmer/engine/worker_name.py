"""Worker names: they begin with the host's name, so that a health check finds the workers of its host."""

import os
import socket
from secrets import token_hex


def worker_name() -> str:
    """Return a unique name for a worker of this host.

    Example:
        >>> is_of_this_host(worker_name())
        True
    """
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}"


def is_of_this_host(name: str) -> bool:
    """Return whether a worker of this name runs on this host, or in this container."""
    return name.rsplit("-", 2)[0] == socket.gethostname()
