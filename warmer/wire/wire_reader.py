"""Reader over sockets: one deadline for each read, and no command to a server that is unavailable.

The methods for threads and those for coroutines differ only in how they wait.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import cast
from weakref import finalize

from redis.exceptions import AskError, ClusterDownError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer import fork
from warmer.connect.address import Address
from warmer.connect.topology import Topology
from warmer.wire import resp
from warmer.wire.breaker import is_outage
from warmer.wire.connection import Exchange
from warmer.wire.multi_get import UNAVAILABLE, Found, MultiGet, NodeBatch
from warmer.wire.nodes import Node, Nodes
from warmer.wire.pipeline import ONE
from warmer.wire.prober import Probed, Prober
from warmer.wire.resp import Reply, Value, value_of, values_of


class WireReader:
    """A `Reader` of a server, the master of a Sentinel service, or a Cluster.

    Args:
        address: Where Redis is.
        topology: Knows which server holds a key.
        timeout_s: Time limit of a read, including a new connection.
    """

    def __init__(self, address: Address, topology: Topology, timeout_s: float) -> None:
        """Open no connection yet."""
        self._topology = topology
        self._timeout_s = timeout_s
        self._prober = Prober(time.monotonic)
        self._nodes = Nodes(address, topology, timeout_s)
        self._only = self._nodes.only
        self._is_cluster = address.kind == "cluster"
        self._fork_hook = fork.in_child(self._reset_after_fork)
        finalize(self, _close, self._prober, self._nodes).atexit = False

    # --- threads ---------------------------------------------------------------------------------------------
    def get(self, key: str) -> Value:
        """Return the value of a key; see `Reader.get`."""
        began_s = time.monotonic()
        raw_key = key.encode()
        node = self._only or self._node_of(raw_key, began_s)
        if node.breaker.is_open:
            raise node.unavailable()
        try:
            value = node.pool.get(raw_key, began_s)
        except AskError as error:
            return self._follow_redirection(raw_key, node, error, began_s)
        except RedisError as error:
            self._report_outage(node, error, time.monotonic() - began_s)
            raise
        node.breaker.last_reply_at_s = time.monotonic()
        return value

    def get_many(self, keys: Sequence[str]) -> list[Found]:
        """Return the values of keys; see `Reader.get_many`."""
        began_s = time.monotonic()
        raw_keys = [key.encode() for key in keys]
        if not raw_keys:
            return []
        if self._is_cluster:
            return self._all_found(self._run_rounds(self._multi_get(raw_keys), began_s))
        try:
            node = self._only or self._node_of(b"", began_s)
            node.check_available()
        except RedisError:
            return [UNAVAILABLE] * len(raw_keys)
        try:
            [reply] = node.pool.execute(resp.mget(raw_keys), 1, began_s + self._timeout_s)
        except RedisError as error:
            reply = error
        return self._all_values(node, reply, len(raw_keys), time.monotonic() - began_s)

    def _node_of(self, raw_key: bytes, began_s: float) -> Node:
        """Return the node that holds a key; if none is known yet, wait for the discovery until the deadline."""
        self._await_discovery(began_s)
        return self._nodes.holding(raw_key)

    def _await_discovery(self, began_s: float) -> None:
        discovery = self._nodes.discovery
        if discovery.is_known:
            return
        discovery.check_available()
        try:
            discovery.start().result(max(began_s + self._timeout_s - time.monotonic(), 0))
        except (RedisError, TimeoutError) as error:
            raise self._discovery_failed(error, time.monotonic() - began_s) from None

    def _follow_redirection(self, raw_key: bytes, node: Node, error: AskError, began_s: float) -> Value:
        multi_get = self._multi_get([raw_key])
        multi_get.add_redirection(error, node.server)
        return self._only_found(self._run_rounds(multi_get, began_s))

    def _run_rounds(self, multi_get: MultiGet, began_s: float) -> MultiGet:
        deadline_s = began_s + self._timeout_s
        try:
            self._await_discovery(began_s)
        except RedisError as error:
            multi_get.error = error
            return multi_get
        while batches := multi_get.next_round():
            self._run_round(multi_get, batches, began_s, deadline_s)
        return multi_get

    def _run_round(self, multi_get: MultiGet, batches: list[NodeBatch], began_s: float, deadline_s: float) -> None:
        """Send to all servers of one round before waiting for the first reply."""
        begun: list[tuple[NodeBatch, Node, Exchange]] = []
        try:
            for left, batch in zip(range(len(batches), 0, -1), batches, strict=True):
                node = self._nodes.of(batch.server)
                now_s = time.monotonic()
                try:
                    node.check_available()
                    # A server that cannot be reached must not use up the time of the others.
                    exchange = node.pool.begin(batch.request, batch.count, now_s + (deadline_s - now_s) / left)
                except RedisError as error:
                    self._add_failure(multi_get, batch, node, error, time.monotonic() - began_s)
                else:
                    begun.append((batch, node, exchange))
            while begun:
                batch, node, exchange = begun.pop()
                try:
                    replies = node.pool.finish(exchange, deadline_s)
                except RedisError as error:
                    self._add_failure(multi_get, batch, node, error, time.monotonic() - began_s)
                else:
                    self._add_replies(multi_get, batch, node, replies, time.monotonic() - began_s)
        finally:
            for _, _, exchange in begun:  # only after an interrupt
                exchange.connection.close()

    # --- coroutines ------------------------------------------------------------------------------------------
    async def aget(self, key: str) -> Value:
        """Return the value of a key; see `Reader.get`."""
        raw_key = key.encode()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        node = self._only or await self._node_of_in_loop(raw_key, began_s)
        if node.breaker.is_open:
            raise node.unavailable()
        reply: Reply = await node.get_connections.of(loop).execute(resp.get(raw_key), ONE, began_s + self._timeout_s)
        if not isinstance(reply, RedisError):
            node.breaker.last_reply_at_s = time.monotonic()
            return value_of(reply)
        if isinstance(reply, AskError):
            multi_get = self._multi_get([raw_key])
            multi_get.add_redirection(reply, node.server)
            return self._only_found(await self._run_rounds_in_loop(multi_get, began_s))
        self._report_outage(node, reply, loop.time() - began_s)
        return value_of(reply)

    async def aget_many(self, keys: Sequence[str]) -> list[Found]:
        """Return the values of keys; see `Reader.get_many`."""
        raw_keys = [key.encode() for key in keys]
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        if not raw_keys:
            return []
        if self._is_cluster:
            return self._all_found(await self._run_rounds_in_loop(self._multi_get(raw_keys), began_s))
        try:
            node = self._only or await self._node_of_in_loop(b"", began_s)
            node.check_available()
        except RedisError:
            return [UNAVAILABLE] * len(raw_keys)
        reply = await node.mget_connections.of(loop).execute(resp.mget(raw_keys), ONE, began_s + self._timeout_s)
        return self._all_values(node, reply, len(raw_keys), loop.time() - began_s)

    async def _node_of_in_loop(self, raw_key: bytes, began_s: float) -> Node:
        await self._await_discovery_in_loop(began_s)
        return self._nodes.holding(raw_key)

    async def _await_discovery_in_loop(self, began_s: float) -> None:
        discovery = self._nodes.discovery
        if discovery.is_known:
            return
        discovery.check_available()
        try:
            async with asyncio.timeout_at(began_s + self._timeout_s):
                await asyncio.shield(asyncio.wrap_future(discovery.start()))
        except (RedisError, TimeoutError) as error:
            raise self._discovery_failed(error, asyncio.get_running_loop().time() - began_s) from None

    async def _run_rounds_in_loop(self, multi_get: MultiGet, began_s: float) -> MultiGet:
        try:
            await self._await_discovery_in_loop(began_s)
        except RedisError as error:
            multi_get.error = error
            return multi_get
        while batches := multi_get.next_round():
            await asyncio.gather(*(self._run_batch_in_loop(multi_get, batch, began_s) for batch in batches))
        return multi_get

    async def _run_batch_in_loop(self, multi_get: MultiGet, batch: NodeBatch, began_s: float) -> None:
        loop = asyncio.get_running_loop()
        node = self._nodes.of(batch.server)
        connection = node.mget_connections.of(loop)
        try:
            node.check_available()
            replies = await connection.execute(batch.request, batch.count, began_s + self._timeout_s)
        except RedisError as error:
            replies = error
        if isinstance(replies, RedisError):
            self._add_failure(multi_get, batch, node, replies, loop.time() - began_s)
        else:
            self._add_replies(multi_get, batch, node, replies, loop.time() - began_s)

    # --- both ------------------------------------------------------------------------------------------------
    def is_unavailable(self, key: str) -> bool:
        """Whether the server of a key is unavailable; see `Reader.is_unavailable`."""
        if self._only is not None:
            return self._only.breaker.is_open
        if not self._nodes.discovery.is_known:
            return self._nodes.discovery.breaker.is_open
        try:
            return self._nodes.holding(key.encode()).breaker.is_open
        except RedisError:
            return True

    def report(self, key: str, error: BaseException, took_s: float = 0.0) -> None:
        """Report that another command has failed; see `Reader.report`."""
        if not isinstance(error, RedisError):
            return
        if not self._nodes.discovery.is_known:
            return
        if isinstance(error, ReadOnlyError | ClusterDownError):  # another server may have taken over
            self._nodes.discovery.request_refresh()
        with contextlib.suppress(RedisError):
            self._report_outage(self._nodes.holding(key.encode()), error, took_s)

    def close(self) -> None:
        """Close all connections; see `Reader.close`."""
        _close(self._prober, self._nodes)

    def _multi_get(self, raw_keys: Sequence[bytes]) -> MultiGet:
        return MultiGet(raw_keys, self._nodes.server_of, self._topology.moved)

    def _all_found(self, multi_get: MultiGet) -> list[Found]:
        if multi_get.rejection is not None:
            raise multi_get.rejection
        return multi_get.found

    def _only_found(self, multi_get: MultiGet) -> Value:
        [found] = multi_get.found
        if found is UNAVAILABLE:
            raise multi_get.error
        return found

    def _all_values(self, node: Node, reply: Reply, count: int, took_s: float) -> list[Found]:
        """Return the values from the one server of all keys; `UNAVAILABLE` for all if it is unavailable."""
        try:
            found = cast(list[Found], values_of(reply, count))
        except RedisError as error:
            if not is_outage(error):
                raise
            self._report_outage(node, error, took_s)
            return [UNAVAILABLE] * count
        node.breaker.last_reply_at_s = time.monotonic()
        return found

    def _add_replies(
        self, multi_get: MultiGet, batch: NodeBatch, node: Node, replies: list[Reply], took_s: float
    ) -> None:
        outage = multi_get.add_replies(batch, replies)
        if outage is None:
            node.breaker.last_reply_at_s = time.monotonic()
        else:
            self._report_outage(node, outage, took_s)

    def _add_failure(self, multi_get: MultiGet, batch: NodeBatch, node: Node, error: RedisError, took_s: float) -> None:
        multi_get.add_failure(batch, error)
        self._report_outage(node, error, took_s)

    def _report_outage(self, failed: Probed, error: RedisError, took_s: float) -> None:
        if is_outage(error):
            self._prober.report_failure(failed, error, took_s)

    def _discovery_failed(self, error: Exception, took_s: float) -> RedisError:
        """Report a failed discovery and return the error to raise."""
        if not isinstance(error, RedisError):
            error = RedisTimeoutError(
                f"the servers that hold the keys were not found within {self._timeout_s * 1000:g} ms"
            )
        self._report_outage(self._nodes.discovery, error, took_s)
        return error

    def _reset_after_fork(self) -> None:
        self._prober.reset_after_fork()
        self._nodes.reset_after_fork()


def _close(prober: Prober, nodes: Nodes) -> None:
    prober.close()
    nodes.close()
