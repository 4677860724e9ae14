"""The bytes of the Redis protocol (RESP2), as far as reads need them. Nothing is sent or received here."""

from collections.abc import Sequence
from types import EllipsisType
from typing import Final, TypeAlias, cast

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

Value: TypeAlias = bytes | memoryview | None
"""What a key holds; None where it holds nothing."""

Reply: TypeAlias = Value | int | RedisError | list["Reply"]
"""One answer of the server; errors are values here, because one among many answers must not hide the others."""

PING: Final = b"*1\r\n$4\r\nPING\r\n"
ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"
NOTHING: Final = b"$-1\r\n"

VIEWED_BYTES: Final = 32_768
"""Values from this length on are returned as views of what was received, not copied out of it."""

_BULK, _ARRAY, _ERROR, _STATUS, _INTEGER = b"$*-+:"

_ERRORS: Final[dict[str, type[RedisError]]] = {
    "MOVED": MovedError,
    "ASK": AskError,
    "LOADING": BusyLoadingError,
    "MASTERDOWN": MasterDownError,
    "CLUSTERDOWN": ClusterDownError,
    "TRYAGAIN": TryAgainError,
    "NOAUTH": AuthenticationError,
    "WRONGPASS": AuthenticationError,
    "NOPERM": NoPermissionError,
    "READONLY": ReadOnlyError,
    "OOM": OutOfMemoryError,
}


def command(*words: bytes) -> bytes:
    r"""Return the bytes of a command.

    Args:
        *words: Its name and its arguments.

    Example:
        >>> command(b"SELECT", b"2")
        b'*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n'
    """
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


def get(key: bytes) -> bytes:
    r"""Return the bytes of GET.

    Args:
        key: The key as Redis knows it.

    Example:
        >>> get(b"catalog")
        b'*2\r\n$3\r\nGET\r\n$7\r\ncatalog\r\n'
    """
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)


def mget(keys: Sequence[bytes]) -> bytes:
    """Return the bytes of MGET.

    Args:
        keys: At least one key.

    Example:
        >>> mget([b"a", b"b"]) == command(b"MGET", b"a", b"b")
        True
    """
    return command(b"MGET", *keys)


def greeting(username: str, password: str, db: int) -> tuple[bytes, int]:
    r"""Return what a new connection says first, and how many answers that has.

    Args:
        username: User at the server; "" for the default one.
        password: Its password; "" where none is asked for.
        db: Number of the database.

    Example:
        >>> greeting("", "", 2)
        (b'*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n', 1)
    """
    commands = []
    if username or password:
        names = [username.encode()] if username else []
        commands.append(command(b"AUTH", *names, password.encode()))
    if db:
        commands.append(command(b"SELECT", b"%d" % db))
    return b"".join(commands), len(commands)


def error_of(text: str) -> RedisError:
    """Return an error that a server answered, as redis-py would raise it.

    Args:
        text: The answer without its leading ``-``.

    Example:
        >>> error_of("MOVED 3999 127.0.0.1:6381").port
        6381
    """
    code, _, rest = text.partition(" ")
    if code == "ERR" and "max number of clients" in rest:
        return RedisConnectionError(text)
    if code == "ERR" and ("AUTH" in rest or "password" in rest):
        return AuthenticationError(text)
    kind = _ERRORS.get(code, ResponseError)
    if not issubclass(kind, AskError):
        return kind(text)
    try:
        return kind(rest)  # redis-py takes slot and server out of it
    except ValueError:
        return ResponseError(text)


class IncomprehensibleReplyError(RedisConnectionError):
    """What came is no answer to what was asked: its connection is of no more use."""


class ReplyParser:
    r"""Takes replies out of bytes as they come in, wherever they are cut.

    Example:
        >>> parser = ReplyParser()
        >>> parser.feed(b"*2\r\n$2\r\nhi\r\n$-1")
        []
        >>> parser.feed(b"\r\n+OK\r\n")
        [[b'hi', None], b'OK']
    """

    __slots__ = ("_held", "_held_bytes", "_items", "_items_left", "_needed_bytes")

    def __init__(self) -> None:
        """Start with nothing held."""
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._needed_bytes = 0
        self._items: list[Reply] = []
        self._items_left = 0

    @property
    def is_between_replies(self) -> bool:
        """Whether every byte so far belongs to a reply that is complete."""
        return not self._held and not self._items_left

    @property
    def missing_bytes(self) -> int:
        """How many bytes have to come, at the least, before a reply can be complete."""
        return max(self._needed_bytes - self._held_bytes, 1)

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that these bytes complete.

        Args:
            data: The next bytes received.

        Raises:
            IncomprehensibleReplyError: they are not what RESP2 allows.
        """
        if self._held:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes < self._needed_bytes:
                return []
            data = b"".join(self._held)
            self._held, self._held_bytes, self._needed_bytes = [], 0, 0
        try:
            return self._taken_out(data)
        except ValueError as error:
            raise IncomprehensibleReplyError(f"expected an answer in RESP2, got something else ({error})") from None

    def _taken_out(self, data: bytes) -> list[Reply]:
        replies: list[Reply] = []
        position = 0
        while position < len(data):
            is_item = self._items_left > 0
            target, limit = (self._items, self._items_left) if is_item else (replies, len(data))
            count = len(target)
            position = _take_bulks(data, position, target, limit)
            if position < len(data) and len(target) - count < limit:
                position = self._take_other(data, position, target)
            if is_item:
                self._items_left -= len(target) - count
                if not self._items_left:
                    replies.append(self._items)
                    self._items = []
        return replies

    def _take_other(self, data: bytes, position: int, target: list[Reply]) -> int:
        """Take one reply that is not a short and complete value; returns where it ends."""
        end = data.find(b"\r\n", position)
        if end < 0:
            return self._hold(data, position, len(data) + 1)
        start = end + 2
        kind, line = data[position], data[position + 1 : end]
        if kind == _BULK:
            length = int(line)  # never below 0: those were taken already
            stop = start + length
            if stop + 2 > len(data):
                return self._hold(data, position, stop + 2)
            target.append(_value(data, start, length))
            return stop + 2
        if kind == _ARRAY and target is not self._items:
            self._items_left = max(int(line), 0)
            if not self._items_left:
                target.append([])
        else:
            target.append(_of_one_line(kind, line))
        return start

    def _hold(self, data: bytes, position: int, needed_until: int) -> int:
        """Keep the beginning of a reply until more of it has come."""
        self._held = [data[position:]]
        self._held_bytes = len(data) - position
        self._needed_bytes = needed_until - position
        return len(data)


def whole_value(data: bytes) -> Value | EllipsisType:
    r"""Return the value if these bytes are exactly one answer to GET, and ``...`` otherwise.

    Args:
        data: What was received at once.

    Example:
        >>> whole_value(b"$2\r\nhi\r\n"), whole_value(b"$2\r\nh")
        (b'hi', Ellipsis)
    """
    if data == NOTHING:
        return None
    end = data.find(b"\r\n", 0, 24)
    if end < 2 or data[0] != _BULK or not (digits := data[1:end]).isdigit():
        return ...
    length = int(digits)
    return _value(data, end + 2, length) if len(data) == end + length + 4 else ...


def value_of(reply: Reply) -> Value:
    """Return an answer that has to be a value.

    Args:
        reply: The answer.

    Raises:
        redis.RedisError: the server answered with an error.
        IncomprehensibleReplyError: the answer is no value.

    Example:
        >>> value_of(b"hi")
        b'hi'
    """
    if isinstance(reply, RedisError):
        raise reply
    if isinstance(reply, int | list):
        raise IncomprehensibleReplyError(f"expected a value, got {reply!r:.80}")
    return reply


def values_of(reply: Reply, count: int) -> list[Value]:
    """Return an answer that has to be a list of values.

    Args:
        reply: The answer.
        count: How many values were asked for.

    Raises:
        redis.RedisError: the server answered with an error.
        IncomprehensibleReplyError: the answer is no such list.

    Example:
        >>> values_of([b"hi", None], 2)
        [b'hi', None]
    """
    if isinstance(reply, RedisError):
        raise reply
    if not isinstance(reply, list) or len(reply) != count:
        raise IncomprehensibleReplyError(f"expected {count} values, got {reply!r:.80}")
    return cast(list[Value], reply)


def is_wrong_type(error: RedisError) -> bool:
    """Say whether a server answered that a key holds something else than a string.

    Args:
        error: The answer.

    Example:
        >>> is_wrong_type(error_of("WRONGTYPE Operation against a key holding the wrong kind of value"))
        True
    """
    return str(error).startswith("WRONGTYPE")


def raise_refusal(reply: Reply) -> None:
    """Raise what a server answered to a greeting, unless it is content.

    Args:
        reply: The answer.

    Raises:
        redis.ConnectionError: it refuses; no connection of this address can be used.

    Example:
        >>> raise_refusal(b"OK")
    """
    if isinstance(reply, RedisConnectionError):
        raise reply
    if isinstance(reply, RedisError):
        raise RedisConnectionError(f"Redis refuses the connection: {reply}")


def _value(data: bytes, start: int, length: int) -> bytes | memoryview:
    """Cut a value out; a long one is only viewed, unless that would keep much else in memory."""
    if length < VIEWED_BYTES or 2 * length < len(data):
        return data[start : start + length]
    return memoryview(data)[start : start + length]


def _take_bulks(data: bytes, position: int, target: list[Reply], limit: int) -> int:
    """Take values, short and complete, one after the other; returns where the first other thing begins."""
    find, append, size = data.find, target.append, len(data)
    while limit:
        end = find(b"\r\n", position)
        if end < 0 or data[position] != _BULK:
            break
        start = end + 2
        length = int(data[position + 1 : end])
        if length >= 0:
            stop = start + length
            if stop + 2 > size or length >= VIEWED_BYTES:
                break
            append(data[start:stop])
            position = stop + 2
        else:
            append(None)
            position = start
        limit -= 1
    return position


def _of_one_line(kind: int, line: bytes) -> Reply:
    if kind == _ERROR:
        return error_of(line.decode(errors="replace"))
    if kind == _STATUS:
        return line
    if kind == _INTEGER:
        return int(line)
    raise ValueError(f"it begins with byte {kind}")
