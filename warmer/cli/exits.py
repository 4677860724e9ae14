"""Exit codes of commands, and errors as one line on standard error."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from warmer.errors import WarmerError

EXIT_REFUSED = 2  # a setting, an option or an argument cannot be used
EXIT_NO = 1  # the answer is no
EXIT_INTERRUPTED = 130  # by Ctrl-C


def handle_errors(function: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command, so that a `WarmerError` ends it with one line on stderr and `EXIT_REFUSED`.

    Example:
        >>> @handle_errors
        ... def refuse():
        ...     raise WarmerError("no such task")
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
