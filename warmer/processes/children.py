"""Child processes: started together, watched, ended in good order, and never left behind."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from warmer.errors import WarmerError

END_LIMIT_S = 10.0
SHOWN_LOG_LINES = 8


class ChildDiedError(WarmerError):
    """A process that should have lived on ended by itself."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process.

    Args:
        name: What people call it.
        process: The process.
        log: Where it writes what would disturb the screen; None if it writes to this process's standard error.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None

    def output(self) -> Iterator[bytes]:
        """Yield the lines of its standard output, if that is a pipe, until it ends."""
        return iter(self.process.stdout or ())


class Children:
    """Processes that end with the `with` block, or with this process, however it ends.

    Example:
        >>> with Children() as children:
        ...     children.start("a web server", "http.server", "0", quiet=True).name
        'a web server'
    """

    def __init__(self) -> None:
        self._logs = tempfile.TemporaryDirectory(prefix="warmer-children-")
        self._children: list[Child] = []

    def start(self, name: str, module: str, *arguments: str, quiet: bool, stdout: int = subprocess.DEVNULL) -> Child:
        """Start `python -m module arguments` and watch it.

        Args:
            name: What people call it.
            module: What it runs.
            *arguments: Its arguments.
            quiet: Whether its standard error is kept for the message of `check`, or goes to this process's own.
            stdout: As for `subprocess.Popen`.
        """
        log = Path(self._logs.name) / f"{name}.log" if quiet else None
        with ExitStack() as stack:
            process = subprocess.Popen(
                [sys.executable, "-m", "warmer.processes.lifeline", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=None if log is None else stack.enter_context(log.open("wb")),
                process_group=0,  # Ctrl-C is for this process alone, which then ends its children in order
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
                    f"{child.name} has ended by itself with exit code {child.process.returncode}"
                    + _last_words(child.log)
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


def _last_words(log: Path | None) -> str:
    if log is None:
        return "; its message stands above"
    lines = log.read_text(errors="replace").strip().splitlines()
    return "; it said:\n" + ("\n".join(lines[-SHOWN_LOG_LINES:]) or "nothing")
