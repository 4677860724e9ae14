"""Commands that show the state of the fleet: statistics and health checks."""

import sys

import click
from redis.exceptions import RedisError
from rich.console import Console

from warmer.cli.exits import EXIT_NO, handle_errors
from warmer.cli.stats_view import problems_of, tables_of
from warmer.client.default import fleet, fleet_runtime
from warmer.engine.worker_name import is_of_this_host
from warmer.errors import described
from warmer.store import Store


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@handle_errors
def stats(as_json: bool) -> None:
    """Show the state of the fleet and of each task.

    Example: warmer stats --json
    """
    found = fleet().stats()
    if as_json:
        click.echo(found.model_dump_json(indent=2, ensure_ascii=True))
        return
    console = Console()
    for part in tables_of(found):
        console.print(part)
    for line in problems_of(found):
        console.print(line, style="red", soft_wrap=True, highlight=False)  # one line, so that it can be copied


@click.command()
@click.argument("part", type=click.Choice(["redis", "scheduler", "worker", "all"]), default="all")
@click.option("--here", is_flag=True, help="Count only workers of this host or container.")
@handle_errors
def check(part: str, here: bool) -> None:
    """Check the health of the service; the exit code is 1 if it is unhealthy.

    The argument chooses what to check: redis (it answers), scheduler (one leads), worker (one is alive) or all.

    Example: warmer check worker --here
    """
    problems = _problems(fleet_runtime().store, part, here)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(EXIT_NO)
    click.echo("healthy")


def _problems(store: Store, part: str, here: bool) -> list[str]:
    try:
        store.ping()
        problems = []
        if part in ("scheduler", "all") and not store.fleet.has_leader():
            problems.append("no scheduler leads: start one with `warmer scheduler`")
        workers = [name for name in store.fleet.live_workers() if not here or is_of_this_host(name)]
        if part in ("worker", "all") and not workers:
            where = " on this host" if here else ""
            problems.append(f"no worker is alive{where}: start one with `warmer worker --import MODULE`")
    except RedisError as error:
        return [f"Redis does not answer: {described(error)}"]
    return problems
