"""Addresses of Redis, taken apart, and what their errors give away."""

import ssl
from string import ascii_lowercase
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import parse_url

from warmer.connect import connect
from warmer.connect.address import Address, Server, Tls, without_credentials
from warmer.connect.topology import Topology, slot_of
from warmer.errors import SettingsError

credentials = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
hosts = st.one_of(
    st.text(ascii_lowercase + "0123456789-.", min_size=1, max_size=20), st.ip_addresses(v=6).map(lambda ip: f"[{ip}]")
)


@given(credentials, credentials, hosts, st.none() | st.integers(1, 65535), st.none() | st.integers(0, 99))
def test_plain_addresses_mean_what_they_mean_to_redis_py(username, password, host, port, db):
    url = (
        f"redis://{quote(username, safe='')}:{quote(password, safe='')}@{host}"
        f"{'' if port is None else f':{port}'}{'' if db is None else f'/{db}'}"
    )
    address, theirs = Address.parse(url), parse_url(url)
    assert address.servers == (Server(theirs["host"], theirs.get("port", 6379)),)
    assert (address.username, address.password) == (theirs.get("username", ""), theirs.get("password", ""))
    assert address.db == theirs.get("db", 0)


@given(credentials, credentials, st.lists(st.tuples(hosts, st.integers(1, 65535)), min_size=1, max_size=4))
def test_every_host_of_a_list_is_found(username, password, listed):
    servers = tuple(Server(host.strip("[]"), port) for host, port in listed)
    who = f"{quote(username, safe='')}:{quote(password, safe='')}"
    where = ",".join(map(str, servers))
    for url, kind in (
        (f"redis+sentinel://{who}@{where}/main", "sentinel"),
        (f"redis+cluster://{who}@{where}", "cluster"),
    ):
        address = Address.parse(url)
        assert (address.kind, address.servers) == (kind, servers)
        assert (address.username, address.password) == (username, password)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", Address("standalone", (Server("localhost", 6379),))),
        ("redis://HOST/?db=3", Address("standalone", (Server("host", 6379),), db=3)),
        ("redis://h/1?db=3", Address("standalone", (Server("h", 6379),), db=3)),
        ("redis://h?username=a&password=b%40", Address("standalone", (Server("h", 6379),), "", 0, "a", "b@")),
        (" redis://h\n", Address("standalone", (Server("h", 6379),))),
        ("rediss://h", Address("standalone", (Server("h", 6379),), tls=Tls())),
        ("unix:///run/a%20b.sock?db=2", Address("standalone", (Server(path="/run/a b.sock"),), db=2)),
        ("unix://a:b@/run/s?password=c", None),
        ("unix://a:b@/run/s", Address("standalone", (Server(path="/run/s"),), "", 0, "a", "b")),
        ("redis+sentinel://h/main/2", Address("sentinel", (Server("h", 26379),), "main", 2)),
        (
            "rediss+sentinel://a:b@h,[::1]:7/main?sentinel_username=c&sentinel_password=d&ssl_cert_reqs=none",
            Address(
                *("sentinel", (Server("h", 26379), Server("::1", 7)), "main", 0, "a", "b", "c", "d"),
                Tls("none", check_hostname=False),
            ),
        ),
        ("redis+cluster://h/0", Address("cluster", (Server("h", 6379),))),
        ("rediss+cluster://h:1,i", Address("cluster", (Server("h", 1), Server("i", 6379)), tls=Tls())),
        ("memory://orders/1", Address("memory", (), "orders", 1)),
        ("valkey://h:1", Address("standalone", (Server("h", 1),))),
        ("valkeys://h:1", Address("standalone", (Server("h", 1),), tls=Tls())),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", Address("standalone", (Server("h", 6379),), tls=Tls("none", False))),
        (
            "redis://h?client_name=shop&health_check_interval=30&socket_keepalive=true",
            Address("standalone", (Server("h", 6379),), "", 0, "", "", "", "", None, "shop", 30, True),
        ),
        *(
            (f"redis://h/1?{option}", Address("standalone", (Server("h", 6379),), db=1))
            for option in (
                *(
                    "socket_timeout=5",
                    "socket_connect_timeout=0.5",
                    "decode_responses=True",
                    "protocol=3",
                    "timeout=20",
                ),
                *("max_connections=20", "retry_on_timeout=true", "encoding=utf-8", "socket_read_size=65536"),
            )
        ),
    ],
)
def test_each_form_of_address_is_understood(url, expected):
    if expected is None:
        with pytest.raises(SettingsError, match="options that it does not take: password"):
            Address.parse(url)
    else:
        assert Address.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:6379", "begins with 'localhost'"),
        ("http://h", "begins with 'http'"),
        ("redis:/h", "cannot be read"),
        ("redis://h/zero", "write it as redis://localhost:6379/0"),
        ("redis://h/-1", "database"),
        ("redis://h:0", "host or port"),
        ("redis://h:65536", "host or port"),
        ("redis://h:port", "host or port"),
        ("redis://[::1", "host or port"),
        ("redis://a,b", "several hosts"),
        ("redis://h?socket_timeuot=3&x=1", r"socket_timeuot \(the nearest is socket_timeout\), x$"),
        ("redis://h?ssl_ca_certs=/x", r"ssl_ca_certs \(it needs an address that begins with rediss\)"),
        ("rediss://h?ssl_ca_path=/x", r"ssl_ca_path \(the nearest is ssl_ca_certs\)"),
        ("redis://h?health_check_interval=often", "health_check_interval that is no whole number of seconds"),
        ("redis://h?socket_timeout=soon", "socket_timeout that is no number"),
        ("redis://h?socket_keepalive=perhaps", "socket_keepalive that is neither true nor false"),
        ("memory://a?protocol=3", "protocol"),
        ("rediss://h?ssl_cert_reqs=perhaps", "ssl_cert_reqs"),
        ("rediss://h?ssl_check_hostname=perhaps", "ssl_check_hostname"),
        ("unix://run/redis.sock", "unix:///run"),
        ("unix://", "unix:///run"),
        ("redis+sentinel://a,b", "name of a service"),
        ("redis+sentinel://a,/main", "host or port"),
        ("redis+sentinel:///main", "host or port"),
        ("redis+sentinel://a/main/x", "database"),
        ("redis+cluster://a/1", "only database 0"),
        ("redis+cluster://a,,b", "host or port"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_reason(url, words):
    with pytest.raises(SettingsError, match=words):
        Address.parse(url)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "redis+sentinel", "redis+cluster", "http"])
@pytest.mark.parametrize(
    "rest",
    [
        "u:s3c/r3t@h",
        "u:s3c?r3t@h",
        "u:s3c#r3t@h",
        "u:s3c?r3t=1@h:1/0",
        "u:s3c:r3t",
        "u:s3c@h:1/r3t",
        "u:s3c@h:r3t/x",
        "s3c r3t@h",
    ],
)
def test_no_error_gives_a_part_of_a_password_away(scheme, rest):
    url = f"{scheme}://{rest}"
    try:
        shown = repr(Address.parse(url))
    except SettingsError as error:
        shown = str(error)
    assert "s3c" not in shown
    assert "r3t" not in shown.replace("Server(path='/r3t')", "").replace("service='r3t'", "")


def test_an_address_is_shown_without_passwords():
    address = Address.parse("redis+sentinel://a:hush@h/main?sentinel_password=quiet")
    assert "hush" not in repr(address)
    assert "quiet" not in repr(address)
    assert without_credentials("redis://a:b@h?password=c&db=1") == "redis://***@h?password=***&db=1"


def test_tls_is_checked_unless_told_otherwise():
    context = Address.parse("rediss://h").ssl_context()
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    context = Address.parse("rediss://h?ssl_cert_reqs=none").ssl_context()
    assert not context.check_hostname
    assert context.verify_mode == ssl.CERT_NONE
    context = Address.parse("rediss+cluster://h?ssl_check_hostname=false").ssl_context()
    assert not context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_options_of_an_address_reach_the_connections():
    client = connect("redis://h?client_name=shop&health_check_interval=30&socket_keepalive=yes&socket_timeout=99", 1.0)
    options = client.connection_pool.connection_kwargs
    assert (options["client_name"], options["health_check_interval"], options["socket_keepalive"]) == ("shop", 30, True)
    assert (options["socket_timeout"], options["protocol"], options["decode_responses"]) == (1.0, 2, False)


def test_certificates_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(SettingsError, match=name):
            connect(f"rediss://h?ssl_ca_certs={tmp_path / name}", 1.0)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"{a}b", b"a"),
        (b"c{a}b{d}", b"a"),
        (b"{}a", None),
        (b"a{b", None),
        (b"{{a}}", b"{a"),
        (b"}{a}", b"a"),
        (b"", None),
    ],
)
def test_a_hash_tag_decides_the_slot(key, hashed):
    from binascii import crc_hqx

    assert slot_of(key) == crc_hqx(key if hashed is None else hashed, 0) % 16384


def test_one_server_holds_every_key():
    for url, server in (("redis://h:1", Server("h", 1)), ("unix:///s", Server(path="/s"))):
        topology = Topology.of(Address.parse(url), 1.0)
        topology.refresh()
        topology.moved(5, Server("other", 2))
        assert (topology.node_of(b"a"), topology.nodes()) == (server, (server,))


def test_memory_has_no_servers():
    with pytest.raises(ValueError, match="memory://"):
        Topology.of(Address.parse("memory://a"), 1.0)


def test_memory_is_shared_by_name():
    one, same, other = (connect(f"memory://{name}", 1.0) for name in ("shared", "shared", "apart"))
    one.set("key", "value")
    assert (same.get("key"), other.get("key")) == (b"value", None)
    assert one.eval("return redis.call('GET', KEYS[1])", 1, "key") == b"value"


def test_memory_without_its_packages_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fakeredis", None)
    with pytest.raises(SettingsError, match=r"pip install 'warmer\[testing\]'"):
        connect("memory://missing", 1.0)
