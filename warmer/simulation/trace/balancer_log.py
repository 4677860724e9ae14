"""Parsers of the logs of load balancers: AWS (Application and Classic Load Balancer) and HAProxy."""

import re

from warmer.simulation.trace.http_request import NO_REQUEST, key_of, reason_to_leave_out, split_request
from warmer.simulation.trace.line import Line, OtherFormatError
from warmer.simulation.trace.named_columns import cost_s_of
from warmer.simulation.trace.timestamp import log_time_s
from warmer.simulation.trace.trace import Row

_AWS_FIELDS = 11
"""From the time to the bytes that were sent; the Application Load Balancer has a protocol before them."""
_TARGET_TIME, _STATUS = 5, 7
_HAPROXY_TIME = re.compile(r"\[(\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d\.\d{3})\] ")
_TIMERS = re.compile(r"(?:-?\d{1,12}/){3}(-?\d{1,12})/\+?-?\d{1,12}")


class AwsLoadBalancerLog:
    """Parser of the logs of AWS load balancers. The cost is the time that the target took.

    Example:
        >>> line = Line('https 2025-10-10T13:00:00.5Z app/lb/1 1.2.3.4:5 10.0.0.1:80 0.0 0.05 0.0 200 200 34 366 '
        ...     '"GET https://example.org:443/a?b=1 HTTP/1.1" "curl" - -')
        >>> AwsLoadBalancerLog(with_query=True).parse(line)
        Row(time_s=1760101200.5, key='/a?b=1', reads=1, cost_s=0.05)
    """

    columns = "cost from target_processing_time in s"

    def __init__(self, with_query: bool) -> None:
        self._with_query = with_query

    def parse(self, line: Line) -> Row | str:
        """Return the read in a line, or the reason why its request is none.

        Raises:
            ValueError: The line is not of such a log.
        """
        head, _, rest = line.text.partition(' "')
        fields = head.rsplit(maxsplit=_AWS_FIELDS) if len(head) < 4096 else []
        fields = fields[-_AWS_FIELDS:]
        if len(fields) < _AWS_FIELDS or not fields[_STATUS].replace("-", "0").isdecimal():
            raise OtherFormatError(
                "expected a line of an AWS load balancer: type, time, elb, client, target, times, statuses"
            )
        time_s = log_time_s(fields[0])
        cost_s = _known_cost_s(fields[_TARGET_TIME], "s")
        status = int(fields[_STATUS]) if fields[_STATUS].isdecimal() else 0
        return _row(time_s, rest.partition('"')[0], status, cost_s, self._with_query)


class HaproxyLog:
    """Parser of HAProxy's HTTP log. The cost is the time that the server took to respond.

    Example:
        >>> line = Line('lb haproxy[1]: 1.2.3.4:5 [10/Oct/2025:13:00:00.123] fe be/s1 0/0/0/5/5 200 123 - - ---- '
        ...     '1/1/0/0/0 0/0 "GET /a HTTP/1.1"')
        >>> HaproxyLog(with_query=True).parse(line)
        Row(time_s=1760101200.123, key='/a', reads=1, cost_s=0.005)
    """

    columns = "cost from Tr in ms"

    def __init__(self, with_query: bool) -> None:
        self._with_query = with_query

    def parse(self, line: Line) -> Row | str:
        """Return the read in a line, or the reason why its request is none.

        Raises:
            ValueError: The line is not of such a log.
        """
        found = _HAPROXY_TIME.search(line.text)
        fields = line.text[found.end() :].split(" ", 4) if found else []
        timers = _TIMERS.fullmatch(fields[2]) if len(fields) > 4 else None
        if found is None or timers is None:
            raise OtherFormatError("expected a line of HAProxy's HTTP log: time, frontend, backend, timers, status")
        status = int(fields[3]) if fields[3].isdecimal() else 0
        request = fields[4].partition('"')[2].rpartition('"')
        cost_s = _known_cost_s(timers[1], "ms")
        return _row(log_time_s(found[1]), request[0] or request[2], status, cost_s, self._with_query)


def _known_cost_s(text: str, unit: str) -> float | None:
    """Return the cost in seconds; None for -1, which stands for a target that did not respond."""
    return None if text.startswith("-") else cost_s_of(text, unit)


def _row(time_s: float, request: str, status: int, cost_s: float | None, with_query: bool) -> Row | str:
    found = split_request(request)
    method, target = found or (None, "")
    reason = reason_to_leave_out(method, status)
    if reason is None and found is None:
        return NO_REQUEST
    return reason or Row(time_s, key_of(target, with_query), 1, cost_s)
