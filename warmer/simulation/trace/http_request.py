"""HTTP requests in logs: which of them are reads, and of which key."""

import re

MIN_ERROR_STATUS = 400
_READING_METHODS = ("GET", "HEAD")
_METHOD = re.compile(r"[A-Z][A-Z_-]{1,30}")
_ORIGIN = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^/?#]*")

OTHER_METHOD, ERROR_STATUS, NO_REQUEST = "other_method", "error_status", "no_request"


def split_request(line: str) -> tuple[str, str] | None:
    """Return the method and the target of a request line; None for another text. A target may contain spaces.

    Example:
        >>> split_request("GET /b c.pdf HTTP/1.1"), split_request("curl/8 (x86)")
        (('GET', '/b c.pdf'), None)
    """
    method, space, rest = line.partition(" ")
    if not space or _METHOD.fullmatch(method) is None:
        return None
    target, _, protocol = rest.rpartition(" ")
    if not protocol.startswith("HTTP/"):
        target = rest
    return (method, target.strip()) if target.strip() else None


def key_of(target: str, with_query: bool) -> str:
    """Return the path and, if wanted, the query, without the origin that a proxy's log has before it.

    Example:
        >>> key_of("https://example.org:443/a?b=1#top", with_query=True)
        '/a?b=1'
    """
    path, mark, query = _ORIGIN.sub("", target, count=1).partition("#")[0].partition("?")
    return (path or "/") + (mark + query if with_query and query else "")


def reason_to_leave_out(method: str | None, status: int | None) -> str | None:
    """Return the reason why a cache does not answer a request; None if it does.

    Args:
        method: None if the log does not have it.
        status: None if the log does not have it. Statuses below 100 stand for clients that went away.
    """
    if method is not None and method not in _READING_METHODS:
        return OTHER_METHOD
    return ERROR_STATUS if status is not None and not 100 <= status < MIN_ERROR_STATUS else None
