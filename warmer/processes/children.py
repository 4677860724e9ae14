"""Child processes that are started together, checked, and stopped together with this process."""

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

MAX_STOP_S = 10.0
MAX_LOG_LINES = 8


class ChildDiedError(WarmerError):
    """A child process ended unexpectedly."""


@dataclass(frozen=True, slots=True)
class Child:
    """One child process.

    Args:
        name: Its name in messages.
        process: The process.
        log: File of its standard error; None if that is this process's standard error.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None

    def output(self) -> Iterator[bytes]:
        """Yield the lines of its standard output, if that is a pipe."""
        return iter(self.process.stdout or ())


class Children:
    """Processes that end with the ``with`` block, or with this process, even after SIGKILL.

    Example:
        >>> with Children() as children:
        ...     children.start("a web server", "http.server", "0", quiet=True).name
        'a web server'
    """

    def __init__(self) -> None:
        self._logs = tempfile.TemporaryDirectory(prefix="warmer-children-")
        self._children: list[Child] = []

    def start(self, name: str, module: str, *arguments: str, quiet: bool, stdout: int = subprocess.DEVNULL) -> Child:
        """Start `python -m module arguments`.

        Args:
            name: Its name in messages.
            module: The module to run.
            *arguments: Its arguments.
            quiet: Whether its standard error is kept in a file for the message of `check`.
            stdout: As for `subprocess.Popen`.
        """
        log = Path(self._logs.name) / f"{name}.log" if quiet else None
        with ExitStack() as stack:
            process = subprocess.Popen(
                [sys.executable, "-m", "warmer.processes.lifeline", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=None if log is None else stack.enter_context(log.open("wb")),
                process_group=0,  # Ctrl-C reaches only this process, which then stops its children
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Check that all children are alive.

        Raises:
            ChildDiedError: one has ended; the message contains the end of its log.
        """
        for child in self._children:
            if child.process.poll() is not None:
                raise ChildDiedError(
                    f"{child.name} ended unexpectedly with exit code {child.process.returncode}" + _log_tail(child.log)
                )

    def end(self, child: Child) -> None:
        """Stop one child and wait for its end."""
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
        process.wait(MAX_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _log_tail(log: Path | None) -> str:
    if log is None:
        return "; see its message above"
    lines = log.read_text(errors="replace").strip().splitlines()
    return "; its log ends with:\n" + ("\n".join(lines[-MAX_LOG_LINES:]) or "(empty)")
