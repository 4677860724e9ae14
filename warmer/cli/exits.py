"""How commands end: their exit codes, and our own errors as one line."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from warmer.errors import WarmerError

EXIT_REFUSED = 2  # what was asked for cannot be done as asked: settings, arguments
EXIT_NO = 1  # the answer is no
EXIT_INTERRUPTED = 130  # by Ctrl-C


def ends_well(function: Callable[..., None]) -> Callable[..., None]:
    """Turn our own errors into one line on stderr and an exit code.

    Args:
        function: The command.

    Example:
        >>> @ends_well
        ... def refuse():
        ...     raise WarmerError("no such thing")
        >>> refuse()
        Traceback (most recent call last):
        SystemExit: 2
    """

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            function(*arguments, **options)
        except WarmerError as error:
            click.echo(f"warmer: {error}", err=True)
            sys.exit(EXIT_REFUSED)

    return run
