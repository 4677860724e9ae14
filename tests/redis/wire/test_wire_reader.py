"""Reads over connections of our own: what redis-py reads, from threads, coroutines, children, nodes and sockets."""

import asyncio
import gc
import os
import random
import threading
import time
from contextlib import closing
from weakref import ref

import pytest
from redis import Redis
from redis import exceptions as redis_errors

from tests.support.certificates import AUTHORITY
from tests.support.proxy import TlsProxy
from tests.support.topologies import HOST
from warmer.connect import connect
from warmer.connect.address import Address, Server
from warmer.connect.topology import Topology, slot_of
from warmer.errors import SettingsError
from warmer.processes.private_server import PrivateServer
from warmer.wire import UNAVAILABLE, open_reader
from warmer.wire.wire_reader import WireReader

TIMEOUT_S = 5.0
SIZES = [0, 1, 100, 1024, 32_767, 32_768, 131_000, 131_008, 500_000, 5_000_000]


@pytest.fixture
def client(server):
    with closing(connect(server.url, TIMEOUT_S)) as made:
        yield made


@pytest.fixture
def reader(server):
    with closing(open_reader(server.url, TIMEOUT_S)) as made:
        yield made


def both_ways(reader, key):
    """Read a key from this thread and in a loop; both have to find the same."""
    found = reader.get(key)
    assert asyncio.run(reader.aget(key)) == found
    assert [reader.get_many([key]), asyncio.run(reader.aget_many([key]))] == [[found]] * 2
    return found


def in_forked_child(action) -> bool:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if action() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- values --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", SIZES)
def test_a_value_of_any_size_is_read_as_it_was_written(reader, client, namespace, size):
    value = random.Random(size).randbytes(size)
    client.set(namespace, value)
    for _ in range(2):
        assert both_ways(reader, namespace) == value


def test_keys_of_any_text_are_read(reader, client, namespace):
    for text in ("", "ü€😀", "with spaces\r\n$5\r\n", "x" * 5000):
        client.set(namespace + text, text)
        assert both_ways(reader, namespace + text) == text.encode()


def test_nothing_is_none(reader, namespace):
    assert both_ways(reader, namespace) is None
    assert reader.get_many([]) == asyncio.run(reader.aget_many([])) == []


def test_many_are_read_in_their_order_with_gaps_and_repetitions(reader, client, namespace):
    chance = random.Random(1)
    keys = [f"{namespace}:{number}" for number in range(2000)]
    written = {key: chance.randbytes(chance.choice([0, 10, 1000, 40_000])) for key in keys if chance.random() < 0.7}
    client.mset(written)
    asked = chance.sample(keys, 1500) + keys[:50]
    expected = [written.get(key) for key in asked]
    assert reader.get_many(asked) == expected
    assert asyncio.run(reader.aget_many(asked)) == expected


def test_a_request_of_many_megabytes_is_sent_whole(reader, client, namespace):
    keys = [f"{namespace}:{'long' * 250}:{number}" for number in range(10_000)]
    client.set(keys[-1], "last")
    assert reader.get_many(keys)[-1] == b"last"
    assert asyncio.run(reader.aget_many(keys))[-1] == b"last"


def test_a_key_of_another_type_is_the_server_s_error_and_not_an_outage(reader, client, namespace):
    client.rpush(namespace, "not a string")
    client.set(f"{namespace}:next", "next")
    for _ in range(2):
        with pytest.raises(redis_errors.ResponseError, match="WRONGTYPE"):
            reader.get(namespace)
        with pytest.raises(redis_errors.ResponseError, match="WRONGTYPE"):
            asyncio.run(reader.aget(namespace))
    assert not reader.is_unavailable(namespace)
    assert both_ways(reader, f"{namespace}:next") == b"next"
    assert reader.get_many([namespace, f"{namespace}:next"]) == [None, b"next"]


# --- one connection after another ------------------------------------------------------------------------------
def connections_of(client) -> int:
    return int(client.info("clients")["connected_clients"])


def test_one_thread_and_one_loop_need_one_connection_each(own_server):
    with (
        closing(connect(own_server.url, TIMEOUT_S)) as client,
        closing(open_reader(own_server.url, TIMEOUT_S)) as reader,
    ):
        before = connections_of(client)
        for _ in range(100):
            reader.get("k")

        async def crowd():
            await asyncio.gather(*(reader.aget("k") for _ in range(200)))
            return connections_of(client)

        assert asyncio.run(crowd()) == before + 2
        reader.close()
        assert reader.get("k") is None, "it opens a connection again"


def test_connections_close_with_their_loop(own_server, eventually):
    with (
        closing(connect(own_server.url, TIMEOUT_S)) as client,
        closing(open_reader(own_server.url, TIMEOUT_S)) as reader,
    ):
        before = connections_of(client)
        for _ in range(5):
            asyncio.run(reader.aget("k"))
        loop = asyncio.new_event_loop()
        loop.run_until_complete(reader.aget("k"))
        loop.close()
        eventually(lambda: connections_of(client) == before)


def test_closing_ends_the_connections_of_a_running_loop(own_server, eventually):
    with (
        closing(connect(own_server.url, TIMEOUT_S)) as client,
        closing(open_reader(own_server.url, TIMEOUT_S)) as reader,
    ):
        before = connections_of(client)

        async def close_in_between():
            await reader.aget("k")
            reader.close()
            async with asyncio.timeout(TIMEOUT_S):
                while connections_of(client) > before:
                    await asyncio.sleep(0.01)

        asyncio.run(close_in_between())


def test_idle_connections_that_the_server_closed_are_replaced_unnoticed(own_server, caplog):
    with (
        closing(connect(own_server.url, TIMEOUT_S)) as client,
        closing(open_reader(own_server.url, TIMEOUT_S)) as reader,
    ):
        client.set("k", "value")

        async def read_before_and_after():
            assert [await reader.aget("k"), await reader.aget_many(["k"])] == [b"value", [b"value"]]
            client.client_kill_filter(_type="normal", skipme=True)
            assert [await reader.aget("k"), await reader.aget_many(["k"])] == [b"value", [b"value"]]

        for _ in range(3):
            assert both_ways(reader, "k") == b"value"
            client.client_kill_filter(_type="normal", skipme=True)
            assert reader.get("k") == b"value"
            client.client_kill_filter(_type="normal", skipme=True)
            assert reader.get_many(["k"]) == [b"value"]
            asyncio.run(read_before_and_after())
    assert not caplog.records


def test_a_restarted_server_is_read_at_once(own_server):
    with closing(open_reader(own_server.url, TIMEOUT_S)) as reader:
        reader.get("k")
        own_server.restart_empty()
        assert reader.get("k") is None


# --- many at once ----------------------------------------------------------------------------------------------
def test_no_thread_ever_sees_another_s_answer(reader, client, namespace):
    chance = random.Random(2)
    written = {f"{namespace}:{number}": chance.randbytes(chance.choice([5, 500, 70_000])) for number in range(64)}
    client.mset(written)
    wrong = []

    def hammer(seed):
        choose = random.Random(seed)
        for _ in range(400):
            if choose.random() < 0.8:
                key = choose.choice(list(written))
                if reader.get(key) != written[key]:
                    wrong.append(key)
            else:
                keys = choose.sample(list(written), 10)
                if reader.get_many(keys) != [written[key] for key in keys]:
                    wrong.append(keys)

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_coroutine_ever_sees_another_s_answer_whoever_is_cancelled(reader, client, namespace):
    chance = random.Random(3)
    written = {f"{namespace}:{number}": chance.randbytes(chance.choice([5, 500, 300_000])) for number in range(64)}
    client.mset(written)
    counts = {"right": 0, "cancelled": 0}

    async def read_one(key):
        assert await reader.aget(key) == written[key]
        counts["right"] += 1

    async def read_many(keys):
        assert await reader.aget_many(keys) == [written[key] for key in keys]
        counts["right"] += 1

    async def hammer():
        tasks = []
        for _ in range(3000):
            keys = chance.sample(list(written), 5)
            read = read_one(keys[0]) if chance.random() < 0.8 else read_many(keys)
            tasks.append(asyncio.create_task(read))
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
            if chance.random() < 0.05:
                await asyncio.sleep(0)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, asyncio.CancelledError):
                counts["cancelled"] += 1
            elif outcome is not None:
                raise outcome

    asyncio.run(hammer())
    assert counts["cancelled"] > 300
    assert counts["right"] > 1000


def test_loops_of_several_threads_read_beside_each_other(reader, client, namespace):
    written = {f"{namespace}:{number}": str(number).encode() for number in range(20)}
    client.mset(written)
    found = []

    async def read_all():
        for _ in range(50):
            found.append(await asyncio.gather(*(reader.aget(key) for key in written)))

    threads = [threading.Thread(target=asyncio.run, args=(read_all(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert all(values == list(written.values()) for values in found)


@pytest.mark.parametrize("ending", ["asyncio.run(main())", "loop = asyncio.new_event_loop(); END; loop.close()"])
def test_the_end_of_a_loop_is_silent_even_in_development_mode(fleet, server, ending):
    ending = ending.replace("END", "loop.run_until_complete(main())")
    printed = fleet.python(
        f"""
        import asyncio, gc, sys, warnings
        from warmer.wire import open_reader

        warnings.simplefilter("always")
        reader = open_reader("{server.url}", 5.0)

        async def main():
            await reader.aget("k")
            await reader.aget_many(["k", "l"])
            left = asyncio.ensure_future(reader.aget("k"))  # and one that is cancelled on its way
            await asyncio.sleep(0)
            left.cancel()

        sys.stderr = sys.stdout
        for _ in range(3):
            {ending}
        del reader
        gc.collect()
        print("done")
        """,
        PYTHONASYNCIODEBUG="1",
        PYTHONDEVMODE="1",
    )
    assert printed.split() == ["done"]


def test_a_loop_that_has_ended_is_not_kept_alive(reader):
    async def crowd():
        await asyncio.gather(*(reader.aget("k") for _ in range(20)))

    ended = []
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(crowd())
        loop.close()
        ended.append(ref(loop))
        del loop
    asyncio.run(reader.aget("k"))
    gc.collect()
    assert sum(loop() is not None for loop in ended) == 0


@pytest.mark.parametrize("ending", ["reader.close()", "del reader"])
def test_reads_that_are_closed_or_dropped_leave_no_socket_and_no_thread(fleet, server, ending):
    printed = fleet.python(
        f"""
        import asyncio, gc, logging, sys, threading, time
        from warmer.wire import open_reader

        sys.stderr = sys.stdout
        logging.disable()

        async def read_both():
            await reader.aget("k")
            await reader.aget_many(["k", "l"])

        for url in ("{server.url}", "redis://{HOST}:1", "redis+cluster://{HOST}:1"):
            reader = open_reader(url, 5.0)
            try:
                reader.get("k")
                reader.get_many(["k", "l"])
                asyncio.run(read_both())
            except Exception:
                pass
            {ending}
        gc.collect()
        deadline_s = time.monotonic() + 10
        while threading.active_count() > 1 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        print(threading.enumerate()[1:])
        """,
        PYTHONDEVMODE="1",
        PYTHONWARNINGS="error",
    )
    assert printed.split() == ["[]"]


# --- forked children -------------------------------------------------------------------------------------------
def test_parent_and_children_read_after_a_fork_without_touching_each_other(reader, client, namespace):
    written = {f"{namespace}:{number}": random.Random(number).randbytes(3000) for number in range(20)}
    client.mset(written)

    def read_all():
        return all(
            reader.get(key) == value and asyncio.run(reader.aget(key)) == value
            for _ in range(20)
            for key, value in written.items()
        )

    assert read_all()
    hammering = [threading.Thread(target=read_all) for _ in range(3)]
    for thread in hammering:
        thread.start()
    assert all(in_forked_child(read_all) for _ in range(4))
    for thread in hammering:
        thread.join()
    assert read_all()


def test_a_child_of_a_running_loop_leaves_the_loop_s_connection_alone(own_server):
    def read_in_child():
        asyncio.events._set_running_loop(None)  # as multiprocessing's children do
        loop = asyncio.new_event_loop()
        return reader.get("k") == loop.run_until_complete(reader.aget("k")) == b"value"

    async def fork_in_between():
        for _ in range(3):
            assert await reader.aget("k") == b"value"
            waiting = asyncio.ensure_future(reader.aget("k"))
            await asyncio.sleep(0)
            assert in_forked_child(read_in_child)
            assert await waiting == b"value"

    with (
        closing(connect(own_server.url, TIMEOUT_S)) as client,
        closing(open_reader(own_server.url, TIMEOUT_S)) as reader,
    ):
        client.set("k", "value")
        before = client.info("stats")["total_connections_received"]
        asyncio.run(fork_in_between())
        opened = client.info("stats")["total_connections_received"] - before
        assert opened == 1 + 3 * 2, "the loop's own connection lasted, and each child opened two"


# --- addresses -------------------------------------------------------------------------------------------------
def test_a_unix_socket_is_read(server, tmp_path, namespace):
    path = tmp_path / "redis.sock"
    with PrivateServer.start(server.binary, args=("--unixsocket", str(path))):
        url = f"unix://{path}?db=3"
        with closing(connect(url, TIMEOUT_S)) as client, closing(open_reader(url, TIMEOUT_S)) as reader:
            client.set(namespace, "value")
            assert both_ways(reader, namespace) == b"value"


def test_the_database_of_the_address_is_read(own_server, namespace):
    with (
        closing(connect(f"redis://{HOST}:{own_server.port}/7", TIMEOUT_S)) as client,
        closing(open_reader(f"redis://localhost:{own_server.port}/7", TIMEOUT_S)) as reader,
    ):
        client.set(namespace, "value")
        assert both_ways(reader, namespace) == b"value"


def test_an_acl_user_reads_within_its_rights(own_server, namespace):
    url = f"redis://app:p%40ss@{HOST}:{own_server.port}"
    with closing(connect(own_server.url, TIMEOUT_S)) as admin, closing(open_reader(url, TIMEOUT_S)) as reader:
        admin.execute_command("ACL", "SETUSER", "app", "on", ">p@ss", f"~{namespace}:*", "+@read")
        admin.set(f"{namespace}:k", "value")
        assert both_ways(reader, f"{namespace}:k") == b"value"
        for attempt in (lambda: reader.get("elsewhere"), lambda: reader.get_many(["elsewhere"])):
            with pytest.raises(redis_errors.NoPermissionError):
                attempt()
        assert not reader.is_unavailable("elsewhere")


def test_a_wrong_password_is_an_outage_whose_message_keeps_it_secret(own_server, caplog):
    url = f"redis://:wr0ng@{HOST}:{own_server.port}"
    with closing(connect(own_server.url, TIMEOUT_S)) as admin:
        admin.config_set("requirepass", "right")
    with closing(open_reader(url, TIMEOUT_S)) as reader, pytest.raises(redis_errors.AuthenticationError):
        reader.get("k")
    with closing(open_reader(url, TIMEOUT_S)) as reader, pytest.raises(redis_errors.AuthenticationError):
        asyncio.run(reader.aget("k"))
    assert "is unavailable" in caplog.text
    assert "wr0ng" not in caplog.text


def test_a_password_alone_logs_in(own_server):
    with closing(connect(own_server.url, TIMEOUT_S)) as admin:
        admin.set("k", "value")
        admin.config_set("requirepass", "right")
    with closing(open_reader(f"redis://:right@{HOST}:{own_server.port}", TIMEOUT_S)) as reader:
        assert both_ways(reader, "k") == b"value"


def test_a_database_that_the_server_does_not_have_is_an_outage(own_server):
    with closing(open_reader(f"redis://{HOST}:{own_server.port}/999", TIMEOUT_S)) as reader:
        with pytest.raises(redis_errors.ConnectionError, match="rejects the connection"):
            reader.get("k")
        assert reader.is_unavailable("k")


def test_tls_is_read_by_whoever_trusts_the_authority(own_server):
    with closing(connect(own_server.url, TIMEOUT_S)) as client, TlsProxy(own_server.port) as proxy:
        values = {f"k{size}": random.Random(size).randbytes(size) for size in SIZES}
        client.mset(values)
        with closing(open_reader(f"rediss://{HOST}:{proxy.port}?ssl_ca_certs={AUTHORITY}", TIMEOUT_S)) as reader:

            async def read_at_once():
                return await asyncio.gather(*(reader.aget(key) for key in values))

            for key, value in values.items():
                assert both_ways(reader, key) == value
            assert reader.get_many(list(values)) == list(values.values())
            assert asyncio.run(read_at_once()) == list(values.values())
            client.client_kill_filter(_type="normal", skipme=True)
            assert reader.get("k1") == values["k1"]
            assert in_forked_child(lambda: reader.get("k1") == values["k1"])
            assert reader.get("k1") == values["k1"]
        for read in (lambda: distrustful.get("k1"), lambda: asyncio.run(distrustful.aget("k1"))):
            with (
                closing(open_reader(f"rediss://{HOST}:{proxy.port}", TIMEOUT_S)) as distrustful,
                pytest.raises(redis_errors.ConnectionError, match="certificate verify failed"),
            ):
                read()


def test_certificates_that_cannot_be_read_are_refused_at_once(tmp_path):
    with pytest.raises(SettingsError, match="ssl_ca_certs"):
        open_reader(f"rediss://{HOST}?ssl_ca_certs={tmp_path / 'none.pem'}", TIMEOUT_S)


def test_a_server_in_memory_is_read(namespace):
    with closing(connect("memory://wire", TIMEOUT_S)) as client, closing(open_reader("memory://wire", 1.0)) as reader:
        client.set(namespace, "value")
        assert both_ways(reader, namespace) == b"value"
        reader.report(namespace, redis_errors.ConnectionError("gone"))
        assert not reader.is_unavailable(namespace)


# --- Clusters --------------------------------------------------------------------------------------------------
@pytest.fixture
def on_cluster(cluster):
    address = Address.parse(cluster.url)
    topology = Topology.of(address, TIMEOUT_S)
    reader = WireReader(address, topology, TIMEOUT_S)
    with closing(connect(cluster.url, TIMEOUT_S)) as client, closing(reader):
        yield client, reader, topology


def empty_slot(cluster, namespace):
    """Return a hash tag whose slot is nobody's: other tests have left keys in some."""
    for number in range(100):
        tag = f"{namespace}-{number}"
        if not any(process.ask("CLUSTER", "COUNTKEYSINSLOT", slot_of(tag.encode())) for process in cluster.processes):
            return tag
    raise AssertionError("every slot has keys")


def spread(namespace, count):
    """Keys of many slots, so of all nodes, and their values."""
    return {f"{namespace}:{{{number}}}": f"value {number}".encode() for number in range(count)}


def test_a_cluster_is_read_key_by_key_and_in_one_go(on_cluster, namespace):
    client, reader, _ = on_cluster
    written = spread(namespace, 300)
    for key, value in written.items():
        client.set(key, value)
    asked = [*written, f"{namespace}:none"]
    assert [reader.get(key) for key in asked] == [*written.values(), None]
    assert reader.get_many(asked) == [*written.values(), None]

    async def read_all():
        return [await reader.aget(asked[0]), await reader.aget_many(asked)]

    assert asyncio.run(read_all()) == [written[asked[0]], [*written.values(), None]]


def test_in_a_cluster_too_a_key_of_another_type_holds_no_value(on_cluster, namespace):
    client, reader, _ = on_cluster
    client.rpush(f"{namespace}:list", "no string")
    client.set(f"{namespace}:k", "value")
    assert reader.get_many([f"{namespace}:list", f"{namespace}:k"]) == [None, b"value"]


def test_a_slot_that_has_moved_is_found_again(on_cluster, cluster, namespace):
    client, reader, topology = on_cluster
    tag = empty_slot(cluster, namespace)
    keys = [f"{{{tag}}}:{number}" for number in range(5)]
    for key in keys:
        client.set(key, key)
    expected = [key.encode() for key in keys]
    assert reader.get_many(keys) == expected
    home = cluster.process_at(topology.node_of(keys[0].encode()).port)
    other = next(process for process in cluster.processes if process is not home)
    for key in keys:
        client.delete(key)
    slot = slot_of(keys[0].encode())
    cluster.move_slot(slot, other)
    try:
        for key in keys:
            other.ask("SET", key, key)
        assert reader.get(keys[0]) == expected[0]
        topology.moved(slot, Server(HOST, home.port))
        assert reader.get_many(keys) == expected
        assert topology.node_of(keys[0].encode()).port == other.port
        topology.moved(slot, Server(HOST, home.port))
        assert asyncio.run(reader.aget(keys[0])) == expected[0]
        topology.moved(slot, Server(HOST, home.port))
        assert asyncio.run(reader.aget_many(keys)) == expected
    finally:
        for key in keys:
            other.ask("DEL", key)
        cluster.move_slot(slot, home)


def test_keys_on_their_way_to_another_node_are_asked_for_there(on_cluster, cluster, namespace):
    client, reader, topology = on_cluster
    tag = empty_slot(cluster, namespace)
    stays, goes, nowhere = (f"{{{tag}}}:{name}" for name in ("stays", "goes", "nowhere"))
    client.set(stays, "stays")
    assert reader.get(stays) == b"stays"
    home = cluster.process_at(topology.node_of(stays.encode()).port)
    other = next(process for process in cluster.processes if process is not home)
    with cluster.moving_slot(slot_of(stays.encode()), home, other), Redis(host=HOST, port=other.port) as importing:
        pipe = importing.pipeline(transaction=False)
        pipe.execute_command("ASKING")
        pipe.execute_command("SET", goes, "goes")
        pipe.execute()
        expected = [b"stays", b"goes", None]
        keys = [stays, goes, nowhere]
        assert [reader.get(key) for key in keys] == expected
        assert reader.get_many(keys) == expected
        assert asyncio.run(reader.aget(goes)) == b"goes"
        assert asyncio.run(reader.aget_many(keys)) == expected
        pipe.execute_command("ASKING")
        pipe.execute_command("DEL", goes)
        pipe.execute()
    client.delete(stays)


def test_all_who_are_first_share_one_question(on_cluster, namespace, monkeypatch):
    client, reader, topology = on_cluster
    client.set(namespace, "value")
    asked, refresh = [], topology.refresh
    together = threading.Barrier(16)

    def slow_refresh():
        asked.append(1)
        time.sleep(0.3)
        refresh()

    def read():
        together.wait()
        found.append(reader.get(namespace))

    monkeypatch.setattr(topology, "refresh", slow_refresh)
    found = []
    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"value"] * 16
    assert asked == [1]


def test_a_slot_that_nobody_serves_holds_no_reader_up_and_is_found_when_somebody_does(
    on_cluster, namespace, monkeypatch, eventually
):
    client, reader, topology = on_cluster
    client.set(namespace, "value")
    assert reader.get(namespace) == b"value"
    may_answer, refresh = threading.Event(), topology.refresh
    monkeypatch.setattr(topology, "refresh", lambda: may_answer.wait(30) and refresh())
    topology.moved(slot_of(namespace.encode()), None)
    began_s = time.monotonic()
    for read in (lambda: reader.get(namespace), lambda: asyncio.run(reader.aget(namespace))):
        with pytest.raises(redis_errors.ConnectionError, match="no master"):
            read()
    assert reader.get_many([namespace]) == asyncio.run(reader.aget_many([namespace])) == [UNAVAILABLE]
    assert time.monotonic() - began_s < TIMEOUT_S / 2
    may_answer.set()
    eventually(lambda: reader.get_many([namespace]) == [b"value"])


def test_only_the_keys_of_a_node_that_is_away_are_away(on_cluster, namespace):
    client, reader, topology = on_cluster
    written = spread(namespace, 60)
    for key, value in written.items():
        client.set(key, value)
    assert reader.get_many(list(written)) == list(written.values())
    away = topology.node_of(next(iter(written)).encode())
    reader.report(next(iter(written)), redis_errors.ConnectionError("a lease could not be had"))
    found = dict(zip(written, reader.get_many(list(written)), strict=True))
    for key, value in written.items():
        is_away = topology.node_of(key.encode()) == away
        assert found[key] == (UNAVAILABLE if is_away else value)


# --- Sentinels -------------------------------------------------------------------------------------------------
def test_sentinels_lead_to_the_master(sentinel, namespace):
    with closing(connect(sentinel.url, TIMEOUT_S)) as client, closing(open_reader(sentinel.url, TIMEOUT_S)) as reader:
        client.set(namespace, "value")
        assert both_ways(reader, namespace) == b"value"
        assert reader.get_many([namespace]) == [b"value"]


def test_a_coroutine_may_be_the_first_to_ask_sentinels(sentinel, namespace):
    with closing(open_reader(sentinel.url, TIMEOUT_S)) as reader:

        async def crowd():
            return await asyncio.gather(*(reader.aget(namespace) for _ in range(10)), reader.aget_many([namespace]))

        assert asyncio.run(crowd()) == [None] * 10 + [[None]]


def test_reads_follow_a_failover(own_sentinel, eventually, caplog):
    with closing(connect(own_sentinel.url, TIMEOUT_S)) as client, closing(open_reader(own_sentinel.url, 1.0)) as reader:
        client.set("k", "value")
        client.wait(2, 5000)
        assert reader.get("k") == b"value"
        own_sentinel.kill_master()
        with pytest.raises(redis_errors.ConnectionError):
            reader.get("k")
        assert reader.is_unavailable("k")

        def is_back():
            return not reader.is_unavailable("k") and reader.get("k") == b"value"

        assert eventually(is_back, within_s=30)
        assert asyncio.run(reader.aget("k")) == b"value"
    assert "was replaced by another server" in caplog.text
