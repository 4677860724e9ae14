"""The wire under reads: sockets of our own, because a hit has to cost less than a client's GET.

    reads.py      what the cache calls: get, get_many, and the same as coroutines
    errand.py     which command goes to which server when many keys are read             (no I/O)
    resp.py       commands and replies as bytes                                          (no I/O)
    pool.py       the connections of threads; one read at a time on each
    stream.py     the connection of an event loop; its reads share it, replies come in order
    route.py      the way to a server, for both
    dial.py       opens a socket; tls.py enciphers where an event loop moves the bytes
    nodes.py      the servers; survey.py finds out which there are
    breaker.py    whether a server may be asked                                          (no I/O)
    watch.py      probes those that are away, in a thread

What holds throughout: one deadline for a read, whatever it has to do; a connection whose reply was not read to its end
is closed, so no reply reaches another caller; a user's read never probes; a forked child opens sockets of its own.
"""

from warmer.wire.multi_get import AWAY, Away, Found
from warmer.wire.reader import Reader, open_reader

__all__ = [
    "AWAY",
    "Away",
    "Found",
    "Reader",
    "open_reader",
]
