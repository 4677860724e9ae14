"""The command `warmer simulate`: replays recorded reads, and prints a table for each trace and ttl."""

import json
from collections.abc import Sequence
from dataclasses import replace
from inspect import cleandoc
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from warmer.cli.comma_lists import names, numbers
from warmer.cli.exits import handle_errors
from warmer.simulation.chart import check_can_draw, draw
from warmer.simulation.comparison import Comparison, compare, jobs_of
from warmer.simulation.policies import POLICIES, PRODUCTION
from warmer.simulation.result import ComparisonRow
from warmer.simulation.trace.line_counts import LineCounts
from warmer.simulation.trace.trace import Trace
from warmer.simulation.trace.trace_formats import FORMATS
from warmer.simulation.trace.trace_reader import read_trace

WIDTH = 120
MIN_EXTRA_COMPUTE, MAX_EXTRA_COMPUTE = 0.001, 100.0
MIN_TTL_S, MAX_TTL_S = 1.0, 366 * 86_400.0

LEGEND = """\
set to: requested extra compute; users wait: reads that miss; compute: computations, a plain cache = 1; seconds: compute
seconds, likewise; misses removed: of those of the plain cache, first reads of a key excluded; wasted: refreshes that no
read needed; peak: most computations in one second. xfetch, rlfu, rlru and clairvoyant have no exact setting for extra
compute: their figures are interpolated between the two nearest settings. clairvoyant is the upper bound."""
"""Explains the columns."""


_HELP_OF_FORMATS = "\n".join(f"{name:14} {what}" for name, (what, _) in FORMATS.items())


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="TRACE...")
@click.option("--ttl", "ttls_s", callback=numbers(MIN_TTL_S, MAX_TTL_S), default="300", show_default=True,
              metavar="SECONDS,...", help="How long a value is fresh.")  # fmt: skip
@click.option("--policy", "policies", callback=names(POLICIES), default=",".join(POLICIES), show_default=True,
              metavar="NAME,...", help="The policies to compare.")  # fmt: skip
@click.option("--extra-compute", "extra_computes", callback=numbers(MIN_EXTRA_COMPUTE, MAX_EXTRA_COMPUTE),
              default="0.1,0.25,0.5", show_default=True, metavar="PART,...",
              help="Compute budget beyond a plain cache: 0.25 is 25 % more.")  # fmt: skip
@click.option("--warmup", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True, metavar="PART",
              help="The first part of each trace, which policies learn from and which does not count.")  # fmt: skip
@click.option("--format", "format_name", type=click.Choice(list(FORMATS)), metavar="NAME",
              help="Read all traces in this format.")  # fmt: skip
@click.option("--ignore-query", is_flag=True, help="Logs: the key is the path without its query string.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Draw misses removed against compute, such as frontier.png; needs matplotlib.")  # fmt: skip
@handle_errors
def simulate(
    paths: tuple[str, ...],
    ttls_s: tuple[float, ...],
    policies: tuple[str, ...],
    extra_computes: tuple[float, ...],
    warmup: float,
    format_name: str | None,
    ignore_query: bool,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Replay recorded reads: what would warming cost, and how many waits would it save?

    TRACE is a file, plain or gzip, or - for standard input. Of logs, GET and HEAD requests that did not fail count as
    reads of their path and query string. Lines may come in any order. The format that was found and the lines that were
    left out, by reason, are printed to standard error.

    The format is the one that reads most lines, or that of --format:

    \b
    FORMAT_LIST

    A header, JSON and #Fields name the columns: timestamp, time or ts; key, url, path or request; count or hits; cost,
    duration or request_time; method; status. A name may end in a unit, such as latency_ms. Times are numbers (s, ms, us
    or ns), ISO 8601 or as in access logs; without a zone they are UTC. Lines in Docker's json-file are unwrapped.

    Policies:

    \b
    warmer       the policy of this library, as production runs it
    plain        a plain ttl cache, the baseline: computes at misses only
    all          refreshes every key for ever
    tiers        every 15, 30, 60 or 120 minutes, by reads per minute
    xfetch       probabilistic early expiration at reads
    rlfu, rlru   renewal credits, earned by reads
    clairvoyant  renewal that knows all future reads: the upper bound

    The exit code is 2 if a trace or an option is refused.
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    if plot is not None:
        check_can_draw(plot)
    traces, counts = _read(paths, not ignore_query, format_name)
    rows = _compared(Comparison(traces, ttls_s, policies, extra_computes, warmup))
    if as_json:
        click.echo(json.dumps([row.as_json() | _as_json(counts[row.trace]) for row in rows], indent=2))
    else:
        _print(traces, rows)
    if plot is not None:
        draw(rows, plot)


simulate.help = cleandoc(simulate.help or "").replace("FORMAT_LIST", _HELP_OF_FORMATS)


def _read(paths: Sequence[str], with_query: bool, format_name: str | None) -> tuple[list[Trace], dict[str, LineCounts]]:
    """Read the traces, and count their lines; a trace whose name is taken is named by its path."""
    traces: dict[str, Trace] = {}
    counts: dict[str, LineCounts] = {}
    for path in dict.fromkeys(paths):
        trace, counted = read_trace(path, with_query, format_name)
        click.echo(f"{path}: read as {counted}", err=True)
        named = replace(trace, name=path) if trace.name in traces else trace
        traces[named.name], counts[named.name] = named, counted
    return list(traces.values()), counts


def _as_json(counts: LineCounts) -> dict[str, Any]:
    return {
        "format": counts.format,
        "columns": counts.columns,
        "lines": counts.lines,
        "lines_read": counts.read,
        "lines_left_out": dict(counts.left_out),
    }


def _compared(comparison: Comparison) -> list[ComparisonRow]:
    console = Console(stderr=True)
    rows = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replaying", total=len(jobs_of(comparison)))
        for found in compare(comparison):
            rows += found
            progress.advance(task)
    return rows


def _print(traces: Sequence[Trace], rows: Sequence[ComparisonRow]) -> None:
    console = Console()
    wide = console if console.is_terminal else Console(width=WIDTH)
    for table in _tables(traces, rows):
        wide.print(table)
    wide.print(LEGEND, style="dim", highlight=False)


def _tables(traces: Sequence[Trace], rows: Sequence[ComparisonRow]) -> list[Table]:
    """Return one table for each trace and ttl, in the order of the rows."""
    by_name = {trace.name: trace for trace in traces}
    return [
        _table(by_name[name], ttl_s, list(group))
        for (name, ttl_s), group in groupby(rows, key=lambda row: (row.trace, row.ttl_s))
    ]


def _table(trace: Trace, ttl_s: float, rows: Sequence[ComparisonRow]) -> Table:
    table = Table(title=_title(trace, ttl_s, rows), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    with_seconds = rows[0].result.compute_s_ratio is not None
    table.add_column("policy", no_wrap=True)
    for heading in ("set to", "users wait", "compute", *["seconds"] * with_seconds, "misses removed", "wasted", "peak"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.policy, *_cells(row), style="bold" if row.policy == PRODUCTION else None)
    return table


def _title(trace: Trace, ttl_s: float, rows: Sequence[ComparisonRow]) -> str:
    result = rows[0].result
    return escape(
        f"{trace.name}, ttl {ttl_s:g} s: {trace.read_count:,} reads of {trace.key_count:,} keys in "
        f"{trace.span_s / 3600:.1f} hours; of {result.reads:,.0f} counted, {_percent(result.baseline_miss_ratio)} miss "
        f"a plain cache, and {_percent(result.compulsory_ratio)} are the first of their key"
    )


def _cells(row: ComparisonRow) -> list[str]:
    result = row.result
    seconds = result.compute_s_ratio
    return [
        "" if row.extra_compute is None else f"+{_percent(row.extra_compute, 0)}",
        _percent(result.miss_ratio),
        f"{result.compute_ratio:.2f}x",
        *([] if seconds is None else [f"{seconds:.2f}x"]),
        _percent(result.removed),
        _percent(result.wasted_ratio, 0) if result.refreshes else "",
        f"{result.peak_concurrency:.0f}",
    ]


def _percent(part: float, decimals: int = 1) -> str:
    return f"{100 * part:.{decimals}f} %"
