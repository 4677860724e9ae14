"""Replies are parsed the same in pieces of any size, and other bytes are rejected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions

from warmer.wire import resp
from warmer.wire.resp import InvalidReplyError, ReplyParser, error_of, raise_rejection, value_of, values_of

VALUES = st.none() | st.binary(max_size=60) | st.binary(min_size=1, max_size=8).map(lambda piece: piece * 9000)


def encoded(value):
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(encoded(item) for item in value)
    if isinstance(value, int):
        return b":%d\r\n" % value
    return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


def plain(reply):
    if isinstance(reply, list):
        return [plain(item) for item in reply]
    return bytes(reply) if isinstance(reply, memoryview) else reply


@given(
    st.lists(VALUES | st.integers(-5, 10**12) | st.lists(VALUES, max_size=6), max_size=6),
    st.lists(st.integers(1, 20_000) | st.integers(1, 30), min_size=1, max_size=40),
)
def test_replies_are_the_same_however_they_are_cut(replies, cuts):
    data = b"".join(encoded(reply) for reply in replies)
    parser, found, position = ReplyParser(), [], 0
    for cut in [*cuts, len(data)]:
        if piece := data[position : position + cut]:
            assert parser.missing_bytes <= len(data) - position, "it never waits for more than there is"
            found += parser.feed(piece)
        position += cut
    assert [plain(reply) for reply in found] == replies
    assert parser.is_between_replies


@given(st.binary(max_size=100) | st.just(b"x" * 100_000), st.integers(0, 200))
def test_a_value_is_whole_only_when_all_of_it_and_nothing_else_is_there(value, length):
    data = encoded(value)
    assert resp.whole_value(data) == value
    assert resp.whole_value(data[:length]) is ... or length >= len(data)
    assert resp.whole_value(data + data) is ...


@pytest.mark.parametrize(
    "data", [b"", b"+OK\r\n", b"-ERR no\r\n", b":5\r\n", b"*1\r\n$1\r\na\r\n", b"$x\r\na\r\n", b"$"]
)
def test_what_is_no_value_is_left_to_the_parser(data):
    assert resp.whole_value(data) is ...


def test_nothing_is_none():
    assert resp.whole_value(b"$-1\r\n") is None


def test_a_long_value_is_viewed_and_can_be_used_as_bytes():
    value = resp.whole_value(encoded(b"{" + b"x" * 100_000))
    assert isinstance(value, memoryview)
    assert value.readonly
    assert value[:2] == b"{x"
    assert hash(value[:1]) == hash(b"{")


def test_a_short_value_of_a_large_answer_does_not_keep_the_rest_in_memory():
    [[long, *short]] = ReplyParser().feed(encoded([b"x" * 40_000] + [b"y" * 40_000] * 3))
    assert {type(value) for value in (long, *short)} == {bytes}


@pytest.mark.parametrize("data", [b"HTTP/1.1 400\r\n", b"$abc\r\n", b"*1\r\n*1\r\n:1\r\n", b":one\r\n", b"\r\n"])
def test_what_is_no_resp_is_refused(data):
    with pytest.raises(InvalidReplyError, match="expected a reply in RESP2"):
        ReplyParser().feed(data)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ERR unknown command", exceptions.ResponseError),
        ("WRONGTYPE Operation against a key", exceptions.ResponseError),
        ("LOADING Redis is loading", exceptions.BusyLoadingError),
        ("NOAUTH Authentication required.", exceptions.AuthenticationError),
        ("WRONGPASS invalid username-password pair", exceptions.AuthenticationError),
        ("ERR AUTH <password> called without any password configured", exceptions.AuthenticationError),
        ("ERR max number of clients reached", exceptions.ConnectionError),
        ("NOPERM this user has no permissions", exceptions.NoPermissionError),
        ("MASTERDOWN Link with MASTER is down", exceptions.MasterDownError),
        ("CLUSTERDOWN The cluster is down", exceptions.ClusterDownError),
        ("READONLY You can't write", exceptions.ReadOnlyError),
        ("MOVED nonsense", exceptions.ResponseError),
    ],
)
def test_errors_are_those_of_redis_py(text, kind):
    error = error_of(text)
    assert type(error) is kind
    assert str(error) == text


@pytest.mark.parametrize(("code", "kind"), [("MOVED", exceptions.MovedError), ("ASK", exceptions.AskError)])
def test_redirections_say_where_to(code, kind):
    error = error_of(f"{code} 3999 ::1:6381")
    assert type(error) is kind
    assert (error.slot_id, error.host, error.port) == (3999, "::1", 6381)


def test_an_error_among_values_hides_none_of_them():
    first, second, third = ReplyParser().feed(b"$1\r\na\r\n-WRONGTYPE no\r\n$1\r\nb\r\n")
    assert (first, third) == (b"a", b"b")
    assert resp.is_wrong_type(second)


def test_commands_are_encoded_as_redis_reads_them():
    assert resp.mget([b"a", "ü".encode()]) == b"*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$2\r\n\xc3\xbc\r\n"
    assert resp.get(b"") == resp.command(b"GET", b"")


@pytest.mark.parametrize(
    ("credentials", "commands"),
    [
        (("", "", 0), []),
        (("", "pw", 0), [resp.command(b"AUTH", b"pw")]),
        (("app", "pw", 3), [resp.command(b"AUTH", b"app", b"pw"), resp.command(b"SELECT", b"3")]),
        (("nopass", "", 0), [resp.command(b"AUTH", b"nopass", b"")]),
    ],
)
def test_a_handshake_sends_the_credentials_and_the_database_of_the_address(credentials, commands):
    assert resp.handshake(*credentials) == (b"".join(commands), len(commands))


def test_a_rejected_handshake_is_a_connection_error():
    with pytest.raises(exceptions.ConnectionError, match="DB index is out of range"):
        raise_rejection(error_of("ERR DB index is out of range"))
    with pytest.raises(exceptions.AuthenticationError):
        raise_rejection(error_of("WRONGPASS no"))


def test_only_values_are_taken_for_values():
    with pytest.raises(exceptions.ResponseError, match="no"):
        value_of(error_of("ERR no"))
    for reply in (5, [b"a"]):
        with pytest.raises(InvalidReplyError):
            value_of(reply)
    for reply in (b"a", [b"a"], None):
        with pytest.raises(InvalidReplyError, match="expected 2 values"):
            values_of(reply, 2)
