"""Reads of entries: straight over sockets of our own, within one deadline, and never where a server is away.

A hit has to cost less than a client's GET, so reads are the one thing that does not go through redis-py.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Protocol, cast
from weakref import finalize

from redis.exceptions import AskError, ClusterDownError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer import fork
from warmer.connect.address import Address
from warmer.connect.memory import client_in_memory
from warmer.connect.topology import Topology
from warmer.wire import resp
from warmer.wire.breaker import is_outage
from warmer.wire.memory_reader import MemoryReader
from warmer.wire.multi_get import AWAY, Found, MultiGet, NodeBatch
from warmer.wire.nodes import Node, Nodes
from warmer.wire.pipeline import ONE
from warmer.wire.pool import Exchange
from warmer.wire.prober import Probed, Prober
from warmer.wire.resp import Reply, Value, value_of, values_of


class Reader(Protocol):
    """Reads what keys hold, from threads and from coroutines, in this process and in forked children."""

    def get(self, key: str) -> Value:
        """Return what a key holds; None where it holds nothing.

        Args:
            key: The key.

        Returns:
            Its bytes; long ones may come as a view of what was received.

        Raises:
            redis.RedisError: its server is away, did not answer in time, or refused.
        """
        ...

    def get_many(self, keys: Sequence[str]) -> list[Found]:
        """Return what keys hold, in their order; AWAY for those whose server is away.

        Args:
            keys: The keys.

        Raises:
            redis.ResponseError: a server refused.
        """
        ...

    async def aget(self, key: str) -> Value:
        """Do as `get`, without blocking the loop."""
        ...

    async def aget_many(self, keys: Sequence[str]) -> list[Found]:
        """Do as `get_many`, without blocking the loop."""
        ...

    def is_away(self, key: str) -> bool:
        """Say whether a read of a key would be refused for now, without asking anyone.

        Args:
            key: The key.
        """
        ...

    def report(self, key: str, error: BaseException, took_s: float = 0.0) -> None:
        """Take note that another command on a key's server has failed.

        Args:
            key: The key.
            error: What it raised.
            took_s: How long it had taken by then.
        """
        ...

    def close(self) -> None:
        """Close all connections; those of running loops are closed by them, a moment later."""
        ...


def open_reader(url: str, timeout_s: float) -> Reader:
    """Prepare reads from whatever stands at an address; nothing is sent yet.

    Args:
        url: An address that `Address.parse` understands.
        timeout_s: How long a read may take, a new connection included.

    Raises:
        SettingsError: the address cannot be used.

    Example:
        >>> reads = open_reader("memory://reads", timeout_s=0.25)
        >>> reads.get("nothing") is None
        True
    """
    address = Address.parse(url)
    if address.kind == "memory":
        return MemoryReader(client_in_memory(address))
    return WireReader(address, Topology.of(address, timeout_s), timeout_s)


class WireReader:
    """Reads over connections of our own.

    Args:
        address: Where Redis is.
        topology: Says which server holds a key.
        timeout_s: How long a read may take, a new connection included.
    """

    def __init__(self, address: Address, topology: Topology, timeout_s: float) -> None:
        """Open nothing yet."""
        self._topology = topology
        self._timeout_s = timeout_s
        self._watch = Prober(time.monotonic)
        self._nodes = Nodes(address, topology, timeout_s)
        self._only = self._nodes.only
        self._is_cluster = address.kind == "cluster"
        self._fork_hook = fork.in_child(self._start_afresh)
        finalize(self, _close, self._watch, self._nodes).atexit = False

    # --- threads ---------------------------------------------------------------------------------------------
    def get(self, key: str) -> Value:
        """Return what a key holds; see `Reader.get`."""
        began_s = time.monotonic()
        name = key.encode()
        node = self._only or self._node_of(name, began_s)
        node.check()
        try:
            value = node.pool.get(name, began_s)
        except AskError as error:
            return self._redirected(name, node, error, began_s)
        except RedisError as error:
            self._note(node, error, time.monotonic() - began_s)
            raise
        node.breaker.answered_at_s = time.monotonic()
        return value

    def get_many(self, keys: Sequence[str]) -> list[Found]:
        """Return what keys hold; see `Reader.get_many`."""
        began_s = time.monotonic()
        names = [key.encode() for key in keys]
        if not names:
            return []
        if self._is_cluster:
            return self._everything_found(self._run(self._errand(names), began_s))
        try:
            node = self._only or self._node_of(b"", began_s)
            node.check()
        except RedisError:
            return [AWAY] * len(names)
        try:
            [reply] = node.pool.ask(resp.mget(names), 1, began_s + self._timeout_s)
        except RedisError as error:
            reply = error
        return self._all_values(node, reply, len(names), time.monotonic() - began_s)

    def _node_of(self, name: bytes, began_s: float) -> Node:
        """Return the node that holds a key; if nothing is known yet, wait for that within the read's time."""
        self._find_out(began_s)
        return self._nodes.holding(name)

    def _find_out(self, began_s: float) -> None:
        survey = self._nodes.survey
        if survey.is_known:
            return
        survey.check()
        try:
            survey.begin().result(max(began_s + self._timeout_s - time.monotonic(), 0))
        except (RedisError, TimeoutError) as error:
            raise self._unknown(error, time.monotonic() - began_s) from None

    def _redirected(self, name: bytes, node: Node, error: AskError, began_s: float) -> Value:
        errand = self._errand([name])
        errand.redirect(error, node.server)
        return self._only_found(self._run(errand, began_s))

    def _run(self, errand: MultiGet, began_s: float) -> MultiGet:
        deadline_s = began_s + self._timeout_s
        try:
            self._find_out(began_s)
        except RedisError as error:
            errand.error = error
            return errand
        while legs := errand.legs():
            self._walk(errand, legs, began_s, deadline_s)
        return errand

    def _walk(self, errand: MultiGet, legs: list[NodeBatch], began_s: float, deadline_s: float) -> None:
        """Ask all servers of one round, and only then wait for the first one's answers."""
        begun: list[tuple[NodeBatch, Node, Exchange]] = []
        try:
            for left, leg in zip(range(len(legs), 0, -1), legs, strict=True):
                node = self._nodes.of(leg.server)
                now_s = time.monotonic()
                try:
                    node.check()
                    # One that cannot be reached must not use up the others' time.
                    exchange = node.pool.begin(leg.request, leg.count, now_s + (deadline_s - now_s) / left)
                except RedisError as error:
                    self._fail(errand, leg, node, error, time.monotonic() - began_s)
                else:
                    begun.append((leg, node, exchange))
            while begun:
                leg, node, exchange = begun.pop()
                try:
                    replies = node.pool.finish(exchange, deadline_s)
                except RedisError as error:
                    self._fail(errand, leg, node, error, time.monotonic() - began_s)
                else:
                    self._take(errand, leg, node, replies, time.monotonic() - began_s)
        finally:
            for _, _, exchange in begun:  # only after an interrupt
                exchange.connection.close()

    # --- coroutines ------------------------------------------------------------------------------------------
    async def aget(self, key: str) -> Value:
        """Return what a key holds; see `Reader.get`."""
        name = key.encode()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        node = self._only or await self._node_of_in_loop(name, began_s)
        node.check()
        reply: Reply = await node.lanes.lane(loop).ask(resp.get(name), ONE, began_s + self._timeout_s)
        if not isinstance(reply, RedisError):
            node.breaker.answered_at_s = time.monotonic()
            return value_of(reply)
        if isinstance(reply, AskError):
            errand = self._errand([name])
            errand.redirect(reply, node.server)
            return self._only_found(await self._run_in_loop(errand, began_s))
        self._note(node, reply, loop.time() - began_s)
        return value_of(reply)

    async def aget_many(self, keys: Sequence[str]) -> list[Found]:
        """Return what keys hold; see `Reader.get_many`."""
        names = [key.encode() for key in keys]
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        if not names:
            return []
        if self._is_cluster:
            return self._everything_found(await self._run_in_loop(self._errand(names), began_s))
        try:
            node = self._only or await self._node_of_in_loop(b"", began_s)
            node.check()
        except RedisError:
            return [AWAY] * len(names)
        reply = await node.wide_lanes.lane(loop).ask(resp.mget(names), ONE, began_s + self._timeout_s)
        return self._all_values(node, reply, len(names), loop.time() - began_s)

    async def _node_of_in_loop(self, name: bytes, began_s: float) -> Node:
        await self._find_out_in_loop(began_s)
        return self._nodes.holding(name)

    async def _find_out_in_loop(self, began_s: float) -> None:
        survey = self._nodes.survey
        if survey.is_known:
            return
        survey.check()
        try:
            async with asyncio.timeout_at(began_s + self._timeout_s):
                await asyncio.shield(asyncio.wrap_future(survey.begin()))
        except (RedisError, TimeoutError) as error:
            raise self._unknown(error, asyncio.get_running_loop().time() - began_s) from None

    async def _run_in_loop(self, errand: MultiGet, began_s: float) -> MultiGet:
        try:
            await self._find_out_in_loop(began_s)
        except RedisError as error:
            errand.error = error
            return errand
        while legs := errand.legs():
            await asyncio.gather(*(self._walk_in_loop(errand, leg, began_s) for leg in legs))
        return errand

    async def _walk_in_loop(self, errand: MultiGet, leg: NodeBatch, began_s: float) -> None:
        loop = asyncio.get_running_loop()
        node = self._nodes.of(leg.server)
        lane = node.wide_lanes.lane(loop)
        try:
            node.check()
            replies = await lane.ask(leg.request, leg.count, began_s + self._timeout_s)
        except RedisError as error:
            replies = error
        if isinstance(replies, RedisError):
            self._fail(errand, leg, node, replies, loop.time() - began_s)
        else:
            self._take(errand, leg, node, replies, loop.time() - began_s)

    # --- both ------------------------------------------------------------------------------------------------
    def is_away(self, key: str) -> bool:
        """Say whether a read of a key would be refused for now; see `Reader.is_away`."""
        if self._only is not None:
            return self._only.breaker.is_open
        if not self._nodes.survey.is_known:
            return self._nodes.survey.breaker.is_open
        try:
            return self._nodes.holding(key.encode()).breaker.is_open
        except RedisError:
            return True

    def report(self, key: str, error: BaseException, took_s: float = 0.0) -> None:
        """Take note that another command has failed; see `Reader.report`."""
        if not isinstance(error, RedisError):
            return
        if not self._nodes.survey.is_known:
            return
        if isinstance(error, ReadOnlyError | ClusterDownError):  # what is known may be out of date
            self._nodes.survey.look_again()
        with contextlib.suppress(RedisError):
            self._note(self._nodes.holding(key.encode()), error, took_s)

    def close(self) -> None:
        """Close all connections; see `Reader.close`."""
        _close(self._watch, self._nodes)

    def _errand(self, names: Sequence[bytes]) -> MultiGet:
        return MultiGet(names, self._nodes.server_of, self._topology.moved)

    def _everything_found(self, errand: MultiGet) -> list[Found]:
        if errand.refusal is not None:
            raise errand.refusal
        return errand.found

    def _only_found(self, errand: MultiGet) -> Value:
        [found] = errand.found
        if found is AWAY:
            raise errand.error
        return found

    def _all_values(self, node: Node, reply: Reply, count: int, took_s: float) -> list[Found]:
        """Return the values of a server that has all keys; AWAY for all of them if it is of no use for now."""
        try:
            found = cast(list[Found], values_of(reply, count))
        except RedisError as error:
            if not is_outage(error):
                raise
            self._note(node, error, took_s)
            return [AWAY] * count
        node.breaker.answered_at_s = time.monotonic()
        return found

    def _take(self, errand: MultiGet, leg: NodeBatch, node: Node, replies: list[Reply], took_s: float) -> None:
        outage = errand.take(leg, replies)
        if outage is None:
            node.breaker.answered_at_s = time.monotonic()
        else:
            self._note(node, outage, took_s)

    def _fail(self, errand: MultiGet, leg: NodeBatch, node: Node, error: RedisError, took_s: float) -> None:
        errand.failed(leg, error)
        self._note(node, error, took_s)

    def _note(self, watched: Probed, error: RedisError, took_s: float) -> None:
        if is_outage(error):
            self._watch.failed(watched, error, took_s)

    def _unknown(self, error: Exception, took_s: float) -> RedisError:
        """Note that nobody has told which server holds the keys, and return what to raise."""
        if not isinstance(error, RedisError):
            error = RedisTimeoutError(f"nobody told which server holds the keys within {self._timeout_s * 1000:g} ms")
        self._note(self._nodes.survey, error, took_s)
        return error

    def _start_afresh(self) -> None:
        self._watch.start_afresh()
        self._nodes.start_afresh()


def _close(watch: Prober, nodes: Nodes) -> None:
    watch.close()
    nodes.close()
