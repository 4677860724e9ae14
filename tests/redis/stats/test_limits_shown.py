"""How much of each limit is used at this moment, as the statistics show it."""

import json
import threading

import pytest
from click.testing import CliRunner

from tests.support.flow import claim, outcome
from tests.support.runtimes import runtime_of, store_of
from warmer import Limit, WarmingTask
from warmer.cli import main as cli
from warmer.client.default import standing_in
from warmer.store import Store

PG, API = Limit(concurrency=4, reserved=0), Limit(rate_per_s=2.5)


@pytest.fixture
def fleet(make_warmer):
    warmer = make_warmer(limits={"pg-main": PG, "api": API})
    warmer.start()
    runtime_of(warmer).background.tick()  # which declares them
    return warmer


def register(warmer, limit: str, count: int, **values: object) -> None:
    for number in range(count):
        task_id = f"{limit}-{number}"
        compute = values.get("compute_fn", lambda: 1)
        warmer.register(WarmingTask(task_id=task_id, cache_key=task_id, compute_fn=compute, limit=limit, critical=True))


def uses_of(warmer) -> dict:
    return {used.name: used for used in warmer.stats().limits}


def test_without_limits_there_is_nothing_to_show(warmer):
    assert warmer.stats()["limits"] == []


def test_limits_that_nobody_uses_stand_there_with_all_their_room(fleet):
    api, pg = fleet.stats().limits
    assert dict(pg) == {
        "name": "pg-main", "concurrency": 4, "in_use": 0, "readers": 0, "rate_per_s": None, "may_begin": None,
    }  # fmt: skip
    assert (api.name, api.concurrency, api.rate_per_s, api.may_begin) == ("api", None, 2.5, 2.5)


def test_what_workers_run_takes_slots_and_gives_them_back(fleet):
    register(fleet, "pg-main", 3)
    batch = claim(store_of(fleet), 2)
    assert uses_of(fleet)["pg-main"].in_use == 2
    store_of(fleet).refreshes.complete([outcome(claimed.ref, batch.token, ("in", 60_000)) for claimed in batch.claims])
    assert uses_of(fleet)["pg-main"].in_use == 0


def test_the_slots_of_a_worker_that_died_are_not_shown_after_their_deadline(fleet, eventually):
    register(fleet, "pg-main", 1)
    soon_dead = Store(fleet.settings.model_copy(update={"claim_timeout_s": 0.3}), runtime_of(fleet).clock)
    claim(soon_dead, 1)
    soon_dead.close()
    assert uses_of(fleet)["pg-main"].in_use == 1
    eventually(lambda: uses_of(fleet)["pg-main"].in_use == 0)


def test_what_begins_takes_from_the_rate_and_it_fills_again(fleet, eventually):
    register(fleet, "api", 2)
    assert len(claim(store_of(fleet), 2).claims) == 2
    assert 0.4 <= uses_of(fleet)["api"].may_begin < 2.5
    eventually(lambda: uses_of(fleet)["api"].may_begin == 2.5)


def test_what_readers_compute_is_shown_apart(fleet, eventually):
    begun, may_end = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        return int(may_end.wait(30))

    register(fleet, "pg-main", 1, compute_fn=load)
    task = runtime_of(fleet).registry.get("pg-main-0")
    reader = threading.Thread(target=fleet.warmed(task))
    reader.start()
    assert begun.wait(10)
    shown = eventually(lambda: uses_of(fleet)["pg-main"].readers == 1 and uses_of(fleet)["pg-main"])
    assert shown.in_use == 0
    may_end.set()
    reader.join()
    eventually(lambda: uses_of(fleet)["pg-main"].readers == 0)


@pytest.mark.parametrize("text", ["", "null", "{", '{"concurrency": "many"}'])
def test_a_limit_that_cannot_be_read_is_shown_as_the_scripts_take_it(fleet, text):
    store_of(fleet).control.hset(store_of(fleet).keys.limits, "pg-main", text)
    assert uses_of(fleet)["pg-main"].concurrency == 1


def test_a_limit_of_a_later_version_is_shown_by_what_is_known_of_it(fleet):
    store_of(fleet).control.hset(store_of(fleet).keys.limits, "pg-main", '{"concurrency": 7, "per_day": 9}')
    assert uses_of(fleet)["pg-main"].concurrency == 7


def test_the_command_shows_them_to_people_and_to_scripts(fleet):
    register(fleet, "pg-main", 1)
    claim(store_of(fleet), 1)
    with standing_in(fleet, lambda task: False):
        shown = CliRunner().invoke(cli.main, ["stats"]).stdout.splitlines()
        printed = json.loads(CliRunner().invoke(cli.main, ["stats", "--json"]).stdout)
    (row,) = [line.split() for line in shown if line.lstrip().startswith("pg-main ")]
    assert row == ["pg-main", "1", "/", "4", "0"]
    (row,) = [line.split() for line in shown if line.lstrip().startswith("api ")]
    assert row == ["api", "0", "0", "2.5", "2.5"]
    assert [limit["name"] for limit in printed["limits"]] == ["api", "pg-main"]
