"""Worker and scheduler processes beside a benchmark: started with their own environment, and ended within a limit."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2]
"""The working directory of the processes: their tasks are imported from here."""

END_LIMIT_S = 15.0
SHOWN_LINES = 8


def environment_of(**variables: str) -> dict[str, str]:
    """Return this process' environment without settings of warmer, with these variables."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("WARMER_")}
    return {**own, "PYTHONPATH": str(FOLDER), "PYTHONWARNINGS": "ignore", **variables}


@contextmanager
def running(commands: Sequence[Sequence[str]], **variables: str) -> Iterator[Path]:
    """Run processes beside the body; yields the file that holds what they print.

    Args:
        commands: One for each process.
        variables: For their environment.
    """
    with tempfile.NamedTemporaryFile(prefix="processes-", suffix=".log") as log:
        processes = [
            subprocess.Popen(command, env=environment_of(**variables), cwd=FOLDER, stdout=log, stderr=log)
            for command in commands
        ]
        try:
            yield Path(log.name)
        finally:
            _end(processes)


def last_lines(log: Path) -> str:
    """Return the last lines that the processes have printed."""
    return "\n".join(log.read_text().splitlines()[-SHOWN_LINES:])


def _end(processes: Sequence["subprocess.Popen[Any]"]) -> None:
    for process in processes:
        process.terminate()
    deadline_s = time.monotonic() + END_LIMIT_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
