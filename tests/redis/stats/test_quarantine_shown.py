"""What is in quarantine is shown, with what to do, and is let go by hand."""

import json
import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from click.testing import Result as Ran

from tests.support.flow import claim, outcome, places_of, refs
from tests.support.runtimes import runtime_of, store_of
from warmer import InvalidTaskError, WarmerError, WarmingTask, get_warming_stats, release_quarantined
from warmer.cli import main as cli
from warmer.cli.exits import EXIT_NO
from warmer.client import default
from warmer.store import Result

PROFILE = WarmingTask(task_id="profile", cache_key="user:{name}", compute_fn=lambda name: name)


def target(name: str) -> str:
    return f'profile{{"name":"{name}"}}'


@pytest.fixture
def fleet(make_warmer, monkeypatch) -> Iterator:
    """The default `Warmer`, as commands and the functions of the package find it."""
    warmer = make_warmer()
    warmer.start()
    warmer.register(PROFILE)
    monkeypatch.setattr(default, "_declared", {})  # by other tests, in this process
    with default.standing_in(warmer, lambda task: False):
        yield warmer


@pytest.fixture
def command(fleet) -> Callable[..., Ran]:
    return lambda *arguments: CliRunner().invoke(cli.main, arguments)


def quarantine(warmer, ref: str, why: str = "SIGSEGV") -> None:
    """Let a target kill its process as often as it takes."""
    for _ in range(3):
        store_of(warmer).requests.submit([ref], force=True)
        batch = claim(store_of(warmer), 1, only=[ref])
        store_of(warmer).refreshes.complete([outcome(ref, batch.token, ("in", 60_000), Result.CRASHED, error=why)])


# --- shown -------------------------------------------------------------------------------------------------------
def test_a_fleet_without_crashes_shows_an_empty_list_and_a_counter_of_zero(fleet):
    stats = get_warming_stats()
    assert stats["quarantined"] == []
    assert stats["incidents"]["crashes"] == 0


def test_statistics_tell_what_is_in_quarantine_since_when_and_why(fleet):
    quarantine(fleet, target("ann"), why="SIGSEGV")
    stats = get_warming_stats()
    (found,) = stats["quarantined"]
    assert (found["name"], found["deaths"], found["error"]) == (target("ann"), 3, "SIGSEGV")
    assert abs(found["since"] - datetime.now(UTC)) < timedelta(seconds=30)
    assert stats["incidents"]["crashes"] == 3


def test_a_task_that_is_quarantined_stands_beside_its_targets(fleet):
    for name in ("ann", "ben", "cid"):
        quarantine(fleet, target(name))
    names = {found.name for found in get_warming_stats().quarantined}
    assert names == {"profile", target("ann"), target("ben"), target("cid")}


def test_the_command_says_what_is_in_quarantine_and_what_to_do(fleet, command):
    quarantine(fleet, target("ann [x]"), why="SIGKILL [b]")
    (line,) = [line for line in command("stats").stdout.splitlines() if "in quarantine" in line]
    assert line.startswith(target("ann [x]"))
    assert "killed 3 processes" in line
    assert "SIGKILL [b]" in line
    advice = shlex.split(line.rpartition("after: ")[2])
    assert advice == ["warmer", "release", target("ann [x]")]
    assert command(*advice[1:]).exit_code == 0
    assert "in quarantine" not in command("stats").stdout


def test_the_command_prints_it_for_scripts(fleet, command):
    quarantine(fleet, target("ann"))
    printed = json.loads(command("stats", "--json").stdout)
    (found,) = printed["quarantined"]
    assert (found["name"], found["deaths"], found["error"]) == (target("ann"), 3, "SIGSEGV")
    assert datetime.fromisoformat(found["since"]).tzinfo is not None
    assert printed["incidents"]["crashes"] == 3


def test_who_asks_for_it_is_told_why_it_is_refused_and_what_lets_it_go(fleet):
    quarantine(fleet, target("ann"))
    with pytest.raises(
        WarmerError, match=r"crashed the processes .* `warmer stats` .* new definition .*`warmer release"
    ):
        fleet.warm("profile", {"name": "ann"})


# --- let go ------------------------------------------------------------------------------------------------------
def test_a_target_that_is_released_is_computed_again(fleet):
    quarantine(fleet, target("ann"))
    assert release_quarantined(target("ann")) == [target("ann")]
    assert get_warming_stats().quarantined == []
    assert refs(claim(store_of(fleet), 9)) == [target("ann")]


def test_a_task_that_is_released_takes_its_targets_along(fleet):
    for name in ("ann", "ben", "cid"):
        quarantine(fleet, target(name))
    assert set(fleet.release_quarantined("profile")) == {"profile", target("ann"), target("ben"), target("cid")}
    assert get_warming_stats().quarantined == []


def test_a_released_target_has_a_drain_asked_for(fleet):
    quarantine(fleet, target("ann"))
    runtime_of(fleet).queue.rq.empty()
    fleet.release_quarantined(target("ann"))
    assert runtime_of(fleet).queue.rq.count == 1


def test_what_is_not_in_quarantine_is_not_released(fleet):
    quarantine(fleet, target("ann"))
    runtime_of(fleet).queue.rq.empty()
    assert fleet.release_quarantined(target("ben")) == []
    assert [found.name for found in get_warming_stats().quarantined] == [target("ann")]
    assert runtime_of(fleet).queue.rq.count == 0
    assert places_of(store_of(fleet), target("ben")) == {}


def test_a_name_that_is_no_text_is_refused(fleet):
    with pytest.raises(InvalidTaskError, match="WarmingTask"):
        fleet.release_quarantined(PROFILE)


def test_the_command_releases_a_task_and_names_all_that_was(fleet, command):
    for name in ("ann", "ben", "cid"):
        quarantine(fleet, target(name))
    ran = command("release", "profile")
    assert ran.exit_code == 0
    released = {"profile", target("ann"), target("ben"), target("cid")}
    assert set(ran.stdout.splitlines()) == {f"released {name}" for name in released}


def test_the_command_says_no_when_nothing_of_that_name_is_in_quarantine(command):
    ran = command("release", "profile")
    assert (ran.exit_code, ran.stdout) == (EXIT_NO, "")
    assert "'profile'" in ran.stderr
