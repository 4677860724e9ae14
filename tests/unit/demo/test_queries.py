"""The demo's dashboard, on a few made flights whose answers can be reckoned by hand."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from warmer_demo import flights, queries

Row = tuple[Any, ...]
Given = Callable[..., Path]

AIRLINES = [("AA", "American"), ("B6", "JetBlue"), ("UA", "United")]
AIRPORTS = [("LAX", "Los Angeles", 33.9, -118.4, "America/Los_Angeles")]


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Given]:
    """Write the tables that a test names, and point the queries at them."""
    path = tmp_path / "made flights.sqlite"
    monkeypatch.setenv(flights.PATH_VARIABLE, str(path))

    def write(**tables: list[Row]) -> Path:
        with closing(sqlite3.connect(path)) as database, database:
            flights.create_tables(database)
            tables = {"airlines": AIRLINES, "airports": AIRPORTS, **tables}
            for table, rows in tables.items():
                flights.insert_rows(database, table, rows)
            flights.create_indexes(database)
        return path

    yield write
    queries.close_connections()


def flight(delay: int | None = 0, arr_delay: int | None = None, **known: Any) -> Row:
    """Make one flight; a delay of None cancels it, and it lands as late as it left unless told otherwise."""
    row: dict[str, Any] = {"year": 2013, "month": 1, "day": 1, "hour": 6, "minute": 0}
    row |= {"carrier": "UA", "flight": 1, "tailnum": "N1", "origin": "JFK", "dest": "LAX", "distance": 2475}
    row |= known
    row["time_hour"] = time_hour(row["month"], row["day"], row["hour"])
    row["sched_dep_time"] = row["hour"] * 100 + row["minute"]
    if delay is not None:
        row |= {"dep_time": row["sched_dep_time"] + delay, "dep_delay": delay}
        row["arr_delay"] = delay if arr_delay is None else arr_delay
    return tuple(row.get(column) for column in flights.TABLES["flights"])


def time_hour(month: int, day: int, hour: int) -> str:
    """Give the UTC hour of a New York winter's hour."""
    return f"2013-{month:02}-{day:02}T{hour + 5:02}:00:00Z"


def weather(hour: int, wind_speed: float = 5.0, precip: float = 0.0, visib: float = 10.0) -> Row:
    return ("JFK", time_hour(1, 1, hour), 39.0, wind_speed, precip, visib)


def plane(tailnum: str, year: int | None) -> Row:
    return (tailnum, year, "BOEING", "737", 149)


def a_bit_of_everything() -> dict[str, list[Row]]:
    """Make enough for every query to have something to say."""
    often = [flight(delay % 40, day=1 + delay % 28, hour=6 + delay % 12) for delay in range(120)]
    others = [flight(5, carrier="AA", tailnum=queries.BUSIEST_PLANE), flight(None, dest="SJU")]
    return {
        "planes": [plane("N1", 2004), plane(queries.BUSIEST_PLANE, None)],
        "weather": [weather(6)],
        "flights": often + others,
    }


@pytest.mark.parametrize("name", queries.QUERIES)
def test_every_query_answers_in_json(given: Given, name: str) -> None:
    given(**a_bit_of_everything())
    answer = queries.QUERIES[name]()
    assert answer
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


@pytest.mark.parametrize("query", queries.QUERIES.values())
def test_every_query_is_described_in_one_sentence(query: Callable[[], queries.JSON]) -> None:
    assert query.__doc__
    assert query.__doc__.endswith(".")
    assert "\n" not in query.__doc__


def test_overview_counts_cancelled_flights_but_leaves_them_out_of_the_averages(given: Given) -> None:
    given(flights=[flight(0), flight(14, dest="BOS"), flight(16, carrier="B6"), flight(None)])
    assert queries.overview() == {
        "flights": 4,
        "cancelled": 1,
        "carriers": 2,
        "destinations": 2,
        "avg_dep_delay_min": 10.0,
        "on_time_percent": 66.7,
    }


def test_recent_departures_are_newest_first_without_the_cancelled(given: Given) -> None:
    given(flights=[flight(hour=7, flight=1), flight(None, hour=9, flight=2), flight(hour=8, flight=3)])
    assert column(queries.recent_departures(), "flight") == [3, 1]


def test_carrier_board_holds_that_carriers_last_two_days(given: Given) -> None:
    last, inside, outside = flight(day=5, flight=1), flight(day=3, hour=7, flight=2), flight(day=3, flight=3)
    given(flights=[outside, inside, last, flight(day=5, carrier="AA", flight=4)])
    assert column(queries.carrier_board(), "flight") == [1, 2]


def test_airport_board_names_what_it_can(given: Given) -> None:
    given(flights=[flight(hour=7), flight(hour=6, dest="SJU", carrier="B6"), flight(origin="LGA")])
    board = queries.airport_board()
    assert column(board, "destination") == ["Los Angeles", "SJU"]
    assert column(board, "airline") == ["United", "JetBlue"]


def test_carrier_league_puts_the_most_punctual_first(given: Given) -> None:
    late = [flight(10, 20, carrier="AA"), flight(20, 41, carrier="AA"), flight(None, carrier="AA")]
    given(flights=[*late, flight(4, -3, carrier="B6")])
    assert queries.carrier_league() == [
        {"airline": "JetBlue", "flights": 1, "avg_dep_delay_min": 4.0, "avg_arr_delay_min": -3.0},
        {"airline": "American", "flights": 3, "avg_dep_delay_min": 15.0, "avg_arr_delay_min": 30.5},
    ]


def test_busiest_airports_keep_a_destination_without_a_name(given: Given) -> None:
    given(flights=[flight(dest="SJU"), flight(dest="SJU", carrier="B6"), flight(dest="LAX")])
    assert queries.busiest_airports() == [
        {"dest": "SJU", "airport": "SJU", "flights": 2, "carriers": 2},
        {"dest": "LAX", "airport": "Los Angeles", "flights": 1, "carriers": 1},
    ]


def test_top_destinations_are_five_per_airport_and_ties_go_by_name(given: Given) -> None:
    given(flights=[flight(dest=dest) for dest in "FFEDCBA"] + [flight(origin="LGA", dest="BOS")])
    answer = queries.top_destinations()
    assert column(answer, "dest") == ["F", "A", "B", "C", "D", "BOS"]
    assert column(answer, "place") == [1, 2, 3, 4, 5, 1]
    assert column(answer, "flights") == [2, 1, 1, 1, 1, 1]


def test_worst_routes_leave_out_those_seldom_flown(given: Given) -> None:
    given(flights=[flight(30, dest="BOS")] * 100 + [flight(90, dest="ORD")] * 99 + [flight(None, dest="ORD")])
    assert queries.worst_routes() == [{"origin": "JFK", "dest": "BOS", "arrivals": 100, "avg_arr_delay_min": 30.0}]


def test_best_carrier_of_a_route_has_landed_there_often_enough(given: Given) -> None:
    often = [flight(9, carrier="AA")] * 50 + [flight(7, carrier="B6")] * 50
    given(flights=[*often, *[flight(1, carrier="UA")] * 49])
    assert queries.best_carrier_by_route() == [
        {"origin": "JFK", "dest": "LAX", "airline": "JetBlue", "arrivals": 50, "avg_arr_delay_min": 7.0}
    ]


def test_cancellations_are_a_share_of_the_months_flights(given: Given) -> None:
    given(flights=[flight(None), flight(), flight(), flight(month=2)])
    assert queries.cancellations_by_month() == [
        {"month": 1, "cancelled": 1, "cancelled_percent": 33.3},
        {"month": 2, "cancelled": 0, "cancelled_percent": 0.0},
    ]


def test_on_time_means_less_than_fifteen_minutes_late(given: Given) -> None:
    given(flights=[flight(14), flight(15), flight(None)])
    assert queries.on_time_by_carrier_and_month() == [
        {"carrier": "UA", "month": 1, "arrivals": 2, "on_time_percent": 50.0}
    ]


def test_heatmap_knows_that_2013_began_on_a_tuesday(given: Given) -> None:
    given(flights=[flight(10), flight(20), flight(5, day=6)])
    assert queries.day_heatmap() == [
        {"weekday": 0, "hour": 6, "flights": 1, "avg_dep_delay_min": 5.0},
        {"weekday": 2, "hour": 6, "flights": 2, "avg_dep_delay_min": 15.0},
    ]


def test_daily_trend_averages_the_seven_days_that_end_there(given: Given) -> None:
    given(flights=[flight(delay, day=delay) for delay in range(1, 9)])
    # Day 8 averages 2 to 8: day 1 has left the window.
    averages = [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0]
    assert column(queries.daily_trend(), "seven_day_avg_min") == averages


def test_percentiles_go_by_nearest_rank(given: Given) -> None:
    ten = [flight(delay, carrier="AA") for delay in (7, 3, 10, 1, 5, 9, 2, 8, 6, 4)]
    given(flights=[*ten, flight(42, carrier="B6"), flight(None, carrier="B6")])
    assert queries.delay_percentiles() == [
        {"carrier": "AA", "arrivals": 10, "p50_min": 5, "p90_min": 9, "p99_min": 10},
        {"carrier": "B6", "arrivals": 1, "p50_min": 42, "p90_min": 42, "p99_min": 42},
    ]


def test_weather_of_the_scheduled_hour_decides_and_the_worst_condition_names_it(given: Given) -> None:
    given(
        weather=[weather(6), weather(7, precip=0.1, visib=2.0), weather(8, wind_speed=20.0)],
        flights=[
            *(flight(delay, hour=6) for delay in (0, 4)),
            *(flight(delay, hour=7) for delay in (60, None)),
            flight(30, hour=8),
            flight(99, hour=9),  # no weather was recorded
        ],
    )
    answer = queries.weather_impact()
    assert column(answer, "weather") == ["low visibility", "strong wind", "fair"]
    assert column(answer, "flights") == [2, 1, 2]
    assert column(answer, "avg_dep_delay_min") == [60.0, 30.0, 2.0]
    assert column(answer, "cancelled_percent") == [50.0, 0.0, 0.0]


def test_plane_age_comes_in_steps_of_five_years_where_it_is_known(given: Given) -> None:
    given(
        planes=[plane("N1", 2013), plane("N2", 2009), plane("N3", 2008), plane("N4", None)],
        flights=[flight(delay, tailnum=f"N{delay}") for delay in (1, 2, 3, 4, 5)] + [flight(3, tailnum="N1")],
    )
    assert queries.plane_age() == [
        {"age_from_years": 0, "planes": 2, "flights": 3, "avg_arr_delay_min": 2.0},
        {"age_from_years": 5, "planes": 1, "flights": 1, "avg_arr_delay_min": 3.0},
    ]


def test_knock_on_delays_follow_one_plane_within_one_day(given: Given) -> None:
    one_plane = [flight(60, hour=6), flight(20, hour=9), flight(2, hour=12), flight(4, hour=15)]
    given(flights=[*one_plane, flight(500, day=2), flight(500, tailnum="N2")])
    assert queries.knock_on_delays() == [
        {"earlier_departure": "under an hour late", "flights": 1, "avg_dep_delay_min": 2.0},
        {"earlier_departure": "on time", "flights": 1, "avg_dep_delay_min": 4.0},
        {"earlier_departure": "an hour late or more", "flights": 1, "avg_dep_delay_min": 20.0},
    ]


def test_a_query_works_in_a_thread_of_its_own(given: Given) -> None:
    given(flights=[flight()])
    answers = [queries.overview()]

    def ask() -> None:
        answers.append(queries.overview())
        queries.close_connections()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(timeout=10)
    assert answers[0] == answers[1]


def test_queries_cannot_write(given: Given) -> None:
    given(flights=[flight()])
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        queries._rows("DELETE FROM flights")


def test_building_reports_progress_once_and_then_finds_its_work_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "cache" / "flights.sqlite", []
    monkeypatch.setattr(flights, "FLIGHT_COUNT", 3)
    monkeypatch.setattr(flights, "_chunks", two_chunks)
    for _ in range(2):
        assert flights.build_database(path, lambda done, total: seen.append((done, total))) == path
    assert seen == [(2, 3), (3, 3)]
    assert list(path.parent.iterdir()) == [path]


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        flights.build_database(tmp_path / "flights.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be taken for one" * 20])
def test_a_file_without_the_flights_is_not_complete(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "flights.sqlite"
    path.write_bytes(content)
    assert not flights.is_complete(path)


def test_database_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(flights.PATH_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert flights.default_path() == tmp_path / "warmer" / "flights.sqlite"
    monkeypatch.setenv(flights.PATH_VARIABLE, str(tmp_path / "mine.sqlite"))
    assert flights.default_path() == tmp_path / "mine.sqlite"


def two_chunks(table: str) -> Iterator[list[Row]]:
    if table == "flights":
        yield [flight(), flight()]
        yield [flight()]


def column(answer: queries.JSON, name: str) -> list[queries.JSON]:
    assert isinstance(answer, list)
    return [row[name] for row in answer if isinstance(row, dict)]
