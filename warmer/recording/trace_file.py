"""Trace file writer: CSV, plain or gzip, as `warmer simulate` reads it."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from warmer.errors import RecordingError, described
from warmer.simulation.trace.csv import COLUMNS

HEADER = ",".join(COLUMNS).encode()


@contextmanager
def new_trace(path: Path) -> Iterator[Callable[[Sequence[bytes]], None]]:
    """Create a trace file, compressed if its name ends in .gz, and yield a function that appends rows.

    Args:
        path: The file, which must not exist yet.

    Raises:
        RecordingError: the file exists, or cannot be written.
    """
    try:
        with _opened(path) as file:
            file.write(HEADER + b"\n")

            def write(rows: Sequence[bytes]) -> None:
                file.write(b"".join(row + b"\n" for row in rows))
                file.flush()

            yield write
    except FileExistsError:
        raise RecordingError(f"expected a new file, but {str(path)!r} exists: move it, or choose another") from None
    except OSError as error:
        raise RecordingError(f"expected to write a trace to {str(path)!r}, but cannot: {described(error)}") from error


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "xb")) if path.suffix == ".gz" else path.open("xb")
