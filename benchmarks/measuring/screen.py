"""Console output: progress on stderr, tables on stdout."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from contenders.contender import Side

WIDTH = 120
STYLES: dict[Side, str] = {"ours": "bold green", "base": "bold", "rival": "", "floor": "dim"}


@contextmanager
def steps(what: str, count: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar; yields a function to call after each step."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=count)
        yield lambda: progress.advance(task)


def wide_console() -> Console:
    """Return a console for tables; a file or a log is taken to be wide enough for them."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def table_of(title: str, *numbers: str) -> Table:
    """Return an empty table of contenders, with a column for each of these numbers."""
    table = Table("contender", title=title, title_justify="left", title_style="bold")
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def absent_lines(absent: Mapping[str, str]) -> list[str]:
    """Return a line for each library that could not be measured, with the reason."""
    return [f"[bold yellow]not measured:[/] {library}: {escape(reason)}" for library, reason in absent.items()]
