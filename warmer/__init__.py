"""warmer: users never wait for a cache to fill.

Declare how a value is computed; workers keep it warm in a shared Redis, most important first, as often as it is read.
"""

from warmer.access import uncounted
from warmer.bulk import BulkWarming
from warmer.client import Warmer
from warmer.default import configure, default_warmer
from warmer.errors import (
    BacklogFullError,
    CodecError,
    ComputationFailedError,
    ComputeTimeoutError,
    InvalidTaskError,
    NotImportableError,
    OutlivedTtlError,
    ServerNotFoundError,
    SettingsError,
    StoreUnavailableError,
    TaskConflictError,
    UnknownTaskError,
    ValueTooLargeError,
    WaitTimeoutError,
    WarmerError,
)
from warmer.handle import Handle
from warmer.limit import Limit
from warmer.quickread import (
    aget,
    aget_many,
    aget_or_compute,
    ainvalidate,
    aset,
    get,
    get_many,
    get_or_compute,
    invalidate,
    set,  # noqa: A004  # the word of every cache
    warmed,
)
from warmer.quickstart import (
    get_warming_performance,
    get_warming_stats,
    optimize_warming_schedules,
    register_critical_task,
    register_warming_task,
    release_quarantined,
    start_cache_warming,
    stop_cache_warming,
    unregister_warming_task,
    warm_cache,
    warm_critical_data,
    warm_many,
    warm_user_data_optimized,
)
from warmer.settings import Settings
from warmer.task import WarmingTask
from warmer.warmed import AsyncWarmed, Warmed

__all__ = [
    "AsyncWarmed",
    "BacklogFullError",
    "BulkWarming",
    "CodecError",
    "ComputationFailedError",
    "ComputeTimeoutError",
    "Handle",
    "InvalidTaskError",
    "Limit",
    "NotImportableError",
    "OutlivedTtlError",
    "ServerNotFoundError",
    "Settings",
    "SettingsError",
    "StoreUnavailableError",
    "TaskConflictError",
    "UnknownTaskError",
    "ValueTooLargeError",
    "WaitTimeoutError",
    "Warmed",
    "Warmer",
    "WarmerError",
    "WarmingTask",
    "aget",
    "aget_many",
    "aget_or_compute",
    "ainvalidate",
    "aset",
    "configure",
    "default_warmer",
    "get",
    "get_many",
    "get_or_compute",
    "get_warming_performance",
    "get_warming_stats",
    "invalidate",
    "optimize_warming_schedules",
    "register_critical_task",
    "register_warming_task",
    "release_quarantined",
    "set",
    "start_cache_warming",
    "stop_cache_warming",
    "uncounted",
    "unregister_warming_task",
    "warm_cache",
    "warm_critical_data",
    "warm_many",
    "warm_user_data_optimized",
    "warmed",
]
