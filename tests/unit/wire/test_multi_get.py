"""A multi-get reads each key from the node that holds it, and gives up after some redirections."""

from redis import exceptions

from warmer.connect.address import Server
from warmer.wire import resp
from warmer.wire.multi_get import MAX_ROUNDS, UNAVAILABLE, MultiGet
from warmer.wire.resp import error_of

ONE, TWO, THREE = (Server(raw_key, 6379) for raw_key in ("one", "two", "three"))


class FakeTopology:
    """A map from keys to servers that records moves."""

    def __init__(self, homes):
        self.homes = homes
        self.moves = []

    def node_of(self, raw_key):
        if self.homes[raw_key] is None:
            raise exceptions.ConnectionError("nobody serves its slot")
        return self.homes[raw_key]

    def moved(self, slot, server):
        self.moves.append((slot, server))
        for raw_key in self.homes:
            self.homes[raw_key] = server

    def multi_get(self, *raw_keys):
        return MultiGet(raw_keys, self.node_of, self.moved)


def test_each_server_gets_its_keys_in_one_request():
    multi_get = FakeTopology({b"a": ONE, b"b": TWO, b"c": ONE}).multi_get(b"a", b"b", b"c")
    first, second = multi_get.next_round()
    assert (first.server, first.request, first.count) == (ONE, resp.get(b"a") + resp.get(b"c"), 2)
    assert (second.server, second.request, second.count) == (TWO, resp.get(b"b"), 1)
    assert multi_get.add_replies(second, [None]) is None
    assert multi_get.add_replies(first, [b"1", b"3"]) is None
    assert multi_get.next_round() == []
    assert multi_get.found == [b"1", None, b"3"]


def test_keys_of_a_server_that_does_not_answer_are_unavailable():
    multi_get = FakeTopology({b"a": ONE, b"b": TWO}).multi_get(b"a", b"b")
    first, second = multi_get.next_round()
    multi_get.add_failure(first, exceptions.TimeoutError("late"))
    multi_get.add_replies(second, [b"2"])
    assert multi_get.next_round() == []
    assert multi_get.found == [UNAVAILABLE, b"2"]
    assert multi_get.rejection is None


def test_keys_of_a_slot_without_a_node_are_unavailable():
    multi_get = FakeTopology({b"a": None, b"b": TWO}).multi_get(b"a", b"b")
    [batch] = multi_get.next_round()
    multi_get.add_replies(batch, [b"2"])
    assert multi_get.next_round() == []
    assert multi_get.found == [UNAVAILABLE, b"2"]


def test_a_moved_key_is_read_from_its_new_node_and_the_move_is_recorded():
    known = FakeTopology({b"a": ONE})
    multi_get = known.multi_get(b"a")
    [batch] = multi_get.next_round()
    multi_get.add_replies(batch, [error_of("MOVED 5 two:6379")])
    assert known.moves == [(5, TWO)]
    [batch] = multi_get.next_round()
    assert batch.server == TWO
    multi_get.add_replies(batch, [b"1"])
    assert multi_get.found == [b"1"]


def test_a_redirection_without_a_host_means_the_same_host():
    known = FakeTopology({b"a": ONE})
    multi_get = known.multi_get(b"a")
    multi_get.add_replies(multi_get.next_round()[0], [error_of("MOVED 5 :7000")])
    assert known.moves == [(5, Server("one", 7000))]


def test_a_migrating_key_is_read_with_asking_and_its_slot_is_not_moved():
    known = FakeTopology({b"a": ONE, b"b": ONE})
    multi_get = known.multi_get(b"a", b"b")
    [batch] = multi_get.next_round()
    multi_get.add_replies(batch, [error_of("ASK 5 two:6379"), b"2"])
    [batch] = multi_get.next_round()
    assert (batch.server, batch.request, batch.count) == (TWO, resp.ASKING + resp.get(b"a"), 2)
    multi_get.add_replies(batch, [b"OK", b"1"])
    assert multi_get.found == [b"1", b"2"]
    assert known.moves == []


def test_endless_redirections_are_given_up():
    multi_get = FakeTopology({b"a": ONE}).multi_get(b"a")
    rounds = 0
    while batches := multi_get.next_round():
        rounds += 1
        multi_get.add_replies(batches[0], [error_of(f"MOVED 5 {'two' if rounds % 2 else 'one'}:6379")])
    assert rounds == MAX_ROUNDS
    assert multi_get.found == [UNAVAILABLE]
    assert isinstance(multi_get.error, exceptions.MovedError)


def test_error_replies_to_single_keys_are_sorted_by_meaning():
    multi_get = FakeTopology(dict.fromkeys([b"list", b"secret", b"down", b"loading"], ONE)).multi_get(
        b"list", b"secret", b"down", b"loading"
    )
    [batch] = multi_get.next_round()
    answers = ["WRONGTYPE no", "NOPERM no", "CLUSTERDOWN no", "LOADING yes"]
    outage = multi_get.add_replies(batch, [error_of(answer) for answer in answers])
    assert multi_get.found == [None, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]
    assert isinstance(outage, exceptions.BusyLoadingError)
    assert isinstance(multi_get.rejection, exceptions.NoPermissionError)
