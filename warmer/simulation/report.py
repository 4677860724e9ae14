"""Shows what a simulation has found to people."""

from collections.abc import Sequence
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from warmer.simulation.contenders import PRICED
from warmer.simulation.findings import Finding
from warmer.simulation.trace import Trace


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
