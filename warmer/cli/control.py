"""Commands that control the whole fleet: switch warming on or off, forget a task, end a quarantine."""

import sys

import click

from warmer.cli.exits import EXIT_NO, handle_errors
from warmer.client.default import fleet


@click.command()
@click.option("--interval-minutes", default=60.0, show_default=True, help="Critical targets are refreshed at least "
              "this often.")  # fmt: skip
@click.option("--pattern/--no-pattern", default=True, show_default=True, help="Refresh other targets according to "
              "their reads.")  # fmt: skip
@click.option("--critical/--no-critical", default=True, show_default=True, help="Keep critical targets warm, with or "
              "without reads.")  # fmt: skip
@handle_errors
def start(interval_minutes: float, pattern: bool, critical: bool) -> None:
    """Switch warming on for the whole fleet.

    Example: warmer start --interval-minutes 15
    """
    fleet().start(interval_minutes, enable_pattern_warming=pattern, enable_critical_warming=critical)
    click.echo("warming is on")


@click.command()
@handle_errors
def stop() -> None:
    """Switch warming off for the whole fleet."""
    fleet().stop()
    click.echo("warming is off")


@click.command()
@click.argument("task_id")
@handle_errors
def unregister(task_id: str) -> None:
    """Remove a task from the whole fleet.

    The exit code is 1 if no task has this id.

    Example: warmer unregister shop.tasks.product
    """
    if not fleet().unregister(task_id):
        click.echo(f"no task {task_id!r} is registered", err=True)
        sys.exit(EXIT_NO)
    click.echo(f"removed {task_id}")


@click.command()
@click.argument("name")
@handle_errors
def release(name: str) -> None:
    """Release a target, or a task with all its targets, from quarantine.

    NAME is the ref of a target or the id of a task, as `warmer stats` shows it. The exit code is 1 if nothing with this
    name is in quarantine.

    Example: warmer release shop.tasks.thumbnail
    """
    released = fleet().release_quarantined(name)
    if not released:
        click.echo(f"nothing with the name {name!r} is in quarantine; `warmer stats` shows what is", err=True)
        sys.exit(EXIT_NO)
    for ref in released:
        click.echo(f"released {ref}")
