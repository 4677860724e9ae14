"""How a benchmark ends: it shows what it measured and what of it was promised, and says so by its exit code."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from measuring.promises import Promise, exit_code

Outcome = TypeVar("Outcome")


def show(
    options: argparse.Namespace,
    outcome: Outcome,
    promises: Sequence[Promise],
    *,
    as_json: Callable[[Outcome, Sequence[Promise]], Any],
    print_tables: Callable[[Outcome, Sequence[Promise]], None],
    plot: Callable[[Outcome, Path], None] | None = None,
) -> int:
    """Show what was measured, in the way that was asked for.

    Args:
        options: With ``json``, and with ``plot``, the picture's file, where there is one.
        outcome: What was measured.
        promises: What was promised, beside what was measured.
        as_json: Returns both for scripts.
        print_tables: Prints both for people.
        plot: Draws the outcome.

    Returns:
        The exit code: 0 if every promise is held, else 1.
    """
    if options.json:
        print(json.dumps(as_json(outcome, promises), indent=2))
    else:
        print_tables(outcome, promises)
    if plot is not None and options.plot:
        plot(outcome, options.plot)
    return exit_code(promises)
