"""A trace of one way through the code: the files of ours that a call enters, in order, and the calls into them."""

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("warmer/", "workers/warmer_workers/", "scheduler/warmer_scheduler/")
PAGE = ROOT / "docs" / "architecture.md"


class Way:
    """What one traced block has entered.

    Attributes:
        files: Our files, in the order in which they were entered first.
        own_files: Those of them that the tracing thread itself entered, in its order.
        calls: Calls of our Python functions, by file; a generator that goes on counts as one, too.
    """

    def __init__(self) -> None:
        self.files: list[str] = []
        self.own_files: list[str] = []
        self.calls: Counter[str] = Counter()
        self._thread = threading.get_ident()
        self._ours: dict[CodeType, str | None] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        lines = [f"{self.calls.total()} calls in {len(self.files)} files:"]
        return "\n".join([*lines, *(f"{self.calls[file]:5} {file}" for file in self.files)])

    def enter(self, frame: FrameType, event: str, arg: Any) -> None:
        """Count a call of Python code, as `sys.setprofile` reports it."""
        if event != "call":
            return
        code = frame.f_code
        with self._lock:
            if code not in self._ours:
                self._ours[code] = _file_of(code)
            file = self._ours[code]
            if file is None:
                return
            self.calls[file] += 1
            if file not in self.files:
                self.files.append(file)
            if threading.get_ident() == self._thread and file not in self.own_files:
                self.own_files.append(file)


def _file_of(code: CodeType) -> str | None:
    path = Path(code.co_filename)
    if code.co_name == "<module>" or not path.is_relative_to(ROOT):
        return None
    relative = path.relative_to(ROOT).as_posix()
    return relative if relative.startswith(PACKAGES) else None


@contextmanager
def traced() -> Iterator[Way]:
    """Trace this thread, and those that are started in the block."""
    way = Way()
    threading.setprofile(way.enter)
    sys.setprofile(way.enter)
    try:
        yield way
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def way_on_page(heading: str) -> list[str]:
    """Return the files that docs/architecture.md lists under a heading, in their order."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n### {heading}\n")[2]
    section = re.split(r"\n##+ ", section)[0]
    return re.findall(r"^\d+\. `([\w/.]+)`: ", section, re.MULTILINE)
