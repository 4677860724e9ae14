"""The command `warmer simulate`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from warmer.exits import ends_well
from warmer.simulation.commalists import names, numbers
from warmer.simulation.comparison import Comparison, compare, parts_of
from warmer.simulation.contenders import POLICIES
from warmer.simulation.findings import Finding
from warmer.simulation.picture import check_can_draw, draw
from warmer.simulation.reading import Account, read_trace
from warmer.simulation.report import LEGEND, tables
from warmer.simulation.trace import Trace

WIDTH = 120
LEAST_EXTRA, MOST_EXTRA = 0.001, 100.0
SHORTEST_TTL_S, LONGEST_TTL_S = 1.0, 366 * 86_400.0


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="TRACE...")
@click.option("--ttl", "ttls_s", callback=numbers(SHORTEST_TTL_S, LONGEST_TTL_S), default="300", show_default=True,
              metavar="SECONDS,...", help="For how long a value is fresh.")  # fmt: skip
@click.option("--policy", "policies", callback=names(POLICIES), default=",".join(POLICIES), show_default=True,
              metavar="NAME,...", help="What is compared.")  # fmt: skip
@click.option("--extra-compute", "extras", callback=numbers(LEAST_EXTRA, MOST_EXTRA), default="0.1,0.25,0.5",
              show_default=True, metavar="PART,...",
              help="How much more than a plain cache to compute: 0.25 is 25 % more.")  # fmt: skip
@click.option("--warmup", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True, metavar="PART",
              help="The first part of each trace's time is learnt from and not counted.")  # fmt: skip
@click.option("--ignore-query", is_flag=True, help="Of access logs: the key is the path alone, without its query "
              "string.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Draw misses removed against compute, such as frontier.png; needs matplotlib.")  # fmt: skip
@ends_well
def simulate(
    places: tuple[str, ...],
    ttls_s: tuple[float, ...],
    policies: tuple[str, ...],
    extras: tuple[float, ...],
    warmup: float,
    ignore_query: bool,
    as_json: bool,
    plot: Path | None,
) -> None:
    r"""Replay recorded reads: what would warming cost, and what would it spare users?

    TRACE is a file, compressed by gzip or not, or - for standard input. Either CSV, time_s,key[,reads[,cost_s]], with
    or without these names in the first line; or an access log in the common or combined format, of which GET and HEAD
    requests that did not fail count as reads of their path and query string. Lines may come in any order; those that
    cannot be read are counted and left out.

    \b
    priced       warmer's own, as production runs it
    plain        a plain cache: compute at each miss, never before
    all          refresh every key for ever
    tiers        every 15, 30, 60 or 120 minutes, by reads per minute
    xfetch       a read before the end of freshness may refresh, by lot
    rlfu, rlru   renewal credits, earned by reads
    clairvoyant  renewal that knows every read to come: the bound

    The exit code is 2 if a trace or an option is refused.
    """
    if plot is not None:
        check_can_draw(plot)
    traces = _read(places, with_query=not ignore_query)
    findings = _found(Comparison(traces, ttls_s, policies, extras, warmup))
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        _print(traces, findings)
    if plot is not None:
        draw(findings, plot)


def _read(places: Sequence[str], with_query: bool) -> list[Trace]:
    """Read the traces, and give each a name of its own."""
    traces: dict[str, Trace] = {}
    for place in dict.fromkeys(places):
        trace, account = read_trace(place, with_query)
        _report(place, account)
        named = replace(trace, name=place) if trace.name in traces else trace
        traces[named.name] = named
    return list(traces.values())


def _report(place: str, account: Account) -> None:
    """Say what was left out of a trace, if anything was."""
    if account.bad:
        click.echo(
            f"{place}: {account.bad:,} of {account.lines:,} lines cannot be read and are left out; the first is "
            f"{account.first_bad}",
            err=True,
        )
    if account.left_out:
        click.echo(
            f"{place}: {account.left_out:,} of {account.lines:,} requests are left out: other methods than GET and "
            "HEAD, or errors",
            err=True,
        )


def _found(comparison: Comparison) -> list[Finding]:
    console = Console(stderr=True)
    findings = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replaying", total=len(parts_of(comparison)))
        for found in compare(comparison):
            findings += found
            progress.advance(task)
    return findings


def _print(traces: Sequence[Trace], findings: Sequence[Finding]) -> None:
    console = Console()
    wide = console if console.is_terminal else Console(width=WIDTH)
    for table in tables(traces, findings):
        wide.print(table)
    wide.print(LEGEND, style="dim", highlight=False)
