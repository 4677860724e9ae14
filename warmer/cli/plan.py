"""The command `warmer plan`: prints the refreshes of the coming minutes."""

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
from warmer.planning import MAX_MINUTES
from warmer.planning.planned import Plan, PlannedExecutor, PlannedLimit, PlannedTarget, PlannedTask

WIDTH = 120
EXECUTORS = {"thread": "threads", "loop": "event loops", "process": "processes"}


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0, MAX_MINUTES, min_open=True),
              help="How far to look ahead.")  # fmt: skip
@click.option("--task", "task_id", metavar="ID", help="Show this task alone; the others still use their capacity.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=0), help="How many targets to list.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@handle_errors
def plan(minutes: float, task_id: str | None, limit: int, as_json: bool) -> None:
    """Show the refreshes of the coming minutes, their reasons and their costs; nothing is run.

    The decisions are those that production would take if nobody read meanwhile. The last table lists the targets that
    the present workers cannot keep warm, lowest priority first. --json prints the first --limit targets, and the first
    --limit of those.
    """
    found = _make_plan(minutes, task_id)
    if as_json:
        shown = {target.ref: target for target in (*found.targets[:limit], *found.not_kept_warm[:limit])}
        click.echo(
            found.model_copy(update={"targets": list(shown.values())}).model_dump_json(indent=2, ensure_ascii=True)
        )
        return
    console = Console()
    _print(found, limit, console if console.is_terminal else Console(width=WIDTH))


def warnings_of(plan: Plan) -> list[str]:
    """Return the warnings that are printed before a plan."""
    found = []
    if not plan.is_on:
        found.append("warming is switched off: only targets requested on demand are computed")
    if not plan.scheduler_alive:
        found.append("no scheduler leads: nothing is decided, or moved to the workers, until one does")
    if not plan.workers:
        found.append("no worker is alive: nothing is computed until one is")
    if plan.targets_found > plan.targets_looked_at:
        found.append(
            f"incomplete: the plan covers the first {plan.targets_looked_at:,} of {plan.targets_found:,} targets"
        )
    return found


def totals_of(plan: Plan) -> str:
    """Return a plan in one line."""
    refreshed = sum(target.refreshes > 0 for target in plan.targets)
    cold = f", {len(plan.not_kept_warm):,} cannot be kept warm" if plan.not_kept_warm else ""
    return (
        f"within {plan.minutes:.1f} minutes, if nobody reads: {plan.refreshes:,} refreshes of {refreshed:,} targets, "
        f"{plan.compute_s:,.1f} compute seconds; {len(plan.targets) - refreshed:,} targets are not refreshed{cold}"
    )


def _make_plan(minutes: float, task_id: str | None) -> Plan:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading", total=None)
        return fleet().plan(
            minutes, task_id=task_id, progress=lambda done, total: progress.update(bar, completed=done, total=total)
        )


def _print(plan: Plan, limit: int, console: Console) -> None:
    """Print a plan with at most `limit` targets in each table."""
    for warning in warnings_of(plan):
        console.print(warning, style="red", highlight=False, soft_wrap=True)
    if plan.targets:
        console.print(_target_table(plan.targets[:limit], plan.now))
        _print_rest(len(plan.targets) - limit, console)
    if plan.tasks:
        console.print(_task_table(plan.tasks))
        console.print(_limit_table(plan.limits))
    for executor in plan.executors:
        if executor.compute_s:
            console.print(_executor_line(executor), highlight=False)
    if plan.not_kept_warm:
        console.print(_problem_table(plan.not_kept_warm[:limit]))
        _print_rest(len(plan.not_kept_warm) - limit, console)
    console.print(totals_of(plan), highlight=False, soft_wrap=True)


def _print_rest(left_out: int, console: Console) -> None:
    if left_out > 0:
        console.print(f"and {left_out:,} more; --limit shows more", style="dim", highlight=False)


def _target_table(targets: Sequence[PlannedTarget], now: datetime) -> Table:
    table = _table("target", "first", "times", "compute s", "reason", left=("target", "reason"))
    for target in targets:
        table.add_row(
            escape(target.ref),
            "" if target.first is None else _in(target.first, now),
            str(target.refreshes or ""),
            f"{target.compute_s:.2f}" if target.refreshes else "",
            escape(target.reason),
        )
    return table


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


def _limit_table(limits: Sequence[PlannedLimit]) -> Table:
    table = _table("limit", "refreshes", "compute s", "of its concurrency", "rate/s", left=("limit",))
    for limit in limits:
        table.add_row(
            escape(limit.name or "(none)"),
            f"{limit.refreshes:,}",
            f"{limit.compute_s:,.1f}",
            _percent(limit.compute_s, limit.available_s) if limit.available_s else "",
            "" if limit.rate_per_s is None else f"{limit.rate_per_s:g}",
        )
    return table


def _problem_table(targets: Sequence[PlannedTarget]) -> Table:
    table = _table("cannot be kept warm", "priority", "because", left=("cannot be kept warm", "because"))
    for target in targets:
        table.add_row(escape(target.ref), str(target.priority), escape(target.problem or ""))
    return table


def _table(*headings: str, left: Sequence[str] = ()) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=heading not in left)
    return table


def _executor_line(executor: PlannedExecutor) -> str:
    used = _percent(executor.compute_s, executor.available_s) if executor.available_s else "no worker has any"
    return (
        f"{EXECUTORS[executor.kind]}: {executor.compute_s:,.1f} compute seconds, capacity {executor.capacity:,}: {used}"
    )


def _in(moment: datetime, now: datetime) -> str:
    seconds = (moment - now).total_seconds()
    return "now" if seconds < 0.05 else f"in {seconds:.1f} s"


def _percent(used_s: float, available_s: float) -> str:
    part = 100 * used_s / available_s
    return f"{part:.1f} %" if part < 10 else f"{part:.0f} %"
