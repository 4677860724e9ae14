"""Who competes."""

from collections.abc import Mapping
from typing import Final

from contenders.async_rivals import aiocache, cashews
from contenders.bare import async_baseline, baseline, floor
from contenders.contender import Make
from contenders.ours import async_ours, ours
from contenders.rivals import django, dogpile

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
