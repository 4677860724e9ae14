"""Who competes, each used as its own users would."""

from collections.abc import Mapping
from typing import Final

from contenders.bare import async_baseline, baseline, floor
from contenders.contender import Make
from contenders.ours import async_ours, ours
from contenders.rivals import aiocache, cashews, django, dogpile

SYNC_LIBRARIES: Final[Mapping[str, Make]] = {
    "redis-py": baseline,
    "warmer": ours,
    "dogpile.cache": dogpile,
    "django-redis": django,
    "functools": floor,
}
ASYNC_LIBRARIES: Final[Mapping[str, Make]] = {
    "redis-py": async_baseline,
    "warmer": async_ours,
    "cashews": cashews,
    "aiocache": aiocache,
}
