"""The tasks of the demo: the dashboards with their ttl and priority.

Importing this module registers them, as in `warmer worker --import warmer_demo.tasks`. The ttls are short, so that much
happens within a minute.
"""

from __future__ import annotations

from collections.abc import Callable

from warmer import WarmingTask, register_warming_task

from . import queries


def dashboard(query: Callable[[], queries.JSON], ttl: float, priority: int = 0) -> WarmingTask:
    name = query.__name__
    return WarmingTask(
        task_id=name,
        name=name.replace("_", " "),
        cache_key=f"dashboard:{name}",
        compute_fn=query,
        ttl=ttl,
        priority=priority,
    )


FRONT_PAGE = (
    # 100 and above: critical. Kept warm with or without reads, and before all others.
    dashboard(queries.overview, ttl=5, priority=120),
    dashboard(queries.airport_board, ttl=5, priority=110),
    dashboard(queries.recent_departures, ttl=5, priority=100),
)

REPORTS = (
    # 50 and above: important. Kept warm as well.
    dashboard(queries.carrier_league, ttl=8, priority=60),
    dashboard(queries.weather_impact, ttl=10, priority=50),
    # All others are kept warm while they are read often enough to be worth it.
    dashboard(queries.last_week_routes, ttl=5),
    dashboard(queries.last_month_by_carrier, ttl=5),
    dashboard(queries.delay_by_month, ttl=6),
    dashboard(queries.daily_trend, ttl=6),
    dashboard(queries.busiest_airports, ttl=8),
    dashboard(queries.on_time_by_carrier_and_month, ttl=8),
    dashboard(queries.top_destinations, ttl=10),
    dashboard(queries.worst_routes, ttl=10),
    dashboard(queries.plane_age, ttl=12),
    dashboard(queries.knock_on_delays, ttl=15),
    dashboard(queries.delay_percentiles, ttl=15),
)

for task in FRONT_PAGE + REPORTS:
    register_warming_task(task)
