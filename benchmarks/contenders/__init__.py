"""The contenders, each used as its own users would use it."""

from collections.abc import Mapping
from typing import Final

from contenders.bare import async_baseline, baseline, floor
from contenders.clients import async_glide, coredis, glide
from contenders.contender import Make
from contenders.ours import async_ours, ours
from contenders.rivals import aiocache, cashews, django, dogpile

OURS = "warmer"
LIBRARIES = (
    "redis",
    "orjson",
    "valkey-glide",
    "coredis",
    "cashews",
    "dogpile.cache",
    "aiocache",
    "django",
    "django-redis",
)
"""The packages whose versions are shown beside the figures."""

SYNC_LIBRARIES: Final[Mapping[str, Make]] = {
    "redis-py": baseline,
    OURS: ours,
    "valkey-glide": glide,
    "dogpile.cache": dogpile,
    "django-redis": django,
    "functools": floor,
}
ASYNC_LIBRARIES: Final[Mapping[str, Make]] = {
    "redis-py": async_baseline,
    OURS: async_ours,
    "valkey-glide": async_glide,
    "coredis": coredis,
    "cashews": cashews,
    "aiocache": aiocache,
}
