"""Keys of a Cluster are asked for where they are, and not for ever."""

from redis import exceptions

from warmer.connect.address import Server
from warmer.wire import resp
from warmer.wire.multi_get import AWAY, MOST_ROUNDS, MultiGet
from warmer.wire.resp import error_of

ONE, TWO, THREE = (Server(name, 6379) for name in ("one", "two", "three"))


class Map:
    """Which server holds a key, as errands ask and tell it."""

    def __init__(self, homes):
        self.homes = homes
        self.told = []

    def node_of(self, name):
        if self.homes[name] is None:
            raise exceptions.ConnectionError("nobody serves its slot")
        return self.homes[name]

    def moved(self, slot, server):
        self.told.append((slot, server))
        for name in self.homes:
            self.homes[name] = server

    def errand(self, *names):
        return MultiGet(names, self.node_of, self.moved)


def test_each_server_gets_its_keys_in_one_piece():
    errand = Map({b"a": ONE, b"b": TWO, b"c": ONE}).errand(b"a", b"b", b"c")
    first, second = errand.legs()
    assert (first.server, first.request, first.count) == (ONE, resp.get(b"a") + resp.get(b"c"), 2)
    assert (second.server, second.request, second.count) == (TWO, resp.get(b"b"), 1)
    assert errand.take(second, [None]) is None
    assert errand.take(first, [b"1", b"3"]) is None
    assert errand.legs() == []
    assert errand.found == [b"1", None, b"3"]


def test_keys_of_a_server_that_does_not_answer_are_away():
    errand = Map({b"a": ONE, b"b": TWO}).errand(b"a", b"b")
    first, second = errand.legs()
    errand.failed(first, exceptions.TimeoutError("late"))
    errand.take(second, [b"2"])
    assert errand.legs() == []
    assert errand.found == [AWAY, b"2"]
    assert errand.refusal is None


def test_keys_whose_slot_nobody_serves_are_away():
    errand = Map({b"a": None, b"b": TWO}).errand(b"a", b"b")
    [leg] = errand.legs()
    errand.take(leg, [b"2"])
    assert errand.legs() == []
    assert errand.found == [AWAY, b"2"]


def test_a_moved_key_is_asked_for_where_it_is_now_and_that_is_remembered():
    known = Map({b"a": ONE})
    errand = known.errand(b"a")
    [leg] = errand.legs()
    errand.take(leg, [error_of("MOVED 5 two:6379")])
    assert known.told == [(5, TWO)]
    [leg] = errand.legs()
    assert leg.server == TWO
    errand.take(leg, [b"1"])
    assert errand.found == [b"1"]


def test_a_server_that_does_not_know_its_own_host_is_where_it_was_asked():
    known = Map({b"a": ONE})
    errand = known.errand(b"a")
    errand.take(errand.legs()[0], [error_of("MOVED 5 :7000")])
    assert known.told == [(5, Server("one", 7000))]


def test_a_key_on_its_way_is_asked_for_with_asking_and_nothing_is_remembered():
    known = Map({b"a": ONE, b"b": ONE})
    errand = known.errand(b"a", b"b")
    [leg] = errand.legs()
    errand.take(leg, [error_of("ASK 5 two:6379"), b"2"])
    [leg] = errand.legs()
    assert (leg.server, leg.request, leg.count) == (TWO, resp.ASKING + resp.get(b"a"), 2)
    errand.take(leg, [b"OK", b"1"])
    assert errand.found == [b"1", b"2"]
    assert known.told == []


def test_redirections_without_end_are_given_up():
    errand = Map({b"a": ONE}).errand(b"a")
    rounds = 0
    while legs := errand.legs():
        rounds += 1
        errand.take(legs[0], [error_of(f"MOVED 5 {'two' if rounds % 2 else 'one'}:6379")])
    assert rounds == MOST_ROUNDS
    assert errand.found == [AWAY]
    assert isinstance(errand.error, exceptions.MovedError)


def test_what_the_answers_to_single_keys_mean():
    errand = Map(dict.fromkeys([b"list", b"secret", b"down", b"loading"], ONE)).errand(
        b"list", b"secret", b"down", b"loading"
    )
    [leg] = errand.legs()
    answers = ["WRONGTYPE no", "NOPERM no", "CLUSTERDOWN no", "LOADING yes"]
    outage = errand.take(leg, [error_of(answer) for answer in answers])
    assert errand.found == [None, AWAY, AWAY, AWAY]
    assert isinstance(outage, exceptions.BusyLoadingError)
    assert isinstance(errand.refusal, exceptions.NoPermissionError)
