"""Redis connections: addresses, redis-py clients, and the servers that hold the keys.

All commands except cache reads go through redis-py. This package configures it and corrects two of its habits: it
shares locks and sockets with forked children, and it connects to a Cluster in the constructor.
"""

from warmer.connect.client import connect

__all__ = [
    "connect",
]
