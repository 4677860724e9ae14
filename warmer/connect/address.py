"""Address of Redis: parses the URL of a server, Sentinels, a Cluster or a server in memory. No I/O here."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from warmer.errors import SettingsError, redacted

Kind: TypeAlias = Literal["standalone", "sentinel", "cluster", "memory"]

SERVER_PORT: Final = 6379
SENTINEL_PORT: Final = 26379

_SCHEMES: Final[Mapping[str, tuple[Kind, bool]]] = {
    "redis": ("standalone", False),
    "rediss": ("standalone", True),
    "valkey": ("standalone", False),
    "valkeys": ("standalone", True),
    "unix": ("standalone", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "memory": ("memory", False),
}
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z+]+)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?")
_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\s:\[\]@,]*))(?::(?P<port>\d{1,5}))?")
_CHECKS: Final = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_TLS_OPTIONS: Final = ("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_NUMBER_OPTIONS: Final = ("socket_timeout", "socket_connect_timeout", "timeout", "max_connections", "socket_read_size")
_NUMBER: Final = re.compile(r"\d{1,12}(?:\.\d{0,12})?")
_FIXED_OPTIONS: Final = (
    *_NUMBER_OPTIONS,
    *("decode_responses", "encoding", "encoding_errors", "protocol", "retry_on_timeout", "legacy_responses"),
)
"""Options of redis-py that are taken without effect: warmer sets them itself, and decodes bytes by its codecs."""
_SECRET_OPTIONS: Final = re.compile(r"((?:username|password)=)[^&\s]*", re.IGNORECASE)
_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Server:
    """One server, reached by TCP (host and port) or by a Unix socket (path).

    Example:
        >>> str(Server("::1", 6379))
        '[::1]:6379'
    """

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """Settings for TLS.

    Args:
        cert_reqs: Whether the server must have a trusted certificate.
        check_hostname: Whether the certificate must be for the host of the address.
        ca_certs: File of trusted authorities, in addition to those of the machine.
        certfile: File of the client's certificate; "" for none.
        keyfile: File of its key; "" if `certfile` contains it.
    """

    cert_reqs: Literal["required", "optional", "none"] = "required"
    check_hostname: bool = True
    ca_certs: str = ""
    certfile: str = ""
    keyfile: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address of Redis.

    Args:
        kind: The kind of server.
        servers: The server; for "sentinel" the Sentinels; for "cluster" the startup nodes; for "memory" none.
        service: For "sentinel" the name of the master; for "memory" the name of the server.
        db: Number of the database.
        username: User of the servers; "" for the default user.
        password: Password of the servers; "" for none.
        sentinel_username: User of the Sentinels themselves.
        sentinel_password: Password of the Sentinels themselves.
        tls: Settings for TLS, also to Sentinels; None for plain connections.
        client_name: The name of connections at the server; "" for none.
        health_check_interval_s: Seconds without use after which a connection is checked; 0 for never.
        socket_keepalive: Whether the system checks idle connections.

    Example:
        >>> Address.parse("redis+sentinel://one,two:26380/orders/2").servers
        (Server(host='one', port=26379, path=''), Server(host='two', port=26380, path=''))
    """

    kind: Kind
    servers: tuple[Server, ...]
    service: str = ""
    db: int = 0
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    sentinel_username: str = field(default="", repr=False)
    sentinel_password: str = field(default="", repr=False)
    tls: Tls | None = None
    client_name: str = ""
    health_check_interval_s: int = 0
    socket_keepalive: bool = False

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Parse a URL; nothing is sent and no file is read.

        Args:
            url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as in redis-py;
                ``redis+sentinel://[user:password@]host[:26379],.../service[/db]``, and for the Sentinels' own
                credentials ``?sentinel_username=...&sentinel_password=...``;
                ``redis+cluster://[user:password@]host[:6379],...``; both with ``rediss+`` for TLS;
                ``memory://name``, a server inside this process, for tests.
                ``valkey://`` and ``valkeys://`` are the same as ``redis://`` and ``rediss://``.
                TLS options are ``?ssl_cert_reqs=`` (required, optional, none, or CERT_NONE as Celery writes it),
                ``ssl_check_hostname=``, ``ssl_ca_certs=``, ``ssl_certfile=`` and ``ssl_keyfile=``. ``client_name=``,
                ``health_check_interval=`` and ``socket_keepalive=`` hold for all connections but those of cached reads.
                Other options of redis-py that warmer sets itself, such as ``socket_timeout=``, ``max_connections=``,
                ``decode_responses=`` and ``protocol=``, are taken and have no effect.

        Raises:
            SettingsError: it is none of these; the message contains no credentials.

        Example:
            >>> Address.parse("redis+cluster://one,[::1]:7001").servers[1]
            Server(host='::1', port=7001, path='')
        """
        return _UrlParts.of(url.strip()).address()

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the context for TLS connections; None for plain connections.

        Raises:
            SettingsError: a certificate file cannot be used.
        """
        if self.tls is None:
            return None
        context = ssl.create_default_context()
        context.check_hostname = self.tls.check_hostname
        context.verify_mode = _CHECKS[self.tls.cert_reqs]
        try:
            if self.tls.ca_certs:
                context.load_verify_locations(cafile=self.tls.ca_certs)
            if self.tls.certfile:
                context.load_cert_chain(self.tls.certfile, self.tls.keyfile or None)
        except OSError as error:
            files = ", ".join(filter(None, (self.tls.ca_certs, self.tls.certfile, self.tls.keyfile)))
            raise SettingsError(
                f"expected files of certificates that can be read, got {type(error).__name__} for {files}; "
                "check ssl_ca_certs, ssl_certfile and ssl_keyfile in the address of Redis"
            ) from error
        return context


def without_credentials(url: str) -> str:
    """Return a URL with all credentials masked, even if it is not a valid address.

    Example:
        >>> without_credentials("redis+sentinel://app:s3cret@one,two/orders?sentinel_password=other")
        'redis+sentinel://***@one,two/orders?sentinel_password=***'
    """
    return _SECRET_OPTIONS.sub(r"\1***", redacted(url))


@dataclass(slots=True)
class _UrlParts:
    """A URL in parts. Known options are removed while it is parsed; the rest is rejected."""

    scheme: str
    kind: Kind
    encrypted: bool
    username: str
    password: str = field(repr=False)
    hosts: str
    path: str
    options: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "_UrlParts":
        scheme = url.partition(":")[0]
        found = _URL.fullmatch(url)
        if scheme.lower() not in _SCHEMES:
            raise _rejected(scheme if scheme.isascii() and len(scheme) <= 20 else "", "which is no scheme of Redis")
        if found is None or "@" in found["path"] + (found["query"] or ""):
            # The rest may be part of a password, so the message does not quote it.
            raise _rejected(
                scheme, "with a part that cannot be read; write @ : / ? # in credentials as %40 %3A %2F %3F %23"
            )
        credentials, _, hosts = found["authority"].rpartition("@")
        username, _, password = credentials.partition(":")
        kind, encrypted = _SCHEMES[scheme.lower()]
        options: dict[str, str] = {}
        for name, value in parse_qsl(found["query"] or "", keep_blank_values=True):
            options.setdefault(name, value)
        username = unquote(username) or options.pop("username", "")
        password = unquote(password) or options.pop("password", "")
        return cls(scheme.lower(), kind, encrypted, username, password, hosts, found["path"], options)

    def address(self) -> Address:
        return self._checked(
            {
                "standalone": self._unix if self.scheme == "unix" else self._standalone,
                "sentinel": self._sentinel,
                "cluster": self._cluster,
                "memory": self._memory,
            }[self.kind]()
        )

    def _checked(self, address: Address) -> Address:
        if address.kind != "memory":
            address = replace(
                address,
                client_name=self.options.pop("client_name", ""),
                health_check_interval_s=self._whole("health_check_interval"),
                socket_keepalive=self._boolean("socket_keepalive", "false"),
            )
            self._check_fixed()
        if self.options:
            named = ", ".join(map(self._rejected_option, sorted(self.options)))
            raise _rejected(self.scheme, f"with options that it does not take: {named}")
        return address

    def _check_fixed(self) -> None:
        """Remove the options that have no effect, after a check of those that are numbers."""
        for name in _FIXED_OPTIONS:
            text = self.options.pop(name, "0")
            if name in _NUMBER_OPTIONS and not _NUMBER.fullmatch(text):
                raise _rejected(self.scheme, f"with an option {name} that is no number")

    def _rejected_option(self, name: str) -> str:
        """Return the name of an option with what to write instead, if that is known."""
        if name in _TLS_OPTIONS and not self.encrypted:
            return f"{name} (it needs an address that begins with rediss)"
        known = (*_TLS_OPTIONS, *_FIXED_OPTIONS, "client_name", "health_check_interval", "socket_keepalive", "db")
        nearest = get_close_matches(name[:64], known, n=1)
        return f"{name} (the nearest is {nearest[0]})" if nearest else name

    def _whole(self, name: str) -> int:
        text = self.options.pop(name, "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise _rejected(self.scheme, f"with an option {name} that is no whole number of seconds")
        return int(text)

    def _boolean(self, name: str, default: str) -> bool:
        found = _BOOLEANS.get(self.options.pop(name, default).lower())
        if found is None:
            raise _rejected(self.scheme, f"with an option {name} that is neither true nor false")
        return found

    def _standalone(self) -> Address:
        servers = self._servers(SERVER_PORT, "localhost")
        if len(servers) > 1:
            raise _rejected(self.scheme, "with several hosts; only redis+sentinel:// and redis+cluster:// take several")
        return Address(
            "standalone", servers, "", self._db(self.path.strip("/")), self.username, self.password, tls=self._tls()
        )

    def _unix(self) -> Address:
        if self.hosts or not self.path.strip("/"):
            raise _rejected(self.scheme, "without the path of a socket; write it as unix:///run/redis/redis.sock")
        socket = Server(path=unquote(self.path))
        return Address("standalone", (socket,), "", self._db(""), self.username, self.password)

    def _sentinel(self) -> Address:
        service, _, db = self.path.strip("/").partition("/")
        if not service:
            raise _rejected(
                self.scheme,
                "without the name of a service; write it behind the hosts, as redis+sentinel://host/mymaster",
            )
        return Address(
            "sentinel",
            self._servers(SENTINEL_PORT),
            unquote(service),
            self._db(db),
            self.username,
            self.password,
            self.options.pop("sentinel_username", ""),
            self.options.pop("sentinel_password", ""),
            self._tls(),
        )

    def _cluster(self) -> Address:
        if self._db(self.path.strip("/")) != 0:
            raise _rejected(self.scheme, "with the number of a database; a Redis Cluster has only database 0")
        return Address("cluster", self._servers(SERVER_PORT), "", 0, self.username, self.password, tls=self._tls())

    def _memory(self) -> Address:
        return Address("memory", (), unquote(self.hosts), self._db(self.path.strip("/")))

    def _servers(self, port: int, default: str = "") -> tuple[Server, ...]:
        return tuple(self._server(host, port, default) for host in self.hosts.split(","))

    def _server(self, text: str, port: int, default: str) -> Server:
        found = _HOST.fullmatch(text)
        host = (unquote(found["v6"] or found["name"]) or default) if found else ""
        number = int(found["port"] or port) if found else 0
        if not host or not 0 < number < 65536:
            raise _rejected(
                self.scheme, "with a host or port that cannot be read; write host:port, and IPv6 as [::1]:6379"
            )
        return Server(host.lower(), number)

    def _db(self, text: str) -> int:
        text = self.options.pop("db", text)
        if text and not (text.isascii() and text.isdecimal() and len(text) < 6):
            raise _rejected(self.scheme, "with a database that is no number; write it as redis://localhost:6379/0")
        return int(text or 0)

    def _tls(self) -> Tls | None:
        if not self.encrypted:
            return None
        checks = self.options.pop("ssl_cert_reqs", "required").lower().removeprefix("cert_")
        check_hostname = _BOOLEANS.get(self.options.pop("ssl_check_hostname", "true").lower())
        if checks not in _CHECKS or check_hostname is None:
            raise _rejected(
                self.scheme,
                "with an ssl_cert_reqs other than required, optional, none or an ssl_check_hostname "
                "other than true, false",
            )
        return Tls(
            checks,  # type: ignore[arg-type]
            check_hostname and checks != "none",
            self.options.pop("ssl_ca_certs", ""),
            self.options.pop("ssl_certfile", ""),
            self.options.pop("ssl_keyfile", ""),
        )


def _rejected(scheme: str, what: str) -> SettingsError:
    return SettingsError(
        "the address of Redis cannot be used; expected one such as redis://localhost:6379/0, rediss://..., "
        "unix:///run/redis.sock, redis+sentinel://host1,host2/service or redis+cluster://host1,host2, "
        f"got one that begins with {scheme!r}, {what}"
    )
