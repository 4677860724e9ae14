"""The queries of the dashboards, from fast indexed boards to reports of the whole year.

Delays are in minutes, negative when early. On time means at the gate less than 15 minutes late, as the US
Department of Transportation counts it; a flight without a departure time was cancelled. The data ends with
2013, so its last flight stands for "now".
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from .flights import default_path

JSON: TypeAlias = "str | int | float | list[JSON] | dict[str, JSON] | None"

BOARD_CARRIER = "UA"
BOARD_AIRPORT = "JFK"
BUSIEST_PLANE = "N725MQ"

_opened = threading.local()


def close_connections() -> None:
    """Close the connections of this thread; its next query opens a new one."""
    for connection in _connections().values():
        connection.close()
    _connections().clear()


def overview() -> JSON:
    """The year in one line: flights, cancellations, carriers, destinations, delay and punctuality."""
    return _rows("""
        SELECT COUNT(*) AS flights,
               SUM(dep_time IS NULL) AS cancelled,
               COUNT(DISTINCT carrier) AS carriers,
               COUNT(DISTINCT dest) AS destinations,
               ROUND(AVG(dep_delay), 1) AS avg_dep_delay_min,
               ROUND(100.0 * AVG(arr_delay < 15), 1) AS on_time_percent
        FROM flights
    """)[0]


def recent_departures() -> JSON:
    """The last 50 flights that left."""
    return _rows("""
        SELECT time_hour, sched_dep_time, dep_time, dep_delay, carrier, flight, origin, dest
        FROM flights
        WHERE dep_time IS NOT NULL
        ORDER BY time_hour DESC, sched_dep_time DESC, carrier, flight
        LIMIT 50
    """)


def carrier_board() -> JSON:
    """One carrier's flights of the last two days, newest first."""
    return _rows(
        """
        SELECT time_hour, sched_dep_time, dep_time, dep_delay, arr_delay, flight, tailnum, origin, dest
        FROM flights
        WHERE carrier = ? AND time_hour > ?
        ORDER BY time_hour DESC, sched_dep_time DESC, flight
        """,
        BOARD_CARRIER,
        _before_last_flight("-2 days"),
    )


def airport_board() -> JSON:
    """One airport's departures of the last day with carrier and destination by name, newest first."""
    return _rows(
        """
        SELECT time_hour, sched_dep_time, dep_time, dep_delay, airlines.name AS airline, flight,
               COALESCE(airports.name, dest) AS destination
        FROM flights
        JOIN airlines USING (carrier)
        LEFT JOIN airports ON airports.faa = dest
        WHERE origin = ? AND time_hour > ?
        ORDER BY time_hour DESC, sched_dep_time DESC, carrier, flight
        """,
        BOARD_AIRPORT,
        _before_last_flight("-1 day"),
    )


def aircraft_history() -> JSON:
    """The busiest plane's year, by month."""
    return _rows(
        """
        SELECT month, COUNT(*) AS flights, SUM(distance) AS miles,
               ROUND(AVG(arr_delay), 1) AS avg_arr_delay_min
        FROM flights
        WHERE tailnum = ?
        GROUP BY month
        ORDER BY month
        """,
        BUSIEST_PLANE,
    )


def last_week_by_day() -> JSON:
    """The last seven days: flights, cancellations and departure delay of each."""
    return _rows(
        """
        SELECT month, day, COUNT(*) AS flights, SUM(dep_time IS NULL) AS cancelled,
               ROUND(AVG(dep_delay), 1) AS avg_dep_delay_min
        FROM flights
        WHERE time_hour > ?
        GROUP BY month, day
        ORDER BY month, day
        """,
        _before_last_flight("-7 days"),
    )


def last_week_routes() -> JSON:
    """The last seven days: the 20 busiest routes and how punctual they were."""
    return _rows(
        """
        SELECT origin, dest, COUNT(*) AS flights, SUM(dep_time IS NULL) AS cancelled,
               ROUND(100.0 * AVG(arr_delay < 15), 1) AS on_time_percent
        FROM flights
        WHERE time_hour > ?
        GROUP BY origin, dest
        ORDER BY flights DESC, origin, dest
        LIMIT 20
        """,
        _before_last_flight("-7 days"),
    )


def carrier_month_by_destination() -> JSON:
    """One carrier's last 30 days: flights and arrival delay to each destination."""
    return _rows(
        """
        SELECT dest, COUNT(*) AS flights, ROUND(AVG(arr_delay), 1) AS avg_arr_delay_min
        FROM flights
        WHERE carrier = ? AND time_hour > ?
        GROUP BY dest
        ORDER BY flights DESC, dest
        """,
        BOARD_CARRIER,
        _before_last_flight("-30 days"),
    )


def last_month_by_carrier() -> JSON:
    """The last 30 days: flights, cancellations and punctuality of each carrier."""
    return _rows(
        """
        SELECT airlines.name AS airline, COUNT(*) AS flights, SUM(dep_time IS NULL) AS cancelled,
               ROUND(100.0 * AVG(arr_delay < 15), 1) AS on_time_percent
        FROM flights
        JOIN airlines USING (carrier)
        WHERE time_hour > ?
        GROUP BY carrier
        ORDER BY flights DESC, carrier
        """,
        _before_last_flight("-30 days"),
    )


def longest_delays() -> JSON:
    """The 20 flights of the year that left latest."""
    return _rows("""
        SELECT month, day, carrier, flight, origin, dest, dep_delay, arr_delay
        FROM flights
        ORDER BY dep_delay DESC, month, day, carrier, flight
        LIMIT 20
    """)


def carrier_league() -> JSON:
    """Carriers by average arrival delay, the most punctual first."""
    return _rows("""
        SELECT airlines.name AS airline, COUNT(*) AS flights,
               ROUND(AVG(dep_delay), 1) AS avg_dep_delay_min,
               ROUND(AVG(arr_delay), 1) AS avg_arr_delay_min
        FROM flights
        JOIN airlines USING (carrier)
        GROUP BY carrier
        ORDER BY AVG(arr_delay), carrier
    """)


def busiest_airports() -> JSON:
    """The 15 destinations with the most flights."""
    return _rows("""
        WITH destinations AS (
            SELECT dest, COUNT(*) AS flights, COUNT(DISTINCT carrier) AS carriers FROM flights GROUP BY dest
        )
        SELECT dest, COALESCE(airports.name, dest) AS airport, flights, carriers
        FROM destinations
        LEFT JOIN airports ON airports.faa = dest
        ORDER BY flights DESC, dest
        LIMIT 15
    """)


def delay_by_month() -> JSON:
    """Departure and arrival delay of each month."""
    return _rows("""
        SELECT month, COUNT(*) AS flights,
               ROUND(AVG(dep_delay), 1) AS avg_dep_delay_min,
               ROUND(AVG(arr_delay), 1) AS avg_arr_delay_min
        FROM flights
        GROUP BY month
        ORDER BY month
    """)


def delay_by_hour() -> JSON:
    """Departure delay by scheduled hour, which shows how delays pile up over a day."""
    return _rows("""
        SELECT hour, COUNT(*) AS flights, ROUND(AVG(dep_delay), 1) AS avg_dep_delay_min,
               ROUND(100.0 * AVG(dep_delay >= 60), 1) AS hour_late_percent
        FROM flights
        GROUP BY hour
        ORDER BY hour
    """)


def worst_routes() -> JSON:
    """The 20 routes with the largest average arrival delay, of those flown at least 100 times."""
    return _rows("""
        SELECT origin, dest, COUNT(*) AS arrivals, ROUND(AVG(arr_delay), 1) AS avg_arr_delay_min
        FROM flights
        WHERE arr_delay IS NOT NULL
        GROUP BY origin, dest
        HAVING arrivals >= 100
        ORDER BY AVG(arr_delay) DESC, origin, dest
        LIMIT 20
    """)


def top_destinations() -> JSON:
    """The five busiest destinations of each New York airport."""
    return _rows("""
        WITH routes AS (
            SELECT origin, dest, COUNT(*) AS flights FROM flights GROUP BY origin, dest
        ), ranked AS (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY flights DESC, dest) AS place FROM routes
        )
        SELECT origin, place, dest, flights FROM ranked WHERE place <= 5 ORDER BY origin, place
    """)


def cancellations_by_month() -> JSON:
    """Cancelled flights of each month."""
    return _rows("""
        SELECT month, SUM(dep_time IS NULL) AS cancelled,
               ROUND(100.0 * AVG(dep_time IS NULL), 1) AS cancelled_percent
        FROM flights
        GROUP BY month
        ORDER BY month
    """)


def on_time_by_carrier_and_month() -> JSON:
    """Punctuality of each carrier in each month."""
    return _rows("""
        SELECT carrier, month, COUNT(arr_delay) AS arrivals,
               ROUND(100.0 * AVG(arr_delay < 15), 1) AS on_time_percent
        FROM flights
        GROUP BY carrier, month
        ORDER BY carrier, month
    """)


def day_heatmap() -> JSON:
    """Departure delay by weekday (0 is Sunday) and scheduled hour."""
    return _rows("""
        SELECT CAST(strftime('%w', printf('%04d-%02d-%02d', year, month, day)) AS INTEGER) AS weekday, hour,
               COUNT(*) AS flights, ROUND(AVG(dep_delay), 1) AS avg_dep_delay_min
        FROM flights
        GROUP BY weekday, hour
        ORDER BY weekday, hour
    """)


def daily_trend() -> JSON:
    """Every day's departure delay, with the average of the seven days that end there."""
    return _rows("""
        WITH days AS (
            SELECT month, day, COUNT(*) AS flights, AVG(dep_delay) AS delay_min
            FROM flights
            GROUP BY month, day
        )
        SELECT month, day, flights, ROUND(delay_min, 1) AS avg_dep_delay_min,
               ROUND(AVG(delay_min) OVER (ORDER BY month, day ROWS 6 PRECEDING), 1) AS seven_day_avg_min
        FROM days
        ORDER BY month, day
    """)


def delay_percentiles() -> JSON:
    """Median, 90th and 99th percentile of each carrier's arrival delay, by nearest rank."""
    # Delays grow with their place, so the smallest one at or past a share of the places is that percentile.
    return _rows("""
        WITH ranked AS (
            SELECT carrier, arr_delay,
                   ROW_NUMBER() OVER (PARTITION BY carrier ORDER BY arr_delay) AS place,
                   COUNT(*) OVER (PARTITION BY carrier) AS arrivals
            FROM flights
            WHERE arr_delay IS NOT NULL
        )
        SELECT carrier, COUNT(*) AS arrivals,
               MIN(arr_delay) FILTER (WHERE place * 100 >= arrivals * 50) AS p50_min,
               MIN(arr_delay) FILTER (WHERE place * 100 >= arrivals * 90) AS p90_min,
               MIN(arr_delay) FILTER (WHERE place * 100 >= arrivals * 99) AS p99_min
        FROM ranked
        GROUP BY carrier
        ORDER BY carrier
    """)


def weather_impact() -> JSON:
    """Departure delay and cancellations at each airport by its weather in the scheduled hour."""
    return _rows("""
        SELECT origin,
               CASE
                   WHEN visib < 3 THEN 'low visibility'
                   WHEN precip > 0 THEN 'rain or snow'
                   WHEN wind_speed >= 20 THEN 'strong wind'
                   ELSE 'fair'
               END AS weather,
               COUNT(*) AS flights,
               ROUND(AVG(dep_delay), 1) AS avg_dep_delay_min,
               ROUND(100.0 * AVG(dep_time IS NULL), 1) AS cancelled_percent
        FROM flights
        JOIN weather USING (origin, time_hour)
        GROUP BY origin, 2
        ORDER BY origin, AVG(dep_delay) DESC
    """)


def plane_age() -> JSON:
    """Arrival delay by the plane's age, in steps of five years."""
    return _rows("""
        SELECT (flights.year - planes.year) / 5 * 5 AS age_from_years,
               COUNT(DISTINCT tailnum) AS planes, COUNT(*) AS flights,
               ROUND(AVG(arr_delay), 1) AS avg_arr_delay_min
        FROM flights
        JOIN planes USING (tailnum)
        WHERE planes.year IS NOT NULL
        GROUP BY age_from_years
        ORDER BY age_from_years
    """)


def best_carrier_by_route() -> JSON:
    """The most punctual carrier of each route, of those that landed there at least 50 times."""
    return _rows("""
        WITH offers AS (
            SELECT origin, dest, carrier, COUNT(arr_delay) AS arrivals, AVG(arr_delay) AS delay_min
            FROM flights
            GROUP BY origin, dest, carrier
            HAVING arrivals >= 50
        ), ranked AS (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY origin, dest ORDER BY delay_min, carrier) AS place
            FROM offers
        )
        SELECT origin, dest, airlines.name AS airline, arrivals, ROUND(delay_min, 1) AS avg_arr_delay_min
        FROM ranked
        JOIN airlines USING (carrier)
        WHERE place = 1
        ORDER BY origin, dest
    """)


def knock_on_delays() -> JSON:
    """Departure delay by how late the same plane had last left New York that day."""
    return _rows("""
        WITH departures AS (
            SELECT dep_delay,
                   LAG(dep_delay) OVER (
                       PARTITION BY tailnum, month, day ORDER BY time_hour, sched_dep_time
                   ) AS earlier_delay
            FROM flights
            WHERE dep_delay IS NOT NULL AND tailnum IS NOT NULL
        )
        SELECT CASE
                   WHEN earlier_delay < 15 THEN 'on time'
                   WHEN earlier_delay < 60 THEN 'under an hour late'
                   ELSE 'an hour late or more'
               END AS earlier_departure,
               COUNT(*) AS flights, ROUND(AVG(dep_delay), 1) AS avg_dep_delay_min
        FROM departures
        WHERE earlier_delay IS NOT NULL
        GROUP BY 1
        ORDER BY AVG(dep_delay), 1
    """)


def _rows(sql: str, *values: str) -> list[JSON]:
    """Run one query and return its rows, each a dict from column to value."""
    cursor = _connection().execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _before_last_flight(period: str) -> str:
    """Reckon back from the hour of the data's last flight; `period` is SQLite's, such as `-7 days`."""
    sql = "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', MAX(time_hour), ?) FROM flights"
    return str(_connection().execute(sql, (period,)).fetchone()[0])


def _connection() -> sqlite3.Connection:
    """Give this thread its connection, opened at its first query."""
    # The process is part of the key because SQLite forbids carrying a connection across a fork, as RQ does.
    key = (os.getpid(), default_path())
    if key not in _connections():
        _connections()[key] = _open_read_only(key[1])
    return _connections()[key]


def _connections() -> dict[tuple[int, Path], sqlite3.Connection]:
    if not hasattr(_opened, "connections"):
        _opened.connections = {}
    connections: dict[tuple[int, Path], sqlite3.Connection] = _opened.connections
    return connections


def _open_read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


QUERIES: dict[str, Callable[[], JSON]] = {
    query.__name__: query
    for query in (
        overview,
        recent_departures,
        carrier_board,
        airport_board,
        aircraft_history,
        last_week_by_day,
        last_week_routes,
        carrier_month_by_destination,
        last_month_by_carrier,
        longest_delays,
        carrier_league,
        busiest_airports,
        top_destinations,
        worst_routes,
        best_carrier_by_route,
        delay_by_month,
        delay_by_hour,
        cancellations_by_month,
        on_time_by_carrier_and_month,
        day_heatmap,
        daily_trend,
        delay_percentiles,
        weather_impact,
        plane_age,
        knock_on_delays,
    )
}
