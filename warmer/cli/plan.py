"""Shows a plan to people."""

from collections.abc import Sequence
from datetime import datetime

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from warmer.cli.exits import handle_errors
from warmer.client.default import fleet
from warmer.planning import LONGEST_MINUTES
from warmer.planning.planned import Plan, PlannedBackend, PlannedPlaces, PlannedTarget, PlannedTask

PLACES = {"thread": "threads", "loop": "places on event loops", "process": "processes"}


def show(plan: Plan, limit: int, console: Console) -> None:
    """Print a plan.

    Args:
        plan: The plan.
        limit: How many targets to show at most, in each table.
        console: Where.
    """
    for note in notes(plan):
        console.print(note, style="red", highlight=False, soft_wrap=True)
    if plan.targets:
        console.print(_target_table(plan.targets[:limit], plan.now))
        _say_more(len(plan.targets) - limit, console)
    if plan.tasks:
        console.print(_task_table(plan.tasks))
        console.print(_backend_table(plan.backends))
    for places in plan.places:
        if places.compute_s:
            console.print(_use(places), highlight=False)
    if plan.not_kept_warm:
        console.print(_problem_table(plan.not_kept_warm[:limit]))
        _say_more(len(plan.not_kept_warm) - limit, console)
    console.print(summary(plan), highlight=False, soft_wrap=True)


def notes(plan: Plan) -> list[str]:
    """Return what has to be known before the plan is believed.

    Args:
        plan: The plan.
    """
    found = []
    if not plan.is_on:
        found.append("warming is switched off: only what was asked for by hand is computed")
    if not plan.scheduler_alive:
        found.append("no scheduler leads: nothing is decided, or moved to the workers, until one does")
    if not plan.workers:
        found.append("no worker is alive: nothing is computed until one is")
    if plan.targets_found > plan.targets_looked_at:
        found.append(
            f"cut off: of {plan.targets_found:,} targets the {plan.targets_looked_at:,} that come first were looked at"
        )
    return found


def summary(plan: Plan) -> str:
    """Return a plan in one line.

    Args:
        plan: The plan.
    """
    refreshed = sum(target.refreshes > 0 for target in plan.targets)
    short = f", {len(plan.not_kept_warm):,} cannot be kept warm" if plan.not_kept_warm else ""
    return (
        f"within {plan.minutes:.1f} minutes, if nobody reads: {plan.refreshes:,} refreshes of {refreshed:,} targets, "
        f"{plan.compute_s:,.1f} compute seconds; {len(plan.targets) - refreshed:,} targets are let be{short}"
    )


def _table(*headings: str, left: Sequence[str] = ()) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=heading not in left)
    return table


def _target_table(targets: Sequence[PlannedTarget], now: datetime) -> Table:
    table = _table("target", "first", "times", "compute s", "why", left=("target", "why"))
    for target in targets:
        table.add_row(
            escape(target.ref),
            "" if target.first is None else _in(target.first, now),
            str(target.refreshes or ""),
            f"{target.compute_s:.2f}" if target.refreshes else "",
            escape(target.why),
        )
    return table


def _in(moment: datetime, now: datetime) -> str:
    seconds = (moment - now).total_seconds()
    return "now" if seconds < 0.05 else f"in {seconds:.1f} s"


def _task_table(tasks: Sequence[PlannedTask]) -> Table:
    table = _table(
        "task", "priority", "targets", "refreshed", "refreshes", "compute s", "not kept warm", left=("task",)
    )
    for task in tasks:
        table.add_row(
            escape(task.task_id),
            str(task.priority),
            f"{task.targets:,}",
            f"{task.refreshed:,}",
            f"{task.refreshes:,}",
            f"{task.compute_s:,.1f}",
            f"{task.not_kept_warm:,}" if task.not_kept_warm else "",
        )
    return table


def _backend_table(backends: Sequence[PlannedBackend]) -> Table:
    table = _table("backend", "refreshes", "compute s", "of its concurrency", "rate/s", left=("backend",))
    for backend in backends:
        table.add_row(
            escape(backend.name or "(none named)"),
            f"{backend.refreshes:,}",
            f"{backend.compute_s:,.1f}",
            _part(backend.compute_s, backend.available_s) if backend.available_s else "",
            "" if backend.rate_per_s is None else f"{backend.rate_per_s:g}",
        )
    return table


def _problem_table(targets: Sequence[PlannedTarget]) -> Table:
    table = _table("cannot be kept warm", "priority", "because", left=("cannot be kept warm", "because"))
    for target in targets:
        table.add_row(escape(target.ref), str(target.priority), escape(target.problem or ""))
    return table


def _use(places: PlannedPlaces) -> str:
    used = _part(places.compute_s, places.available_s) if places.available_s else "none is there"
    return f"{PLACES[places.kind]}: {places.compute_s:,.1f} compute seconds for {places.places:,} places: {used}"


def _part(used_s: float, available_s: float) -> str:
    part = 100 * used_s / available_s
    return f"{part:.1f} %" if part < 10 else f"{part:.0f} %"


def _say_more(left_out: int, console: Console) -> None:
    if left_out > 0:
        console.print(f"and {left_out:,} more; --limit shows more", style="dim", highlight=False)


WIDTH = 120


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0, LONGEST_MINUTES, min_open=True),
              help="How far to look ahead.")  # fmt: skip
@click.option("--task", "task_id", metavar="ID", help="Show this task alone; the others still take their places.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=0), help="How many targets to list.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@handle_errors
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
