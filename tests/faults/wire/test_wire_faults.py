"""Reads over a network that delays, trickles, stalls and cuts: in time, and never another's answer."""

import asyncio
import ctypes
import logging
import os
import random
import socket
import threading
import time
from contextlib import closing

import pytest
from redis import exceptions as redis_errors

from tests.support.proxy import CutError, Proxy, Scripted, trickle
from tests.support.topologies import HOST, Cluster
from warmer.connect import connect
from warmer.connect.address import Address
from warmer.connect.topology import Topology
from warmer.wire import UNAVAILABLE, open_reader, resp
from warmer.wire.connection import Connection
from warmer.wire.prober import Prober
from warmer.wire.wire_reader import WireReader

TIMEOUT_S = 0.25
SLACK_S = 0.25  # for a machine that is busy with other things

WAYS = {
    "get": lambda reader: reader.get("k"),
    "aget": lambda reader: asyncio.run(reader.aget("k")),
}


@pytest.fixture(params=WAYS)
def read(request):
    return WAYS[request.param]


@pytest.fixture
def proxy(own_server):
    with Proxy(own_server.port) as started, closing(connect(own_server.url, 5.0)) as client:
        client.set("k", "value")
        yield started


@pytest.fixture
def reader(proxy):
    with closing(open_reader(proxy.url, TIMEOUT_S)) as made:
        yield made


def fails_in_time(attempt, kind=redis_errors.TimeoutError):
    began_s = time.monotonic()
    with pytest.raises(kind):
        attempt()
    return time.monotonic() - began_s < TIMEOUT_S + SLACK_S


# --- the deadline ----------------------------------------------------------------------------------------------
def test_a_server_that_trickles_does_not_stretch_a_read(proxy, reader, read):
    proxy.fault = trickle(0.1)
    assert fails_in_time(lambda: read(reader))


def test_a_server_that_begins_to_trickle_does_not_stretch_a_read_either(proxy, reader, read):
    assert read(reader) == b"value"
    proxy.fault = trickle(0.1)
    assert fails_in_time(lambda: read(reader))


def test_a_server_that_says_nothing_is_given_up_in_time(proxy, reader, read):
    proxy.flowing.clear()
    assert fails_in_time(lambda: read(reader))
    proxy.flowing.set()


def test_a_server_that_never_accepts_is_given_up_in_time(read):
    with socket.create_server((HOST, 0), backlog=0) as deaf:
        port = deaf.getsockname()[1]
        filling = [socket.socket() for _ in range(4)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex((HOST, port))
        with closing(open_reader(f"redis://{HOST}:{port}", TIMEOUT_S)) as reader:
            assert fails_in_time(lambda: read(reader))
        for one in filling:
            one.close()


def test_a_name_whose_look_up_hangs_is_given_up_in_time(monkeypatch):
    released = threading.Event()
    look_up = socket.getaddrinfo

    def hang(*arguments, flags=0, **options):
        if flags & socket.AI_NUMERICHOST:
            return look_up(*arguments, flags=flags, **options)
        released.wait(5)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with closing(open_reader("redis://redis.invalid:6379", TIMEOUT_S)) as reader:
        assert fails_in_time(lambda: reader.get("k"))
    released.set()


def test_a_server_that_is_not_there_fails_at_once(read):
    with closing(open_reader(f"redis://{HOST}:1", TIMEOUT_S)) as reader:
        assert fails_in_time(lambda: read(reader), redis_errors.ConnectionError)


def test_all_coroutines_that_wait_on_a_stalled_connection_are_told_in_time(proxy, reader):
    async def crowd():
        await reader.aget("k")
        proxy.flowing.clear()
        began_s = time.monotonic()
        outcomes = await asyncio.gather(*(reader.aget("k") for _ in range(50)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {redis_errors.TimeoutError}
        assert time.monotonic() - began_s < TIMEOUT_S + SLACK_S

    asyncio.run(crowd())
    proxy.flowing.set()


def test_an_answer_that_came_in_time_is_taken_however_late_its_thread_runs(own_server, monkeypatch):
    send_all = Connection.send_all

    def send_and_stall(*arguments):
        send_all(*arguments)
        time.sleep(TIMEOUT_S + 0.05)

    monkeypatch.setattr(Connection, "send_all", send_and_stall)
    with closing(open_reader(own_server.url, TIMEOUT_S)) as reader:
        assert reader.get("k") is None
        assert reader.get_many(["k", "l"]) == [None, None]


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_an_answer_that_came_in_time_is_taken_however_late_its_loop_runs(own_server, size):
    async def read_late():
        for _ in range(3):
            await reader.aget("k")  # which opens the connection, and lets its buffers grow
        waiting = asyncio.ensure_future(reader.aget("k"))
        await asyncio.sleep(0)
        time.sleep(TIMEOUT_S + 0.05)
        return await waiting

    with closing(connect(own_server.url, 5.0)) as client, closing(open_reader(own_server.url, TIMEOUT_S)) as reader:
        client.set("k", b"v" * size)
        assert asyncio.run(read_late()) == b"v" * size


# --- cuts ------------------------------------------------------------------------------------------------------
def test_an_answer_that_is_cut_is_an_error_and_its_connection_gone(proxy, reader, read, eventually):
    assert read(reader) == b"value"

    def cut(piece):
        yield piece[:6]
        raise CutError

    proxy.fault = cut
    with pytest.raises(redis_errors.ConnectionError):
        read(reader)
    proxy.fault = lambda piece: iter([piece])
    eventually(lambda: not reader.is_unavailable("k"))
    assert read(reader) == b"value"


def reads_from(answers):
    """Reads from a server that answers as it is told."""
    server = Scripted(answers)
    return server, closing(open_reader(server.url, TIMEOUT_S))


def test_an_answer_with_something_behind_it_is_no_answer():
    server, open_once = reads_from(lambda request: b"$1\r\na\r\n$1\r\nb\r\n")
    with server, open_once as reader, pytest.raises(redis_errors.ConnectionError, match="got more"):
        reader.get("k")


def test_an_answer_that_nobody_asked_for_reaches_nobody(eventually):
    server, open_once = reads_from(lambda request: b"$1\r\na\r\n" if request == resp.get(b"a") else b"$1\r\nb\r\n")
    with server, open_once as reader:

        async def read_both():
            assert await reader.aget("a") == b"a"
            server.send(b"$5\r\nstray\r\n")
            await asyncio.sleep(0.05)  # until it has been received
            assert await reader.aget("b") == b"b"

        asyncio.run(read_both())


def test_what_speaks_another_protocol_is_an_outage(read):
    server, open_once = reads_from(lambda request: b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with server, open_once as reader, pytest.raises(redis_errors.ConnectionError):
        read(reader)


def test_an_interrupted_read_leaves_no_answer_for_the_next_one(proxy, reader, own_server):
    with closing(connect(own_server.url, 5.0)) as client:
        client.mset({"first": "1", "second": "2"})
    assert reader.get("k") == b"value"
    seen = []
    proxy.flowing.clear()

    class Interrupt(BaseException):
        pass

    def read():
        try:
            reader.get("first")
        except BaseException as error:
            seen.append(type(error))

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.05)  # the interrupt may come at any time; mostly while it waits
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Interrupt))
    threading.Timer(0.05, proxy.flowing.set).start()
    thread.join()
    assert seen == [Interrupt]
    assert [reader.get("second"), reader.get("first")] == [b"2", b"1"]


@pytest.mark.parametrize("seed", range(2))
def test_no_answer_is_ever_another_s_whatever_the_network_does(own_server, seed, monkeypatch, eventually):
    """Small time-outs, delays and cuts at random, from threads and coroutines: right, or an error."""
    monkeypatch.setattr(Prober, "report_failure", lambda *_: None)  # so that reads go on through all of it
    chance = random.Random(seed)
    written = {f"k{number}": chance.randbytes(chance.choice([5, 500, 200_000])) for number in range(40)}
    with closing(connect(own_server.url, 5.0)) as client:
        client.mset(written)
    outcomes = {"right": 0, "failed": 0}
    wrong = []
    ended = threading.Event()

    def fault(piece):
        dice = chance.random()
        if dice < 0.05:
            time.sleep(0.06)
        if dice > 0.99:
            yield piece[: len(piece) // 2]
            raise CutError
        middle = chance.randrange(len(piece) + 1)
        yield piece[:middle]
        yield piece[middle:]

    def judge(keys, found):
        for key, value in zip(keys, found, strict=True):
            if value is UNAVAILABLE:
                outcomes["failed"] += 1
            elif value == written[key]:
                outcomes["right"] += 1
            else:
                wrong.append((key, value))

    def read_in_thread(reader, choose):
        while not ended.is_set():
            keys = choose.sample(list(written), 4)
            try:
                judge(keys[:1], [reader.get(keys[0])])
                judge(keys, reader.get_many(keys))
            except redis_errors.RedisError:
                outcomes["failed"] += 1

    async def read_in_loop(reader, choose):
        while not ended.is_set():
            keys = choose.sample(list(written), 4)
            try:
                if choose.random() < 0.5:
                    async with asyncio.timeout(choose.choice([0.005, 1])):
                        judge(keys[:1], [await reader.aget(keys[0])])
                else:
                    judge(keys, await reader.aget_many(keys))
            except (redis_errors.RedisError, TimeoutError):
                outcomes["failed"] += 1

    async def crowd(reader):
        await asyncio.gather(*(read_in_loop(reader, random.Random(number)) for number in range(20)))

    with Proxy(own_server.port) as proxy, closing(open_reader(proxy.url, 0.05)) as reader:
        proxy.fault = fault
        threads = [threading.Thread(target=read_in_thread, args=(reader, random.Random(n))) for n in range(6)]
        threads.append(threading.Thread(target=asyncio.run, args=(crowd(reader),)))
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: wrong or (outcomes["right"] > 3000 and outcomes["failed"] > 100), within_s=60)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
    assert wrong == []


# --- the breaker -----------------------------------------------------------------------------------------------
def test_while_a_server_is_away_reads_fail_at_once_and_ask_nobody(proxy, reader):
    proxy.flowing.clear()
    with pytest.raises(redis_errors.TimeoutError):
        reader.get("k")
    accepted = proxy.accepted
    began_s = time.monotonic()
    for _ in range(1000):
        with pytest.raises(redis_errors.ConnectionError, match="is unavailable"):
            reader.get("k")
    assert time.monotonic() - began_s < 1.0, "under 1 ms each"
    with pytest.raises(redis_errors.ConnectionError, match="is unavailable"):
        asyncio.run(reader.aget("k"))
    assert reader.get_many(["k", "l"]) == asyncio.run(reader.aget_many(["k", "l"])) == [UNAVAILABLE, UNAVAILABLE]
    assert reader.is_unavailable("k")
    assert proxy.accepted <= accepted + 2, "only probes"
    proxy.flowing.set()


def test_reads_use_a_server_again_soon_after_it_is_back_and_it_is_said_once(own_server, eventually, caplog):
    with closing(open_reader(own_server.url, TIMEOUT_S)) as reader:
        reader.get("k")
        own_server.kill()
        with caplog.at_level(logging.WARNING, logger="warmer.reads"):
            for _ in range(20):
                with pytest.raises(redis_errors.ConnectionError):
                    reader.get("k")
            own_server.restart_empty()
            began_s = time.monotonic()
            eventually(lambda: not reader.is_unavailable("k"))
            assert time.monotonic() - began_s < 2
            assert reader.get("k") is None
        messages = [record.getMessage() for record in caplog.records if record.name == "warmer.reads"]
        assert ["available again" in line for line in messages] == [False, True]
        eventually(lambda: not any(thread.name == "warmer-prober" for thread in threading.enumerate()))


@pytest.mark.parametrize("refusal", ["LOADING Redis is loading", "MASTERDOWN no master", "NOAUTH log in first"])
def test_a_server_of_no_use_is_away_until_it_says_otherwise(refusal, read, eventually):
    said = {"now": b"-" + refusal.encode() + b"\r\n"}
    server, open_once = reads_from(lambda request: said["now"])
    with server, open_once as reader:
        with pytest.raises(redis_errors.RedisError, match=refusal.split()[0]):
            read(reader)
        assert reader.is_unavailable("k")
        assert reader.get_many(["k"]) == [UNAVAILABLE]
        said["now"] = b"$2\r\nup\r\n"
        eventually(lambda: not reader.is_unavailable("k"))
        assert read(reader) == b"up"


def test_a_refusal_of_one_command_is_no_outage(read):
    server, open_once = reads_from(lambda request: b"-ERR unknown command\r\n")
    with server, open_once as reader:
        for _ in range(3):
            with pytest.raises(redis_errors.ResponseError, match="unknown command"):
                read(reader)
        assert not reader.is_unavailable("k")
        assert server.accepted <= 3


def test_what_another_client_reports_is_believed(reader, eventually):
    reader.report("k", redis_errors.ResponseError("WRONGTYPE"))
    reader.report("k", ValueError("not of Redis"))
    assert not reader.is_unavailable("k")
    reader.report("k", redis_errors.TimeoutError("a lease could not be had in time"))
    assert reader.is_unavailable("k")
    eventually(lambda: not reader.is_unavailable("k"))


def test_a_forked_child_holds_nothing_against_a_server(proxy, reader):
    proxy.flowing.clear()
    with pytest.raises(redis_errors.TimeoutError):
        reader.get("k")
    child = os.fork()
    if child == 0:
        os._exit(1 if reader.is_unavailable("k") else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reader.is_unavailable("k")
    proxy.flowing.set()


def test_nobody_who_knows_the_servers_is_an_outage_that_costs_one_read_its_time(read, caplog):
    with Scripted(lambda request: time.sleep(1)) as deaf:
        hosts = f"{HOST}:{deaf.port},{HOST}:1"
        for scheme, service in (("redis+sentinel", "/orders"), ("redis+cluster", "")):
            with closing(open_reader(f"{scheme}://{hosts}{service}", TIMEOUT_S)) as reader:
                assert fails_in_time(lambda of=reader: read(of), redis_errors.RedisError)
                assert reader.is_unavailable("k")
                assert reader.get_many(["k"]) == [UNAVAILABLE]
                began_s = time.monotonic()
                with pytest.raises(redis_errors.ConnectionError, match="no server is known"):
                    read(reader)
                assert time.monotonic() - began_s < 1.0, "under 1 ms each"
    assert "the discovery of the Redis servers is unavailable" in caplog.text


def test_one_dead_node_of_a_cluster_takes_only_its_own_keys_with_it(server, namespace):
    with Cluster.start(server.binary) as cluster:
        address = Address.parse(cluster.url)
        topology = Topology.of(address, TIMEOUT_S)
        for process in cluster.processes:
            process.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
        written = {f"{namespace}:{{{number}}}": str(number).encode() for number in range(60)}
        with (
            closing(connect(cluster.url, 5.0)) as client,
            closing(WireReader(address, topology, TIMEOUT_S)) as reader,
        ):
            for key, value in written.items():
                client.set(key, value)
            assert reader.get_many(list(written)) == list(written.values())
            homes = {key: topology.node_of(key.encode()) for key in written}
            dead = homes[next(iter(written))]
            expected = [UNAVAILABLE if homes[key] == dead else value for key, value in written.items()]
            cluster.process_at(dead.port).kill()
            assert reader.get_many(list(written)) == expected
            assert asyncio.run(reader.aget_many(list(written))) == expected
            for key, value in written.items():
                assert reader.is_unavailable(key) == (homes[key] == dead)
                if homes[key] != dead:
                    assert reader.get(key) == value
