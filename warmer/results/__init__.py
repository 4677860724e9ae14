"""Results of public calls: models whose fields can be read as attributes, and as items of a dict."""

from warmer.results.dict_like import DictLike
from warmer.results.outcomes import (
    BulkOutcome,
    CriticalTask,
    CriticalWarming,
    Optimization,
    ScheduleAdjustment,
    UserWarming,
    WarmOutcome,
)
from warmer.results.warming_stats import (
    BaselineComparison,
    BudgetState,
    BudgetWhatIf,
    Ledger,
    LimitUse,
    MissesByCause,
    QuarantinedTarget,
    TaskDetail,
    WarmingPerformance,
    WarmingStats,
)

__all__ = [
    "BaselineComparison",
    "BudgetState",
    "BudgetWhatIf",
    "BulkOutcome",
    "CriticalTask",
    "CriticalWarming",
    "DictLike",
    "Ledger",
    "LimitUse",
    "MissesByCause",
    "Optimization",
    "QuarantinedTarget",
    "ScheduleAdjustment",
    "TaskDetail",
    "UserWarming",
    "WarmOutcome",
    "WarmingPerformance",
    "WarmingStats",
]
