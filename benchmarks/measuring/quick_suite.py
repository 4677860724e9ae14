"""Run every benchmark's quick run, one after the other, and print one table of all promises.

A benchmark that hangs is killed, and counts as timed out. The exit code is 0 if every promise that was judged is held.

Run: cd benchmarks && python -m measuring.quick_suite [BENCHMARK ...]
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.markup import escape
from rich.table import Table

from measuring.ending import QUICK_LIMIT_S
from measuring.limits import CLEANUP_LIMIT_S, TIMED_OUT
from measuring.promises import HELD, NOT_HELD, NOT_JUDGED, STYLES
from measuring.screen import wide_console

FOLDER = Path(__file__).parents[1]
KILL_LIMIT_S = QUICK_LIMIT_S + 2 * CLEANUP_LIMIT_S
SHOWN_LINES = 5
STATES = {HELD, NOT_HELD, NOT_JUDGED}
ALL_STYLES = STYLES | {"timed out": "bold red", "failed": "bold red"}


class Row(NamedTuple):
    """A promise of a benchmark, or the reason why the benchmark judged none."""

    benchmark: str
    promise: str
    measured: str
    state: str

    @property
    def is_good(self) -> bool:
        return self.state in (HELD, NOT_JUDGED)


def main(names: Sequence[str]) -> int:
    """Run the benchmarks of these names, or all; returns the exit code."""
    rows: list[Row] = []
    console = wide_console()
    for file in benchmark_files(names):
        started_s = time.monotonic()
        found = rows_of(file, KILL_LIMIT_S)
        rows += found
        bad = sum(not row.is_good for row in found)
        console.print(f"{file.stem}: {time.monotonic() - started_s:.0f} s, {len(found) - bad} good, {bad} bad")
    console.print(table_of(rows))
    return 0 if rows and all(row.is_good for row in rows) else 1


def benchmark_files(names: Sequence[str]) -> list[Path]:
    """Return the files of these benchmarks, or of all."""
    return [FOLDER / f"{name}.py" for name in names] or sorted(FOLDER.glob("*.py"))


def rows_of(file: Path, limit_s: float) -> list[Row]:
    """Run one benchmark; returns a row for each of its promises, or one that says why there is none.

    Args:
        file: The benchmark.
        limit_s: It is killed, with the processes that it started, after so many seconds.
    """
    command = [sys.executable, str(file), "--quick", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, error = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            return [Row(file.stem, "", f"killed after {limit_s:.0f} s", "timed out")]
        finally:
            _kill(process)  # what it may have left behind
    if process.returncode in (0, 1) and out.startswith("{"):
        return [
            Row(file.stem, promise["text"], promise["measured"], promise["state"])
            for promise in json.loads(out)["promises"]
        ]
    reason = "\n".join(error.strip().splitlines()[-SHOWN_LINES:]) or f"exit code {process.returncode}"
    return [Row(file.stem, "", reason, "timed out" if process.returncode == TIMED_OUT else "failed")]


def _kill(process: "subprocess.Popen[str]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def table_of(rows: Sequence[Row]) -> Table:
    """Return the table of all promises."""
    table = Table("benchmark", "promise", "measured in this run", "held", title="quick runs", title_justify="left")
    for row in rows:
        style = ALL_STYLES[row.state]
        table.add_row(row.benchmark, escape(row.promise), escape(row.measured), f"[{style}]{row.state}[/]")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
