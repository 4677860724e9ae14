"""Other clients of Redis, used as redis-py is in the baseline: GET and orjson.loads; on a miss compute and SET."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson

from contenders.contender import TTL_S, Compute, Contender, Many

MAX_CONNECTIONS = 1000

Connect = Callable[[], Awaitable[Any]]


# --- on the calling thread -------------------------------------------------------------------------------------
def glide(url: str, compute: Compute) -> Iterator[Contender]:
    """valkey-glide, whose core is written in Rust; the package of its own for synchronous use."""
    from glide_shared.commands.core_options import ExpirySet, ExpiryType
    from glide_sync import GlideClient, GlideClientConfiguration, NodeAddress

    server = urlsplit(url)
    client = GlideClient.create(GlideClientConfiguration([NodeAddress(server.hostname, server.port)]))
    expiry = ExpirySet(ExpiryType.SEC, TTL_S)

    def check_then_set(key: str) -> Any:
        payload = client.get(key)
        if payload is not None:
            return orjson.loads(payload)
        value = compute(key)
        client.set(key, orjson.dumps(value), expiry=expiry)
        return value

    yield Contender(
        "valkey-glide + orjson",
        "rival",
        check_then_set,
        hit=lambda key: orjson.loads(client.get(key)),
        many=Many("valkey-glide MGET", lambda keys: [orjson.loads(payload) for payload in client.mget(keys)]),
    )


# --- on an event loop ------------------------------------------------------------------------------------------
def async_glide(url: str, compute: Compute) -> Iterator[Contender]:
    """valkey-glide on asyncio."""
    from glide import ExpirySet, ExpiryType, GlideClient, GlideClientConfiguration, NodeAddress

    server = urlsplit(url)
    expiry = ExpirySet(ExpiryType.SEC, TTL_S)

    async def connect() -> Any:
        return await GlideClient.create(GlideClientConfiguration([NodeAddress(server.hostname, server.port)]))

    async def store(client: Any, key: str, payload: bytes) -> None:
        await client.set(key, payload, expiry=expiry)

    yield _contender("valkey-glide", connect, store, compute)


def coredis(url: str, compute: Compute) -> Iterator[Contender]:
    """coredis, which sends many requests through one connection."""
    from coredis import Redis

    tasks: list[asyncio.Task[None]] = []

    async def connect() -> Any:
        """Enter the client in a task of its own: the task that enters it has to stay."""
        entered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def hold() -> None:
            async with Redis.from_url(url, max_connections=MAX_CONNECTIONS) as client:
                entered.set_result(client)
                await asyncio.Event().wait()

        tasks.append(asyncio.create_task(hold()))
        return await entered

    async def store(client: Any, key: str, payload: bytes) -> None:
        await client.set(key, payload, ex=TTL_S)

    yield _contender("coredis", connect, store, compute)


def _contender(
    name: str, connect: Connect, store: Callable[[Any, str, bytes], Awaitable[None]], compute: Compute
) -> Contender:
    """Return the contender of a client that connects when its first reader comes."""
    connected: Any = None
    connecting: asyncio.Future[Any] | None = None

    async def client() -> Any:
        nonlocal connected, connecting
        if connected is None:
            connecting = connecting or asyncio.ensure_future(connect())
            connected = await connecting
        return connected

    async def check_then_set(key: str) -> Any:
        own = connected or await client()
        payload = await own.get(key)
        if payload is not None:
            return orjson.loads(payload)
        value = await compute(key)
        await store(own, key, orjson.dumps(value))
        return value

    async def hit(key: str) -> Any:
        return orjson.loads(await (connected or await client()).get(key))

    async def many(keys: Any) -> list[Any]:
        return [orjson.loads(payload) for payload in await (connected or await client()).mget(keys)]

    return Contender(f"{name} + orjson", "rival", check_then_set, hit=hit, many=Many(f"{name} MGET", many))
