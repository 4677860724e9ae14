"""Which command goes to which server when many keys are read, and what their answers mean. Nothing is sent here.

One server gets one MGET. A Cluster refuses one for keys of several slots, so each of its nodes gets its GETs in one
piece. Keys whose slot has moved are asked for again where the answer said, some times; their number is a round's.
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

MOST_ROUNDS: Final = 6
"""The first try, and five redirections."""


class Away(Enum):
    """What is known of a key whose server is away: nothing."""

    AWAY = auto()


AWAY: Final = Away.AWAY

Found: TypeAlias = Value | Away


@dataclass(frozen=True, slots=True)
class NodeBatch:
    """What one server is asked in one round.

    Args:
        server: Which server.
        indices: Which of the keys.
        is_asking: Whether the server has them only for those who say ASKING.
        request: The bytes of the commands.
        count: How many answers they have.
    """

    server: Server
    indices: tuple[int, ...]
    is_asking: bool
    request: bytes
    count: int


class MultiGet:
    """Reads many keys of a Cluster, round by round: `legs`, then `take` or `failed` for each, until there are none.

    Args:
        names: The keys as Redis knows them.
        node_of: Says which server holds a key.
        moved: Told of slots that have moved, and where to.

    Example:
        >>> errand = MultiGet([b"a"], lambda key: Server("one", 6379), lambda slot, server: None)
        >>> [leg] = errand.legs()
        >>> errand.take(leg, [b"value"]) is None
        True
        >>> errand.legs(), errand.found
        ([], [b'value'])
    """

    def __init__(
        self,
        names: Sequence[bytes],
        node_of: Callable[[bytes], Server],
        moved: Callable[[int, Server], None],
    ) -> None:
        """Plan nothing yet."""
        self._names = names
        self._node_of = node_of
        self._moved = moved
        self._rounds = 0
        self._left: dict[int, Server | None] = dict.fromkeys(range(len(names)))  # and who knows a key in passing
        self.found: list[Found] = [AWAY] * len(names)
        self.error: RedisError = RedisError("nothing was asked")
        self.refusal: RedisError | None = None

    def legs(self) -> list[NodeBatch]:
        """Return what to ask next; nothing when all is answered."""
        self._rounds += 1
        if self._rounds > MOST_ROUNDS:
            return []
        groups: dict[tuple[Server, bool], list[int]] = {}
        for index, asked in list(self._left.items()):
            try:
                server = asked or self._node_of(self._names[index])
            except RedisError as error:
                self._give_up((index,), error)
            else:
                groups.setdefault((server, asked is not None), []).append(index)
        return [self._leg(server, is_asking, indices) for (server, is_asking), indices in groups.items()]

    def take(self, leg: NodeBatch, replies: Sequence[Reply]) -> RedisError | None:
        """Note what a server answered.

        Args:
            leg: What it was asked.
            replies: Its answers.

        Returns:
            The answer that says that it is of no use for now, if one does.
        """
        outage = None
        for index, reply in zip(leg.indices, replies[1::2] if leg.is_asking else replies, strict=True):
            if not isinstance(reply, RedisError):
                del self._left[index]
                self.found[index] = value_of(reply)
            elif isinstance(reply, AskError):
                self._redirect(index, reply, leg.server)
            elif is_wrong_type(reply):
                del self._left[index]
                self.found[index] = None  # as MGET says it: a key that holds no string holds no value
            else:
                self._give_up((index,), reply)
                outage = reply if is_outage(reply) else outage
        return outage

    def failed(self, leg: NodeBatch, error: RedisError) -> None:
        """Note that a server did not answer.

        Args:
            leg: What it was asked.
            error: Why.
        """
        self._give_up(leg.indices, error)

    def redirect(self, error: AskError, server: Server) -> None:
        """Note that the first key was asked for already, and is elsewhere.

        Args:
            error: The answer.
            server: Whose answer it was.
        """
        self._rounds += 1
        self._redirect(0, error, server)

    def _leg(self, server: Server, is_asking: bool, indices: list[int]) -> NodeBatch:
        prefix = resp.ASKING if is_asking else b""
        request = b"".join([prefix + resp.get(self._names[index]) for index in indices])
        return NodeBatch(server, tuple(indices), is_asking, request, len(indices) * (1 + is_asking))

    def _redirect(self, index: int, error: AskError, server: Server) -> None:
        target = Server(error.host or server.host, error.port)
        self.error = error
        if isinstance(error, MovedError):
            self._moved(error.slot_id, target)
            self._left[index] = None
        else:
            self._left[index] = target

    def _give_up(self, indices: Sequence[int], error: RedisError) -> None:
        self.error = error
        if isinstance(error, ResponseError) and not isinstance(error, ClusterError) and not is_outage(error):
            self.refusal = error
        for index in indices:
            self._left.pop(index, None)
