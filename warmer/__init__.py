"""warmer: users never wait for a cache to fill.

Declare how a value is computed; workers keep it warm in a shared Redis, most important first, as often as it is read.
"""

from warmer.client.api import (  # the word of every cache
    aget,
    aget_many,
    aget_or_compute,
    ainvalidate,
    aset,
    get,
    get_many,
    get_or_compute,
    get_warming_performance,
    get_warming_stats,
    invalidate,
    optimize_warming_schedules,
    register_critical_task,
    register_warming_task,
    release_quarantined,
    set,  # noqa: A004  # the word of every cache
    start_cache_warming,
    stop_cache_warming,
    unregister_warming_task,
    warm_cache,
    warm_critical_data,
    warm_many,
    warm_user_data_optimized,
    warmed,
)
from warmer.client.default import configure, default_warmer
from warmer.client.warmed_function import AsyncWarmed, Warmed
from warmer.client.warmer import Warmer
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
from warmer.on_demand.bulk import BulkWarming
from warmer.on_demand.handle import Warming
from warmer.refresh.read_counter import uncounted_reads
from warmer.settings import Settings
from warmer.tasks.limit import Limit
from warmer.tasks.task import WarmingTask

__all__ = [
    "AsyncWarmed",
    "BacklogFullError",
    "BulkWarming",
    "CodecError",
    "ComputationFailedError",
    "ComputeTimeoutError",
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
    "Warming",
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
    "uncounted_reads",
    "unregister_warming_task",
    "warm_cache",
    "warm_critical_data",
    "warm_many",
    "warm_user_data_optimized",
    "warmed",
]
