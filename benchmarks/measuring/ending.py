"""The frame of every benchmark: measure within a time limit, judge, show, and end with an exit code."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from rich.console import RenderableType

from measuring.environment import as_line
from measuring.limits import TIMED_OUT, TimeLimitError, run_limit
from measuring.options import Rounds, parsed_options
from measuring.promises import NOT_HELD, Promise, better, exit_code, verdict
from measuring.screen import wide_console

FULL_LIMIT_S = 3600.0
QUICK_LIMIT_S = 240.0
"""A quick run takes 20 s on a quiet machine; one that takes so much longer hangs."""

MAX_TRIES = 3
RETRY_LIMIT_S = 100.0
"""A quick run measures a noisy promise again only while the whole run stays within this time."""


class Measured(Protocol):
    """The result of a run."""

    @property
    def environment(self) -> Mapping[str, str]: ...


Outcome = TypeVar("Outcome", bound=Measured)


@dataclass(frozen=True, slots=True)
class Benchmark(Generic[Outcome]):
    """A benchmark, from its measurements to the way they are shown.

    Args:
        about: The docstring of its file.
        quick: What a quick run leaves out.
        measure: Measures with the options given; returns the outcome.
        judge: Returns each promise beside its measurement.
        as_json: Returns the outcome for scripts.
        tables: Returns the outcome for people.
        plot: Draws the outcome.
        rounds: The numbers of rounds, if it has rounds.
    """

    about: str
    quick: str
    measure: Callable[[argparse.Namespace], Outcome]
    judge: Callable[[Outcome], Iterable[Promise]]
    as_json: Callable[[Outcome], dict[str, Any]]
    tables: Callable[[Outcome], Iterable[RenderableType]]
    plot: Callable[[Outcome, Path], None] | None = None
    rounds: Rounds | None = None

    def run(self) -> int:
        """Run it as the command line asks.

        Returns:
            The exit code: 0 if every promise is held, 1 if not, 3 if the run took too long.
        """
        options = parsed_options(self.about, self.quick, self.rounds, self.plot is not None)
        try:
            with run_limit(QUICK_LIMIT_S if options.quick else FULL_LIMIT_S):
                outcome, promises = self._judged(options)
                self._show(options, outcome, promises)
        except TimeLimitError as error:
            print(f"timed out: {error}", file=sys.stderr)
            return TIMED_OUT
        return exit_code(promises)

    def _judged(self, options: argparse.Namespace) -> tuple[Outcome, list[Promise]]:
        """Measure and judge; a quick run does so again while a noisy promise is not held and there is time."""
        started_s = time.monotonic()
        outcome = self.measure(options)
        promises = list(self.judge(outcome))
        if not options.quick:
            return outcome, promises
        for tries in range(1, MAX_TRIES):
            passed_s = time.monotonic() - started_s
            is_in_doubt = any(promise.is_noisy and promise.state == NOT_HELD for promise in promises)
            if not is_in_doubt or passed_s * (tries + 1) / tries > RETRY_LIMIT_S:
                break
            promises = better(promises, list(self.judge(self.measure(options))))
        return outcome, promises

    def _show(self, options: argparse.Namespace, outcome: Outcome, promises: Sequence[Promise]) -> None:
        if options.json:
            shown = {"environment": dict(outcome.environment), **self.as_json(outcome)}
            print(json.dumps(shown | {"promises": [promise.as_json() for promise in promises]}, indent=2))
        else:
            console = wide_console()
            console.print(as_line(outcome.environment), style="dim")
            for table in self.tables(outcome):
                console.print(table)
            console.print(verdict(promises))
        if self.plot is not None and options.plot:
            self.plot(outcome, options.plot)
