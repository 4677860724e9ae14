"""Clients of Redis, whatever stands at an address, and which of its servers holds a key.

Everything but reads goes through redis-py; here is what it is told, and what is mended of its habits: it shares locks
and sockets with forked children, and connects to a Cluster while it is constructed.
"""

from warmer.connect.client import connect

__all__ = [
    "connect",
]
