"""The command `warmer plan`."""

import click
from rich.console import Console
from rich.progress import Progress

from warmer.default import fleet
from warmer.exits import ends_well
from warmer.planning import LONGEST_MINUTES, Plan
from warmer.planning.report import show

WIDTH = 120


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0, LONGEST_MINUTES, min_open=True),
              help="How far to look ahead.")  # fmt: skip
@click.option("--task", "task_id", metavar="ID", help="Show this task alone; the others still take their places.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=0), help="How many targets to list.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@ends_well
def plan(minutes: float, task_id: str | None, limit: int, as_json: bool) -> None:
    """Show what would be refreshed next, why, and what it costs; nothing is run.

    What is decided is what production would decide if nobody read anything meanwhile. At the end stands what cannot be
    kept warm with the present workers, lowest priority first. --json lists the first --limit targets, and those that
    cannot be kept warm.
    """
    found = _found(minutes, task_id)
    if as_json:
        shown = {target.ref: target for target in (*found.targets[:limit], *found.not_kept_warm[:limit])}
        click.echo(found.model_copy(update={"targets": list(shown.values())}).model_dump_json(indent=2))
        return
    console = Console()
    show(found, limit, console if console.is_terminal else Console(width=WIDTH))


def _found(minutes: float, task_id: str | None) -> Plan:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("looking", total=None)
        return fleet().plan(
            minutes, task_id=task_id, progress=lambda done, total: progress.update(bar, completed=done, total=total)
        )
