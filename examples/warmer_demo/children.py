"""The demo's child processes: started together, watched, and ended in good order."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

END_LIMIT_S = 10.0
SHOWN_LOG_LINES = 8


class ChildDiedError(Exception):
    """A process of the demo ended by itself."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process.

    Args:
        name: What people call it.
        process: The process.
        log: Where it writes what would disturb the screen.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> Iterator[bytes]:
        """Yield the lines of its standard output, if that is a pipe, until it ends."""
        return iter(self.process.stdout or ())


class Children:
    """Processes that end with the `with` block."""

    def __init__(self) -> None:
        self._logs = tempfile.TemporaryDirectory(prefix="warmer-demo-")
        self._children: list[Child] = []

    def start(self, name: str, module: str, *arguments: str, stdout: int = subprocess.DEVNULL) -> Child:
        """Start `python -m module arguments` and watch it."""
        log = Path(self._logs.name) / f"{name}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                process_group=0,  # Ctrl-C is for the demo alone, which then ends its children in order
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Make sure that all are alive.

        Raises:
            ChildDiedError: one is not; the message ends with the last it said.
        """
        for child in self._children:
            if child.process.poll() is not None:
                raise ChildDiedError(
                    f"{child.name} has ended by itself with exit code {child.process.returncode}; it said:\n"
                    + _last_lines(child.log)
                )

    def end(self, child: Child) -> None:
        """End one and wait for it."""
        self._children.remove(child)
        child.process.terminate()
        _await_end(child.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in self._children:
            child.process.terminate()
        for child in self._children:
            _await_end(child.process)
        self._logs.cleanup()


def _await_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return "\n".join(lines[-SHOWN_LOG_LINES:]) or "nothing"
