"""Multi-get over a Cluster: plans one batch per node and round, and follows redirections. No I/O here.

A Cluster refuses an MGET of keys in several slots, so each node gets its GETs in one write. Keys whose slot has moved
are requested again from the node that the reply names, for at most `MAX_ROUNDS` rounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from redis.exceptions import AskError, ClusterError, MovedError, RedisError, ResponseError

from warmer.connect.address import Server
from warmer.wire import resp
from warmer.wire.breaker import is_outage
from warmer.wire.resp import Reply, Value, is_wrong_type, value_of

MAX_ROUNDS: Final = 6
"""The first round and five redirections."""


class Unavailable(Enum):
    """Result for a key whose server is unavailable: it may have a value or not."""

    UNAVAILABLE = auto()


UNAVAILABLE: Final = Unavailable.UNAVAILABLE

Found: TypeAlias = Value | Unavailable


@dataclass(frozen=True, slots=True)
class NodeBatch:
    """The commands for one server in one round.

    Args:
        server: The server.
        indices: Positions of its keys among all keys.
        is_asking: Whether each GET follows an ASKING, as an ASK redirection demands.
        request: The bytes of the commands.
        count: The number of their replies.
    """

    server: Server
    indices: tuple[int, ...]
    is_asking: bool
    request: bytes
    count: int


class MultiGet:
    """One read of many keys of a Cluster.

    Call `next_round`, then `add_replies` or `add_failure` for each of its batches, until a round is empty.

    Args:
        raw_keys: The keys in bytes.
        node_of: Returns the server that holds a key.
        on_moved: Called with a slot and its new server for each MOVED reply.

    Attributes:
        found: The result for each key.
        error: The latest error; the reason for keys that are `UNAVAILABLE`.
        rejection: A reply that rejects the command itself, such as NOPERM; None if there is none.

    Example:
        >>> multi_get = MultiGet([b"a"], lambda key: Server("one", 6379), lambda slot, server: None)
        >>> [batch] = multi_get.next_round()
        >>> multi_get.add_replies(batch, [b"value"]) is None
        True
        >>> multi_get.next_round(), multi_get.found
        ([], [b'value'])
    """

    def __init__(
        self,
        raw_keys: Sequence[bytes],
        node_of: Callable[[bytes], Server],
        on_moved: Callable[[int, Server], None],
    ) -> None:
        """Start before the first round."""
        self._raw_keys = raw_keys
        self._node_of = node_of
        self._on_moved = on_moved
        self._rounds = 0
        self._pending: dict[int, Server | None] = dict.fromkeys(range(len(raw_keys)))  # and the node that an ASK named
        self.found: list[Found] = [UNAVAILABLE] * len(raw_keys)
        self.error: RedisError = RedisError("no server was queried")
        self.rejection: RedisError | None = None

    def next_round(self) -> list[NodeBatch]:
        """Return the batches of the next round; an empty list when nothing is left to read."""
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            return []
        groups: dict[tuple[Server, bool], list[int]] = {}
        for index, ask_node in list(self._pending.items()):
            try:
                server = ask_node or self._node_of(self._raw_keys[index])
            except RedisError as error:
                self._give_up((index,), error)
            else:
                groups.setdefault((server, ask_node is not None), []).append(index)
        return [self._batch(server, is_asking, indices) for (server, is_asking), indices in groups.items()]

    def add_replies(self, batch: NodeBatch, replies: Sequence[Reply]) -> RedisError | None:
        """Add the replies to a batch.

        Returns:
            The reply that says that the server is unavailable, if there is one.
        """
        outage = None
        for index, reply in zip(batch.indices, replies[1::2] if batch.is_asking else replies, strict=True):
            if not isinstance(reply, RedisError):
                del self._pending[index]
                self.found[index] = value_of(reply)
            elif isinstance(reply, AskError):
                self._follow(index, reply, batch.server)
            elif is_wrong_type(reply):
                del self._pending[index]
                self.found[index] = None  # as in an MGET: a key of another type has no value
            else:
                self._give_up((index,), reply)
                outage = reply if is_outage(reply) else outage
        return outage

    def add_failure(self, batch: NodeBatch, error: RedisError) -> None:
        """Record that a batch had no reply."""
        self._give_up(batch.indices, error)

    def add_redirection(self, error: AskError, server: Server) -> None:
        """Record that a plain GET of the first key was redirected; it counts as a round.

        Args:
            error: The reply.
            server: The server that sent it.
        """
        self._rounds += 1
        self._follow(0, error, server)

    def _batch(self, server: Server, is_asking: bool, indices: list[int]) -> NodeBatch:
        prefix = resp.ASKING if is_asking else b""
        request = b"".join([prefix + resp.get(self._raw_keys[index]) for index in indices])
        return NodeBatch(server, tuple(indices), is_asking, request, len(indices) * (1 + is_asking))

    def _follow(self, index: int, error: AskError, server: Server) -> None:
        target = Server(error.host or server.host, error.port)
        self.error = error
        if isinstance(error, MovedError):
            self._on_moved(error.slot_id, target)
            self._pending[index] = None
        else:
            self._pending[index] = target

    def _give_up(self, indices: Sequence[int], error: RedisError) -> None:
        self.error = error
        if isinstance(error, ResponseError) and not isinstance(error, ClusterError) and not is_outage(error):
            self.rejection = error
        for index in indices:
            self._pending.pop(index, None)
