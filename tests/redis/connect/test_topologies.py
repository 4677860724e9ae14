"""Clients and topologies over what they are for: a socket, TLS, ACL users, Sentinels and Clusters."""

import os
from contextlib import closing

import pytest
from redis.exceptions import ClusterError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from tests.support.certificates import AUTHORITY, CERTIFICATE, KEY
from tests.support.proxy import TlsProxy
from tests.support.topologies import HOST, Cluster, Topology, free_port
from warmer import Settings
from warmer.connect import connect
from warmer.connect.address import Address, Server
from warmer.connect.topology import SLOTS, slot_of
from warmer.connect.topology import Topology as KeyTopology
from warmer.errors import SettingsError
from warmer.processes.private_server import PrivateServer
from warmer.store.keys import Keys
from warmer.store.scripts import Scripts

TIMEOUT_S = 2.0
TAKE_LEASE = "return {redis.call('SET', KEYS[1], ARGV[1], 'NX') and 1 or 0, redis.call('GETRANGE', KEYS[2], 0, 9)}"
SET_BOTH = "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[1]) return redis.call('GET', KEYS[2])"


def leases(client, namespace, cache_key="catalog") -> bool:
    """Take a lease beside an entry in one script, and give it up by warmer's own; returns whether both worked."""
    keys = Keys(namespace)
    both = [keys.lease(cache_key), keys.entry(cache_key)]
    taken, beginning = client.register_script(TAKE_LEASE)(keys=both, args=["token"])
    assert beginning == b""
    settings = Settings.load(redis_url="redis://unused", namespace=namespace)
    release, _ = Scripts(client, settings).over_each("release_lease")
    released = release(keys=[both[0]], args=["token"])
    return taken == 1 and released == [1] and client.set(both[1], "value")


def in_forked_child(action) -> bool:
    """Run an action in a forked child; returns whether it returned something true."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if action() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def serves(client, namespace) -> bool:
    client.set(f"{namespace}:a", 1)
    return client.get(f"{namespace}:a") == b"1"


# --- one server ----------------------------------------------------------------------------------------------
def known(url) -> KeyTopology:
    """What stands at an address, after it has been asked."""
    topology = KeyTopology.of(Address.parse(url), TIMEOUT_S)
    topology.refresh()
    return topology


def test_a_unix_socket_serves(server, namespace, tmp_path):
    path = tmp_path / "redis.sock"
    with PrivateServer.start(server.binary, args=("--unixsocket", str(path))):
        url = f"unix://{path}?db=3"
        with closing(connect(url, TIMEOUT_S)) as client:
            assert serves(client, namespace)
            assert leases(client, namespace)
            assert client.client_info()["db"] == 3
            assert in_forked_child(lambda: serves(client, namespace))
        assert KeyTopology.of(Address.parse(url), TIMEOUT_S).node_of(b"a") == Server(path=str(path))


def test_an_acl_user_serves_within_its_rights(own_server, namespace):
    with closing(connect(own_server.url, TIMEOUT_S)) as admin:
        admin.execute_command("ACL", "SETUSER", "app", "on", ">p@ss/w:rd", f"~{namespace}:*", "&*", "+@all")
    with closing(connect(f"redis://app:p%40ss%2Fw%3Ard@127.0.0.1:{own_server.port}/0", TIMEOUT_S)) as client:
        assert client.execute_command("ACL WHOAMI") in ("app", b"app")
        assert serves(client, namespace)
        assert leases(client, namespace)
        with pytest.raises(NoPermissionError):
            client.set("elsewhere", 1)


def test_tls_serves_whoever_trusts_the_authority(server, namespace):
    with TlsProxy(server.port, asks_for_certificates=True) as proxy:
        url = f"rediss://{HOST}:{proxy.port}/1?ssl_ca_certs={AUTHORITY}"
        with (
            closing(connect(f"{url}&ssl_certfile={CERTIFICATE}&ssl_keyfile={KEY}", TIMEOUT_S)) as client,
            closing(connect(url, TIMEOUT_S)) as nameless,
            closing(connect(f"rediss://{HOST}:{proxy.port}", TIMEOUT_S)) as distrustful,
        ):
            assert serves(client, namespace)
            assert leases(client, namespace)
            assert in_forked_child(lambda: serves(client, namespace))
            for refused in (nameless, distrustful):
                with pytest.raises(RedisError):
                    refused.ping()


# --- Sentinels -----------------------------------------------------------------------------------------------
def double(number):
    return 2 * number


def test_sentinels_lead_to_the_master(sentinel, namespace):
    with closing(connect(sentinel.url, TIMEOUT_S)) as client:
        assert client.role()[0] == b"master"
        assert serves(client, namespace)
        assert leases(client, namespace)
        assert in_forked_child(lambda: serves(client, namespace))
        assert serves(client, namespace)


def test_rq_runs_over_sentinels(sentinel, namespace):
    class Worker(SimpleWorker):
        death_penalty_class = TimerDeathPenalty

    with closing(connect(sentinel.url, 5.0, resend=True)) as client:
        queue = Queue(namespace, connection=client, serializer=JSONSerializer)
        job = queue.enqueue(double, 21)
        Worker([queue], connection=client, serializer=JSONSerializer).work(burst=True)
        assert job.return_value(refresh=True) == 42


def test_the_sentinels_topology_names_the_master(sentinel):
    topology = known(sentinel.url)
    assert topology.node_of(b"any") == Server(HOST, sentinel.master().port)
    assert topology.nodes() == (Server(HOST, sentinel.master().port),)


def test_one_sentinel_is_enough_and_a_wrong_service_is_said(sentinel):
    alive = sentinel.sentinels[0].port
    some_dead = f"redis+sentinel://{HOST}:1,{HOST}:{alive}/orders"
    with closing(connect(some_dead, TIMEOUT_S)) as client:
        assert client.ping()
    assert known(some_dead).node_of(b"a").port == sentinel.master().port
    with (
        closing(connect(f"redis+sentinel://{HOST}:{alive}/others", TIMEOUT_S)) as client,
        pytest.raises(RedisConnectionError, match="others"),
    ):
        client.ping()


def test_a_closed_client_has_left_the_sentinels_too(sentinel):
    client = connect(sentinel.url, TIMEOUT_S)
    assert client.ping()
    client.connection_pool.get_master_address()
    asked = [one.connection_pool for one in client.connection_pool.sentinel_manager.sentinels]
    connected = [connection for pool in asked for connection in pool._available_connections if connection._sock]
    assert connected
    client.close()
    assert not any(connection._sock for connection in connected)


def test_after_a_failover_the_new_master_is_reached(own_sentinel, namespace, eventually):
    topology = known(own_sentinel.url)
    with closing(connect(own_sentinel.url, TIMEOUT_S)) as client:
        assert serves(client, namespace)
        old = topology.node_of(b"a")
        own_sentinel.kill_master()

        def serves_again() -> bool:
            try:
                return serves(client, namespace)
            except RedisError:
                return False

        eventually(serves_again, within_s=30)
        assert leases(client, namespace)
        topology.refresh()
        assert topology.node_of(b"a") == Server(HOST, own_sentinel.master().port) != old


def test_sentinels_that_are_all_away_are_said_within_the_time():
    url = f"redis+sentinel://{HOST}:1,{HOST}:2/orders"
    with closing(connect(url, TIMEOUT_S)) as client:
        for ask in (client.ping, lambda: known(url)):
            with pytest.raises(RedisConnectionError):
                ask()


# --- Cluster -------------------------------------------------------------------------------------------------
def test_a_cluster_serves_keys_of_every_master(cluster, namespace):
    with closing(connect(cluster.url, TIMEOUT_S)) as client:
        assert client.ping()
        for number in range(30):
            assert serves(client, f"{namespace}{number}")
            assert leases(client, namespace, f"key{number}")
        keys = Keys(namespace)
        assert client.delete(keys.lease("key1"), keys.entry("key1")) == 1
        assert client.exists(*(keys.entry(f"key{number}") for number in range(30))) == 29


def test_a_script_goes_only_to_the_node_that_holds_its_keys(cluster, namespace):
    with closing(connect(cluster.url, TIMEOUT_S)) as client:
        script = client.register_script(SET_BOTH + f" -- {namespace}")
        for _ in range(2):
            assert script(keys=[f"a{{{namespace}}}", f"b{{{namespace}}}"], args=[7]) == b"7"
        knowing = [p for p in cluster.processes if p.ask("SCRIPT", "EXISTS", script._sha) == [1]]
        holder = known(cluster.url).node_of(b"{" + namespace.encode() + b"}")
        assert [process.port for process in knowing] == [holder.port]


def test_keys_of_two_slots_are_refused_and_the_client_goes_on(cluster, namespace):
    with closing(connect(cluster.url, TIMEOUT_S)) as client:
        with pytest.raises(ClusterError):
            client.eval(SET_BOTH, 2, "{a}", "{b}", 1)
        assert serves(client, namespace)


def test_a_client_of_a_cluster_sends_nothing_until_it_is_used():
    client = connect(f"redis+cluster://{HOST}:1,{HOST}:2", TIMEOUT_S)
    with pytest.raises(RedisConnectionError):
        client.get("a")
    client.close()


def test_forked_children_have_sockets_of_their_own(cluster, namespace):
    with closing(connect(cluster.url, TIMEOUT_S)) as client:
        assert serves(client, namespace)
        key = f"{namespace}:a"
        ours = client.get_node_from_key(key)
        our_id = client.client_id(target_nodes=ours)

        def serves_over_another_socket() -> bool:
            return serves(client, namespace) and client.client_id(target_nodes=client.get_node_from_key(key)) != our_id

        assert in_forked_child(serves_over_another_socket)
        assert client.client_id(target_nodes=ours) == our_id
        assert serves(client, namespace)


def test_a_child_forked_while_another_thread_connects_is_not_stuck(cluster, namespace):
    client = connect(cluster.url, TIMEOUT_S)
    with client._opening:  # as another thread would hold it
        assert in_forked_child(lambda: serves(client, namespace))
    client.close()


def test_the_topology_agrees_with_the_cluster_about_every_key(cluster):
    topology = known(cluster.url)
    keys = [
        f"{prefix}{number}{suffix}" for number in range(300) for prefix, suffix in (("", ""), ("{", "}x"), ("{}", ""))
    ]
    first = cluster.processes[0]
    ports = [process.port for process in cluster.processes]
    for key in keys:
        slot = slot_of(key.encode())
        assert slot == first.ask("CLUSTER", "KEYSLOT", key)
        assert topology.node_of(key.encode()) == Server(HOST, ports[(3 * (slot + 1) - 1) // SLOTS])
    assert set(topology.nodes()) == {Server(HOST, port) for port in ports}


def test_a_slot_that_moved_is_found_again(cluster, namespace):
    key = f"{namespace}:a"
    slot = slot_of(key.encode())
    topology = known(cluster.url)
    old = cluster.process_at(topology.node_of(key.encode()).port)
    new = next(process for process in cluster.processes if process is not old)
    with closing(connect(cluster.url, TIMEOUT_S)) as client:
        assert client.get(key) is None
        cluster.move_slot(slot, new)
        try:
            assert serves(client, namespace)
            assert client.delete(key) == 1
            topology.moved(slot, Server(HOST, new.port))
            assert topology.node_of(key.encode()).port == new.port
            assert known(cluster.url).node_of(key.encode()).port == new.port
        finally:
            cluster.move_slot(slot, old)
        topology.refresh()
        assert topology.node_of(key.encode()).port == old.port


def test_a_slot_that_is_being_moved_is_served_by_both(cluster, namespace):
    key = f"{namespace}:a"
    topology = known(cluster.url)
    old = cluster.process_at(topology.node_of(key.encode()).port)
    new = next(process for process in cluster.processes if process is not old)
    with closing(connect(cluster.url, TIMEOUT_S)) as client, cluster.moving_slot(slot_of(key.encode()), old, new):
        assert serves(client, namespace)
        assert client.delete(key) == 1


def test_a_cluster_is_asked_through_whichever_node_is_left(cluster, namespace):
    with Cluster.start(cluster.binary) as own:
        client = connect(own.url, TIMEOUT_S)
        topology = known(own.url)
        assert serves(client, namespace)
        topology.refresh()
        own.processes[0].kill()
        own.processes[1].kill()
        topology.refresh()
        alive = Server(HOST, own.processes[2].port)
        assert alive in topology.nodes()
        own.processes[2].kill()
        for ask in (lambda: client.get("a"), client.ping, topology.refresh):
            with pytest.raises(RedisError):
                ask()
        assert topology.node_of(b"a") in {Server(HOST, process.port) for process in own.processes}
        client.close()


def test_an_acl_user_and_tls_work_on_a_cluster(server, namespace, eventually):
    with Topology(server.binary) as topology:
        node = topology.launch("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        with TlsProxy(node.port) as proxy:
            node.ask("CONFIG", "SET", "cluster-announce-ip", HOST, "cluster-announce-port", proxy.port)
            node.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            eventually(lambda: "cluster_state:ok" in node.ask("CLUSTER", "INFO"))
            node.ask("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all")
            url = f"rediss+cluster://app:pw@{HOST}:{proxy.port}?ssl_ca_certs={AUTHORITY}"
            with closing(connect(url, TIMEOUT_S)) as client:
                assert client.execute_command("ACL WHOAMI") in ("app", b"app")
                assert serves(client, namespace)
            assert known(url).node_of(b"a") == Server(HOST, proxy.port)


# --- memory --------------------------------------------------------------------------------------------------
def test_memory_runs_the_scripts_and_rq(namespace):
    class Worker(SimpleWorker):
        death_penalty_class = TimerDeathPenalty

    client = connect(f"memory://{namespace}", TIMEOUT_S)
    assert leases(client, namespace)
    queue = Queue(namespace, connection=client, serializer=JSONSerializer)
    job = queue.enqueue(double, 21)
    Worker([queue], connection=client, serializer=JSONSerializer).work(burst=True)
    assert job.return_value(refresh=True) == 42


def test_a_cluster_is_refused_for_tasks():
    with pytest.raises(SettingsError, match="RQ does not run on a Cluster"):
        Settings.load(redis_url="redis+cluster://localhost")
