"""Writes a trace that `warmer simulate` reads."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from warmer.errors import RecordingError, described
from warmer.simulation.trace.csv import COLUMNS

HEADING = ",".join(COLUMNS).encode()


@contextmanager
def new_trace(path: Path) -> Iterator[Callable[[Sequence[bytes]], None]]:
    """Begin a trace, compressed if its name ends in .gz; yields what writes rows to it.

    Args:
        path: Where; there must be nothing yet.

    Raises:
        RecordingError: it cannot be written, or is there already.
    """
    try:
        with _opened(path) as file:
            file.write(HEADING + b"\n")

            def write(rows: Sequence[bytes]) -> None:
                file.write(b"".join(row + b"\n" for row in rows))
                file.flush()

            yield write
    except FileExistsError:
        raise RecordingError(f"expected a new file, but {str(path)!r} is there: move it, or name another") from None
    except OSError as error:
        raise RecordingError(f"expected to write a trace to {str(path)!r}, but cannot: {described(error)}") from error


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "xb")) if path.suffix == ".gz" else path.open("xb")
