"""The wire client under cache reads: plain sockets and RESP2, because a hit must cost less than redis-py's GET.

    reader.py            what the cache calls: get, get_many and their coroutines
    wire_reader.py       reads over sockets; memory_reader.py reads a server in this process
    multi_get.py         plans reads of many keys, node by node                        (no I/O)
    resp.py              commands and replies as bytes                                 (no I/O)
    pool.py              a server's connections for threads; connection.py is one of them
    loop_connections.py  a server's connections for event loops; pipeline.py is one of them
    endpoint.py          what a new connection to a server needs
    sockets.py           opens sockets by a deadline; tls.py encrypts in event loops
    nodes.py             the servers that hold keys; discovery.py finds them
    breaker.py           one server's circuit breaker                                  (no I/O)
    prober.py            a thread that probes unavailable servers

Invariants: one deadline covers a whole read. A connection whose replies were not read completely is closed, so no reply
reaches another caller. A user's read is never a probe. A forked child opens its own sockets.
"""

from warmer.wire.multi_get import UNAVAILABLE, Found, Unavailable
from warmer.wire.reader import Reader, open_reader

__all__ = [
    "UNAVAILABLE",
    "Found",
    "Reader",
    "Unavailable",
    "open_reader",
]
