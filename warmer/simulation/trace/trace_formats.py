"""The formats of traces, each with its name and its parser."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from warmer.simulation.trace.access_log import AccessLog
from warmer.simulation.trace.balancer_log import AwsLoadBalancerLog, HaproxyLog
from warmer.simulation.trace.csv import DelimitedText
from warmer.simulation.trace.json_log import JsonLog
from warmer.simulation.trace.line import Line
from warmer.simulation.trace.trace import Row
from warmer.simulation.trace.w3c_log import W3cLog


class LineParser(Protocol):
    """Parser of the lines of one trace, in their order.

    Args:
        columns: Which columns were taken for what, in words; "" if the format fixes them.
    """

    columns: str

    def parse(self, line: Line) -> Row | str | None:
        """Return the read in a line, or the reason why it is none; None for a header.

        Raises:
            ValueError: The line is not of the format, or a value in it cannot be read.
        """


FORMATS: Final[Mapping[str, tuple[str, Callable[[bool], LineParser]]]] = {
    "csv": ("time_s,key[,reads[,cost_s]], or with a header", DelimitedText),
    "csv-semicolon": ("the same with ;", partial(DelimitedText, delimiter=";")),
    "tsv": ("the same with tabs", partial(DelimitedText, delimiter="\t")),
    "access-log": ("common, combined and alike: Apache, nginx, Traefik, Django, S3", AccessLog),
    "json": ("an object a line: nginx, Caddy, Traefik, Envoy, Cloudflare", JsonLog),
    "aws-lb": ("AWS Application and Classic Load Balancer", AwsLoadBalancerLog),
    "haproxy": ("HAProxy's HTTP log", HaproxyLog),
    "w3c": ("a #Fields line names the columns: CloudFront, IIS", W3cLog),
}
"""By name: what it is, and how its parser is made, from whether keys have their query string."""
