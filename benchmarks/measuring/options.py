"""The command line of every benchmark: --quick, --json, and where they apply --rounds and --plot."""

import argparse
from pathlib import Path
from typing import NamedTuple

from measuring.charts.bars import check_can_draw


class Rounds(NamedTuple):
    """The numbers of rounds that count, by default and in a quick run."""

    usual: int
    quick: int


def parsed_options(about: str, quick: str, rounds: Rounds | None = None, can_plot: bool = False) -> argparse.Namespace:
    """Return the options of this run; `rounds` is one of them, whether it was given or not.

    Args:
        about: The benchmark's docstring; its first line is shown by --help.
        quick: What a quick run leaves out.
        rounds: The numbers of rounds, if the benchmark has rounds.
        can_plot: Whether the benchmark draws.

    Raises:
        SystemExit: The options are wrong, or --plot was given and cannot be drawn.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"at most 20 s on a quiet machine: {quick}")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    if rounds:
        parser.add_argument("--rounds", type=int, metavar="N", help=f"rounds that count (default: {rounds.usual})")
    if can_plot:
        parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures, such as figures.svg")
    options = parser.parse_args()
    if rounds and options.rounds is None:
        options.rounds = rounds.quick if options.quick else rounds.usual
    if can_plot and options.plot:
        check_can_draw()
    return options
