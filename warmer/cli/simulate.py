"""The command `warmer simulate`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from warmer.cli.exits import handle_errors
from warmer.simulation.chart import check_can_draw, draw
from warmer.simulation.comparison import Comparison, compare, parts_of
from warmer.simulation.policies import POLICIES, PRICED
from warmer.simulation.result import Finding
from warmer.simulation.trace.trace import Trace
from warmer.simulation.trace.trace_reader import Account, read_trace


def tables(traces: Sequence[Trace], findings: Sequence[Finding]) -> list[Table]:
    """Return one table for each trace and ttl.

    Args:
        traces: The traces; each is told apart by its name.
        findings: What was found, in the order of traces and ttls.
    """
    of_name = {trace.name: trace for trace in traces}
    return [
        _table(of_name[name], ttl_s, list(group))
        for (name, ttl_s), group in groupby(findings, key=lambda finding: (finding.trace, finding.ttl_s))
    ]


def _table(trace: Trace, ttl_s: float, findings: Sequence[Finding]) -> Table:
    table = Table(title=_title(trace, ttl_s, findings), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    with_seconds = findings[0].replayed.compute_s_ratio is not None
    table.add_column("policy", no_wrap=True)
    names = ("set to", "users wait", "compute", *["seconds"] * with_seconds, "misses removed", "wasted", "peak")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for finding in findings:
        table.add_row(finding.policy, *_cells(finding), style="bold" if finding.policy == PRICED else None)
    return table


def _title(trace: Trace, ttl_s: float, findings: Sequence[Finding]) -> str:
    replayed = findings[0].replayed
    hours, missing = trace.span_s / 3600, _percent(replayed.plain_miss_ratio)
    return escape(
        f"{trace.name}, ttl {ttl_s:g} s: {trace.read_count:,} reads of {trace.key_count:,} keys in "
        f"{hours:.1f} hours; of {replayed.reads:,.0f} counted, {missing} miss a plain cache, and "
        f"{_percent(replayed.compulsory_ratio)} are the first of their key"
    )


def _cells(finding: Finding) -> list[str]:
    replayed = finding.replayed
    seconds = replayed.compute_s_ratio
    return [
        "" if finding.extra_compute is None else f"+{_percent(finding.extra_compute, 0)}",
        _percent(replayed.miss_ratio),
        f"{replayed.compute_ratio:.2f}x",
        *([] if seconds is None else [f"{seconds:.2f}x"]),
        _percent(replayed.removed),
        _percent(replayed.wasted_ratio, 0) if replayed.refreshes else "",
        f"{replayed.peak_concurrency:.0f}",
    ]


def _percent(part: float, decimals: int = 1) -> str:
    return f"{100 * part:.{decimals}f} %"


LEGEND = """\
set to: extra compute that was asked for; users wait: reads that miss; compute: computations, a plain cache = 1;
seconds: compute seconds, likewise; misses removed: of the plain cache's, first reads of a key aside; wasted: refreshes
that were of no use to any read; peak: computations under way in one second. xfetch, rlfu, rlru and clairvoyant cannot
be told what to spend: they are shown at exactly that, between their two nearest settings. clairvoyant is the bound."""
"""What the columns are."""


T = TypeVar("T")
Convert = Callable[[click.Context, click.Parameter, str], tuple[T, ...]]
"""What click calls with an option's text."""


def numbers(least: float, most: float) -> Convert[float]:
    """Return what takes a list of numbers apart.

    Args:
        least: The least that is accepted.
        most: The most that is accepted.
    """

    def number(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not least <= found <= most:
            raise click.BadParameter(f"expected numbers from {least:,.15g} to {most:,.15g}, with commas, got {text!r}")
        return found

    return _list_of(number)


def names(known: Sequence[str]) -> Convert[str]:
    """Return what takes a list of names apart.

    Args:
        known: The names that are accepted.
    """

    def name(text: str) -> str:
        if text not in known:
            raise click.BadParameter(f"expected names out of {', '.join(known)}, with commas, got {text!r}")
        return text

    return _list_of(name)


def _list_of(convert: Callable[[str], T]) -> Convert[T]:
    """Return what takes each element once, in the order given."""

    def converted(context: click.Context, option: click.Parameter, value: str) -> tuple[T, ...]:
        return tuple(dict.fromkeys(convert(text.strip()) for text in value.split(",")))

    return converted


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
@handle_errors
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
    """Replay recorded reads: what would warming cost, and what would it spare users?

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
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
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
