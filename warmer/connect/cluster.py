"""Redis Cluster client that connects at first use and works in forked children."""

import threading
from hashlib import sha1
from typing import Any

from redis import RedisCluster
from redis.cluster import ClusterNode
from redis.commands import RedisClusterCommands
from redis.exceptions import ClusterError, NoScriptError, RedisClusterException
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from warmer import fork
from warmer.connect.address import Address
from warmer.connect.options import server_options

_Commands: Any = RedisClusterCommands  # its types do not tell bytes from text


class ClusterClient(_Commands):  # type: ignore[misc]
    """The commands of `redis.RedisCluster`, without three of its habits.

    It connects in the constructor, it shares locks and sockets with forked children, and it reports an unavailable
    Cluster by an exception that is not a `redis.RedisError`.

    Args:
        address: The startup nodes; they are used again when no known node can be reached.
        timeout_s: Time limit for each node.
        retry: How often a command whose reply was lost is sent again.

    Example:
        >>> from redis.backoff import NoBackoff
        >>> ClusterClient(Address.parse("redis+cluster://localhost"), 1.0, Retry(NoBackoff(), 0)).close()
    """

    def __init__(self, address: Address, timeout_s: float, retry: Retry) -> None:
        """Send nothing yet."""
        self._address = address
        self._timeout_s = timeout_s
        self._retry = retry
        self._reset_after_fork()
        self._fork_hook = fork.in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._opening = threading.Lock()
        self._opened: RedisCluster | None = None

    def _cluster(self) -> RedisCluster:
        opened = self._opened
        if opened is not None:
            return opened
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> RedisCluster:
        try:
            return RedisCluster(
                startup_nodes=[
                    ClusterNode(server.host, server.port)  # type: ignore[no-untyped-call]
                    for server in self._address.servers
                ],
                retry=self._retry,
                require_full_coverage=False,  # keys in available slots stay readable
                **server_options(self._address, self._timeout_s),
            )
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Send a command to its node; see `redis.RedisCluster.execute_command`.

        Raises:
            redis.RedisError: the Cluster did not answer, or rejected the command.
        """
        cluster = self._cluster()
        try:
            return cluster.execute_command(*arguments, **options)  # type: ignore[no-untyped-call]
        except RedisClusterException as error:
            if error.__cause__ is None:
                raise ClusterError(str(error)) from error
            self._opened = None  # no known node can be reached: start again with those of the address
            raise RedisConnectionError(str(error)) from error

    def ping(self, **options: Any) -> bool:
        """Ping every master.

        Raises:
            redis.RedisError: one of them does not answer.
        """
        return bool(self.execute_command("PING", **{"target_nodes": RedisCluster.PRIMARIES, **options}))

    def register_script(self, script: str) -> "_Script":
        """Return a function that runs a script on the node of its keys."""
        return _Script(self, script)

    def close(self) -> None:
        """Close all connections; a later command opens new ones."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _split_command_across_slots(self, command: str, *keys: Any) -> int:
        """Send one command per slot; redis-py would use a pipeline, which may send it twice."""
        return sum(self.execute_command(command, *of_slot) for of_slot in self._partition_keys_by_slot(keys).values())

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of `redis.RedisCluster`."""
        if name.startswith("_"):  # such as those that copy and pickle look for
            raise AttributeError(name)
        return getattr(self._cluster(), name)


class _Script:
    """A script that is loaded on demand, node by node; redis-py would load it on every master first."""

    def __init__(self, client: ClusterClient, text: str) -> None:
        self._client = client
        self._text = text
        self._sha = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: list[Any], args: list[Any]) -> Any:
        try:
            return self._client.execute_command("EVALSHA", self._sha, len(keys), *keys, *args)
        except NoScriptError:
            return self._client.execute_command("EVAL", self._text, len(keys), *keys, *args)
