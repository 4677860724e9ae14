"""Shows on stderr how far a run is, so that stdout holds nothing but its figures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def steps(what: str, count: int) -> Iterator[Callable[[], None]]:
    """Show a bar for so many steps; call what is yielded after each of them."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=count)
        yield lambda: progress.advance(task)
