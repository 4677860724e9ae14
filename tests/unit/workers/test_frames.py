"""Messages between a worker and its children arrive whole, however they are cut; exceptions arrive as they were."""

from hypothesis import given
from hypothesis import strategies as st

from warmer.errors import described
from warmer_workers.executors.isolated.error_transfer import packed, unpacked
from warmer_workers.executors.isolated.frames import Channel

MESSAGES = st.lists(st.tuples(st.dictionaries(st.text(), st.integers(0, 2**53)), st.binary()), max_size=5)


class CutStream:
    """A stream that hands out what it was sent in pieces of a given size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = bytearray()

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, most: int) -> bytes:
        piece = bytes(self.sent[: min(self.size, most)])
        del self.sent[: len(piece)]
        return piece


@given(MESSAGES, st.integers(1, 100))
def test_messages_arrive_whole_and_in_order_however_they_are_cut(messages, size) -> None:
    channel = Channel(CutStream(size))
    for header, payload in messages:
        channel.send(header, payload)
    assert [channel.receive() for _ in messages] == messages
    assert channel.receive() is None


@given(MESSAGES.filter(bool), st.integers(1, 30))
def test_a_message_without_its_end_is_the_end_of_the_stream(messages, missing) -> None:
    stream = CutStream(1000)
    channel = Channel(stream)
    channel.send(*messages[0])
    del stream.sent[-min(missing, len(stream.sent)) :]
    assert channel.receive() is None


@given(st.sampled_from([ValueError, KeyError, OSError, ExceptionGroup, UnicodeDecodeError, SystemExit]), st.text())
def test_what_an_exception_said_is_never_lost(kind, text) -> None:
    error = kind.__new__(kind, text, [ValueError()]) if kind is ExceptionGroup else kind.__new__(kind, text)
    error.args = (text,)
    assert described(error) in str(described(unpacked(packed(error, {}), {})))
