"""The `warmer` command group, assembled from the commands of the other files."""

import io
import sys

import click

from warmer.cli.control import release, start, stop, unregister
from warmer.cli.local import demo, dev
from warmer.cli.plan import plan
from warmer.cli.record import record
from warmer.cli.service import scheduler, worker
from warmer.cli.simulate import simulate
from warmer.cli.status import check, stats
from warmer.cli.warm import warm


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="warmer")
def main() -> None:
    """Keep a Redis cache warm, so that users do not wait for slow values.

    Set WARMER_REDIS_URL to the address of Redis. `dev`, `demo` and `simulate` work without it.

    Example: warmer dev --import app.tasks -- python app.py
    """
    _escape_what_cannot_be_encoded()


def _escape_what_cannot_be_encoded() -> None:
    """Let a terminal that is not UTF-8 show other characters as escapes; an error's text may have any of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


for _command in (
    *(worker, scheduler),
    *(start, stop, unregister, release),
    *(warm, plan, stats, check),
    *(record, simulate),
    *(dev, demo),
):
    main.add_command(_command)


if __name__ == "__main__":
    main()
