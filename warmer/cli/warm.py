"""The command `warmer warm`: requests refreshes of one target or of many."""

import json
import sys

import click
from rich.console import Console

from warmer.cli.bulk_view import first_errors, summary, wait_with_bar
from warmer.cli.exits import EXIT_INTERRUPTED, EXIT_NO, handle_errors
from warmer.cli.json_lines import items_at
from warmer.client.default import fleet
from warmer.errors import SettingsError, WaitTimeoutError, described
from warmer.on_demand.bulk import BulkWarming
from warmer.results import BulkOutcome

DEFAULT_IN_FLIGHT = 10_000
MAX_CANCEL_WAIT_S = 30.0


@click.command()
@click.argument("task_id")
@click.option("--arguments", metavar="JSON", help="""Arguments of the target, for a task with a key template: """
              """'{"user_id": 42}'.""")  # fmt: skip
@click.option("--many", metavar="FILE", help="Refresh many targets: JSON Lines with the arguments of one target each, "
              "as an object, an array by position or a single value; - reads standard input.")  # fmt: skip
@click.option("--force", is_flag=True, help="Compute even if the present value is fresh.")
@click.option("--wait", "wait_s", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait this long for the "
              "outcome.")  # fmt: skip
@click.option("--in-flight", type=click.IntRange(min=1), metavar="N", help="With --many: how many targets may be "
              "requested and not finished at once. [default: 10000]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="With --many: print the outcome as JSON.")
@handle_errors
def warm(
    task_id: str,
    arguments: str | None,
    many: str | None,
    force: bool,
    wait_s: float | None,
    in_flight: int | None,
    as_json: bool,
) -> None:
    """Request a refresh of one target, or of many, from the workers.

    With --wait or --many the exit code is 1 if a refresh failed. Ctrl-C cancels --many: requests that no worker has
    begun are withdrawn.

    Example: warmer warm shop.tasks.product --arguments '{"product_id": 42}' --wait 10

    Example: warmer warm shop.tasks.product --many ids.jsonl
    """
    if many is None:
        if in_flight is not None or as_json:
            raise SettingsError("--in-flight and --json need --many FILE")
        _warm_one(task_id, "{}" if arguments is None else arguments, force, wait_s)
    elif arguments is not None or wait_s is not None:
        raise SettingsError("--many FILE contains the arguments, and waits: leave out --arguments and --wait")
    else:
        _warm_many(task_id, many, force, in_flight or DEFAULT_IN_FLIGHT, as_json)


def _warm_one(task_id: str, arguments: str, force: bool, wait_s: float | None) -> None:
    try:
        parsed = json.loads(arguments)
    except json.JSONDecodeError as error:
        raise SettingsError(f"--arguments must be a JSON object, got {arguments!r} ({error})") from None
    if not isinstance(parsed, dict):
        raise SettingsError(f"--arguments must be a JSON object, got {arguments!r}")
    handle = fleet().warm(task_id, parsed, force=force)
    if wait_s is None:
        click.echo(f"requested {handle.ref}")
        return
    outcome = handle.wait(wait_s)
    if not outcome.success:
        click.echo(f"{outcome.ref} failed after {outcome.duration_ms:.1f} ms: {outcome.error}", err=True)
        sys.exit(EXIT_NO)
    click.echo(f"{outcome.ref}: {outcome.result} in {outcome.duration_ms:.1f} ms")


def _warm_many(task_id: str, place: str, force: bool, in_flight: int, as_json: bool) -> None:
    try:
        handle = fleet().warm_many(task_id, items_at(place), force=force, in_flight=in_flight)
        outcome = _wait_or_cancel(handle)
    except OSError as error:
        raise SettingsError(f"--many {place!r} cannot be read: {described(error)}") from None
    click.echo(outcome.model_dump_json(indent=2, ensure_ascii=True) if as_json else summary(outcome))
    for line in first_errors(outcome):
        click.echo(line, err=True)
    if handle.is_cancelled:
        sys.exit(EXIT_INTERRUPTED)
    if outcome.failed:
        sys.exit(EXIT_NO)


def _wait_or_cancel(handle: BulkWarming) -> BulkOutcome:
    """Wait until all has ended; after Ctrl-C only for what has begun, and after a second one no longer."""
    try:
        return wait_with_bar(handle, Console(stderr=True))
    except KeyboardInterrupt:
        handle.cancel()
    click.echo("cancelled; waiting for computations that have begun", err=True)
    try:
        return handle.wait(MAX_CANCEL_WAIT_S)
    except (KeyboardInterrupt, WaitTimeoutError):
        return handle.so_far
