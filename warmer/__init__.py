"""warmer: users never wait for a cache to fill.

Declare how a value is computed; workers keep it warm in a shared Redis, most important first, as often as it is read.
"""

from warmer.client import Warmer
from warmer.errors import (
    CodecError,
    ComputeTimeoutError,
    InvalidTaskError,
    NotImportableError,
    OutlivedTtlError,
    ServerNotFoundError,
    SettingsError,
    StoreUnavailableError,
    TaskConflictError,
    UnknownTaskError,
    WarmerError,
)
from warmer.quickstart import (
    configure,
    default_warmer,
    get,
    get_or_compute,
    get_warming_performance,
    get_warming_stats,
    invalidate,
    optimize_warming_schedules,
    register_critical_task,
    register_warming_task,
    start_cache_warming,
    stop_cache_warming,
    unregister_warming_task,
    warm_cache,
    warm_critical_data,
    warm_user_data_optimized,
)
from warmer.settings import Settings
from warmer.task import WarmingTask

__all__ = [
    "CodecError",
    "ComputeTimeoutError",
    "InvalidTaskError",
    "NotImportableError",
    "OutlivedTtlError",
    "ServerNotFoundError",
    "Settings",
    "SettingsError",
    "StoreUnavailableError",
    "TaskConflictError",
    "UnknownTaskError",
    "Warmer",
    "WarmerError",
    "WarmingTask",
    "configure",
    "default_warmer",
    "get",
    "get_or_compute",
    "get_warming_performance",
    "get_warming_stats",
    "invalidate",
    "optimize_warming_schedules",
    "register_critical_task",
    "register_warming_task",
    "start_cache_warming",
    "stop_cache_warming",
    "unregister_warming_task",
    "warm_cache",
    "warm_critical_data",
    "warm_user_data_optimized",
]
