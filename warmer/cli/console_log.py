"""Console logging for commands that run for long: coloured on a terminal, one plain line per record elsewhere."""

import logging

from rich.console import Console
from rich.logging import RichHandler


def log_to_console(verbose: bool) -> None:
    """Log warnings to standard error, and what schedulers and workers do.

    Args:
        verbose: Whether to log every refresh as well.
    """
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(name)s: %(message)s" if console.is_terminal else "%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[RichHandler(console=console, show_path=False)] if console.is_terminal else None,
    )
    logging.getLogger("warmer").setLevel(logging.INFO if verbose else logging.WARNING)
    for name in ("warmer.scheduler", "warmer.worker"):
        logging.getLogger(name).setLevel(logging.INFO)
