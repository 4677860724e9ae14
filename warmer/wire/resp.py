"""RESP2, the Redis protocol: encodes read commands and parses replies. No I/O here."""

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
"""Value of a key; None if it has none."""

Reply: TypeAlias = Value | int | RedisError | list["Reply"]
"""One reply. Errors are values here, because one error among many replies must not hide the others."""

PING: Final = b"*1\r\n$4\r\nPING\r\n"
ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"
NO_VALUE: Final = b"$-1\r\n"

MIN_VIEW_BYTES: Final = 32_768
"""Values of at least this length are returned as views of the received bytes, not as copies."""

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
    r"""Encode a command from its name and arguments.

    Example:
        >>> command(b"SELECT", b"2")
        b'*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n'
    """
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


def get(raw_key: bytes) -> bytes:
    r"""Encode a GET.

    Example:
        >>> get(b"catalog")
        b'*2\r\n$3\r\nGET\r\n$7\r\ncatalog\r\n'
    """
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(raw_key), raw_key)


def mget(raw_keys: Sequence[bytes]) -> bytes:
    """Encode an MGET of at least one key."""
    return command(b"MGET", *raw_keys)


def handshake(username: str, password: str, db: int) -> tuple[bytes, int]:
    r"""Encode the first commands of a new connection: AUTH and SELECT, as far as they are needed.

    Args:
        username: "" for the default user.
        password: "" for none.
        db: Number of the database.

    Returns:
        The bytes, and the number of their replies.

    Example:
        >>> handshake("", "", 2)
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
    """Return the error that redis-py would raise for an error reply.

    Args:
        text: The reply without its leading ``-``.

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
        return kind(rest)  # redis-py parses slot and server
    except ValueError:
        return ResponseError(text)


class InvalidReplyError(RedisConnectionError):
    """The bytes received are not a reply to the request; the connection must be closed."""


class ReplyParser:
    r"""Incremental parser: takes bytes in pieces of any size.

    Example:
        >>> parser = ReplyParser()
        >>> parser.feed(b"*2\r\n$2\r\nhi\r\n$-1")
        []
        >>> parser.feed(b"\r\n+OK\r\n")
        [[b'hi', None], b'OK']
    """

    __slots__ = ("_items", "_items_left", "_needed_bytes", "_partial", "_partial_bytes")

    def __init__(self) -> None:
        """Start before the first reply."""
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._needed_bytes = 0
        self._items: list[Reply] = []
        self._items_left = 0

    @property
    def is_between_replies(self) -> bool:
        """Whether every reply so far is complete."""
        return not self._partial and not self._items_left

    @property
    def missing_bytes(self) -> int:
        """The least number of bytes that complete the next reply."""
        return max(self._needed_bytes - self._partial_bytes, 1)

    def feed(self, data: bytes) -> list[Reply]:
        """Add received bytes and return the replies that they complete.

        Raises:
            InvalidReplyError: they are not RESP2.
        """
        if self._partial:
            self._partial.append(data)
            self._partial_bytes += len(data)
            if self._partial_bytes < self._needed_bytes:
                return []
            data = b"".join(self._partial)
            self._partial, self._partial_bytes, self._needed_bytes = [], 0, 0
        try:
            return self._parse(data)
        except ValueError as error:
            raise InvalidReplyError(f"expected a reply in RESP2, got other bytes ({error})") from None

    def _parse(self, data: bytes) -> list[Reply]:
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
        """Parse one reply that is not a short and complete value; return its end."""
        end = data.find(b"\r\n", position)
        if end < 0:
            return self._keep(data, position, len(data) + 1)
        start = end + 2
        kind, line = data[position], data[position + 1 : end]
        if kind == _BULK:
            length = int(line)  # never negative: `_take_bulks` has handled those
            stop = start + length
            if stop + 2 > len(data):
                return self._keep(data, position, stop + 2)
            target.append(_value(data, start, length))
            return stop + 2
        if kind == _ARRAY and target is not self._items:
            self._items_left = max(int(line), 0)
            if not self._items_left:
                target.append([])
        else:
            target.append(_of_one_line(kind, line))
        return start

    def _keep(self, data: bytes, position: int, needed_until: int) -> int:
        """Keep an incomplete reply until more bytes come."""
        self._partial = [data[position:]]
        self._partial_bytes = len(data) - position
        self._needed_bytes = needed_until - position
        return len(data)


def whole_value(data: bytes) -> Value | EllipsisType:
    r"""Parse bytes that are exactly one reply to a GET; return ``...`` for any other bytes.

    Example:
        >>> whole_value(b"$2\r\nhi\r\n"), whole_value(b"$2\r\nh")
        (b'hi', Ellipsis)
    """
    if data == NO_VALUE:
        return None
    end = data.find(b"\r\n", 0, 24)
    if end < 2 or data[0] != _BULK or not (digits := data[1:end]).isdigit():
        return ...
    length = int(digits)
    return _value(data, end + 2, length) if len(data) == end + length + 4 else ...


def value_of(reply: Reply) -> Value:
    """Return a reply that must be a value.

    Raises:
        redis.RedisError: the reply is this error.
        InvalidReplyError: the reply is not a value.
    """
    if isinstance(reply, RedisError):
        raise reply
    if isinstance(reply, int | list):
        raise InvalidReplyError(f"expected a value, got {reply!r:.80}")
    return reply


def values_of(reply: Reply, count: int) -> list[Value]:
    """Return a reply that must be a list of `count` values.

    Raises:
        redis.RedisError: the reply is this error.
        InvalidReplyError: the reply is not such a list.
    """
    if isinstance(reply, RedisError):
        raise reply
    if not isinstance(reply, list) or len(reply) != count:
        raise InvalidReplyError(f"expected {count} values, got {reply!r:.80}")
    return cast(list[Value], reply)


def is_wrong_type(error: RedisError) -> bool:
    """Whether an error reply says that the key does not hold a string."""
    return str(error).startswith("WRONGTYPE")


def raise_rejection(reply: Reply) -> None:
    """Raise an error reply to a handshake.

    Raises:
        redis.ConnectionError: the reply is an error; no connection with these credentials can be used.
    """
    if isinstance(reply, RedisConnectionError):
        raise reply
    if isinstance(reply, RedisError):
        raise RedisConnectionError(f"Redis rejects the connection: {reply}")


def _value(data: bytes, start: int, length: int) -> bytes | memoryview:
    """Copy a value out; return a view of a long one, unless it would keep many other bytes in memory."""
    if length < MIN_VIEW_BYTES or 2 * length < len(data):
        return data[start : start + length]
    return memoryview(data)[start : start + length]


def _take_bulks(data: bytes, position: int, target: list[Reply], limit: int) -> int:
    """Parse short and complete values one after the other; return where the first other reply begins."""
    find, append, size = data.find, target.append, len(data)
    while limit:
        end = find(b"\r\n", position)
        if end < 0 or data[position] != _BULK:
            break
        start = end + 2
        length = int(data[position + 1 : end])
        if length >= 0:
            stop = start + length
            if stop + 2 > size or length >= MIN_VIEW_BYTES:
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
    raise ValueError(f"unexpected first byte {kind}")
