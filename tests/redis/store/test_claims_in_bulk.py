"""Many claims at once: taken, renewed, finished, given back and lapsed in few calls, each target as if alone."""

import pytest

from tests.support.flow import (
    claim,
    complete,
    let_all_be_due,
    outcome,
    places_of,
    refs,
    server_ms,
    what_is_left,
    work_off,
)
from tests.support.leases import around_scripts, hold_lease, lease_of
from tests.support.runtimes import runtime_of, store_of
from warmer import Limit, WarmingTask
from warmer.engine.claims import computed_here
from warmer.refresh.refreshed import Computed, Refreshed
from warmer.store import Capacity, Result

MANY = 10_000
"""More than one command takes in a script, where Lua's stack holds 8,000."""


@pytest.fixture
def running(warmer):
    warmer.start()
    return warmer


def register(warmer, **values: object) -> None:
    defaults = {"task_id": "profile", "cache_key": "user:{n}", "compute_fn": lambda n: n, "ttl": 60}
    warmer.register(WarmingTask(**{**defaults, **values}))


def targets(count: int) -> list[str]:
    return [f'profile{{"n":{number}}}' for number in range(count)]


def make_ready(store, wanted: list[str]) -> None:
    now_ms = server_ms(store)
    for first in range(0, len(wanted), 5000):
        store.control.zadd(store.keys.due, dict.fromkeys(wanted[first : first + 5000], now_ms))
    while store.refreshes.tick().more:
        pass


def claim_many(store, count: int, life: str) -> list[str]:
    """Claim so many, as one drain does over time; returns their tokens."""
    tokens, left = [], count
    while left > 0:
        batch = claim(store, min(left, 500), drain_id=life)
        assert batch.claims
        tokens.append(batch.token)
        left -= len(batch.claims)
    return tokens


def publish(warmer, works) -> list[Refreshed]:
    """Compute what was claimed here, and publish it."""
    return runtime_of(warmer).claims.publish(works, list(map(computed_here, works)))


def results(ended) -> dict[str, Result]:
    return {one.ref: one.result for one in ended}


# --- many -----------------------------------------------------------------------------------------------------------
def test_a_claim_of_many_takes_each_once_and_in_order(running):
    register(running)
    make_ready(store_of(running), targets(1200))
    first, second = claim(store_of(running), 500), claim(store_of(running), 900)
    assert (len(first.claims), len(second.claims)) == (500, 700)
    assert set(refs(first)).isdisjoint(refs(second))
    assert [one.due_ms for one in first.claims] == sorted(one.due_ms for one in first.claims)
    assert store_of(running).control.zcard(store_of(running).keys.claims) == 1200
    assert store_of(running).control.hlen(store_of(running).keys.claim_records) == 1200


@pytest.mark.parametrize("limit", [None, "db"])
def test_a_process_with_very_many_claims_gives_them_all_up_when_it_dies(make_warmer, limit):
    running = make_warmer(limits={"db": Limit(concurrency=1_000_000)})
    running.start()
    store_of(running).control.hset(store_of(running).keys.limits, "db", Limit(concurrency=1_000_000).to_json())
    register(running, limit=limit)
    make_ready(store_of(running), targets(MANY + 10))
    claim_many(store_of(running), MANY, "dead")
    survivor = claim(store_of(running), 10, drain_id="alive")
    assert len(store_of(running).refreshes.lapse("dead")) == MANY
    assert store_of(running).targets.backlog() == MANY
    assert sorted(store_of(running).control.zrange(store_of(running).keys.claims, 0, -1)) == sorted(
        one.ref.encode() for one in survivor.claims
    )
    assert store_of(running).refreshes.lapse("dead") == []


def test_a_life_without_a_name_gives_nothing_up(running):
    register(running)
    make_ready(store_of(running), targets(3))
    claim(store_of(running), 3)
    assert store_of(running).refreshes.lapse("") == []


def test_very_many_claims_that_lapse_are_ready_again_after_a_few_ticks(running):
    register(running)
    make_ready(store_of(running), targets(MANY))
    claim_many(store_of(running), MANY, "")
    keys, control = store_of(running).keys, store_of(running).control
    control.zunionstore(keys.claims, {keys.claims: 0})
    lapsed = store_of(running).refreshes.tick().lapsed
    while (report := store_of(running).refreshes.tick()).more:
        lapsed += report.lapsed
    assert lapsed + report.lapsed == MANY
    assert store_of(running).targets.backlog() == MANY
    assert (control.zcard(keys.claims), control.hlen(keys.claim_records)) == (0, 0)


def test_very_many_claims_of_one_token_are_renewed_and_given_back(running):
    register(running)
    batched = "0 o t 1000 0 60000 f "
    store_of(running).control.hset(store_of(running).keys.task_specs, "profile", batched)
    make_ready(store_of(running), targets(MANY))
    batch = claim(store_of(running), 500)
    token = batch.token
    held = refs(batch)
    for ref in set(targets(MANY)) - set(held):  # as if one claim had taken them all
        store_of(running).control.hset(store_of(running).keys.claim_records, ref, f"{token}|1600000000000|s||")
        store_of(running).control.zadd(store_of(running).keys.claims, {ref: server_ms(store_of(running)) + 1000})
        store_of(running).control.zrem(store_of(running).keys.scheduled_queue + "profile", ref)
    assert store_of(running).refreshes.renew_claims(token, targets(MANY)) == []
    assert store_of(running).refreshes.give_back(targets(MANY), token) == MANY
    assert store_of(running).targets.backlog() == MANY


def test_very_many_requests_are_answered(running):
    register(running)
    assert store_of(running).requests.submit(targets(MANY), force=True) == ["asked"] * MANY
    assert store_of(running).targets.backlog() == MANY
    assert int(store_of(running).control.hget(store_of(running).keys.queue_counters, "on_demand")) == MANY


def test_very_many_outcomes_are_recorded(running):
    register(running)
    make_ready(store_of(running), targets(MANY))
    done = []
    while (batch := claim(store_of(running), 500)).claims:
        done += [outcome(one.ref, batch.token, ("in", 60_000), duration_ms=2.0) for one in batch.claims]
    assert store_of(running).refreshes.complete(done).lost == ()
    assert store_of(running).stats.totals()["warmings"] == MANY
    assert store_of(running).control.zcard(store_of(running).keys.due) == MANY


# --- mixed ----------------------------------------------------------------------------------------------------------
def test_outcomes_of_all_sorts_are_each_recorded_as_if_alone(running):
    register(running)
    refs_of = targets(8)
    store_of(running).requests.submit(refs_of, force=True, watcher="me", watch_s=60)
    batch = claim(store_of(running), 8)
    token, now_ms = batch.token, batch.now_ms
    store_of(running).refreshes.give_back([refs_of[6]], token)
    store_of(running).requests.submit([refs_of[7]], force=True)
    done = store_of(running).refreshes.complete(
        [
            outcome(refs_of[0], token, ("at", now_ms + 60_000), duration_ms=10.0),
            outcome(refs_of[1], token, ("in", 50_000), Result.FAILED, error="boom"),
            outcome(refs_of[2], token, ("in", 40_000), Result.BUSY),
            outcome(refs_of[3], token, ("in", 0), Result.LOST),
            outcome(refs_of[4], token, ("never", 0), Result.FRESH),
            outcome(refs_of[5], "another's", ("never", 0)),
            outcome(refs_of[6], token, ("never", 0)),
            outcome(refs_of[7], token, ("in", 60_000), duration_ms=30.0),
        ]
    )
    assert set(done.lost) == {refs_of[5], refs_of[6]}
    assert [list(places_of(store_of(running), ref)) for ref in refs_of] == [
        ["due"],
        ["due"],
        ["asked"],
        ["asked"],
        [],
        ["claimed"],
        ["asked"],
        ["asked"],
    ]
    told = {one["ref"]: one["result"] for one in store_of(running).requests.next_outcomes("me", 20, 1)}
    assert told == {refs_of[0]: "published", refs_of[1]: "failed", refs_of[4]: "fresh"}
    totals = store_of(running).stats.totals()
    assert (totals["warmings"], totals["failed"], totals["lost_leases"]) == (2, 1, 1)
    assert (totals["total_ms"], totals["fastest_ms"], totals["slowest_ms"]) == (40.0, 10.0, 30.0)
    assert int(store_of(running).control.hget(store_of(running).keys.queue_counters, "on_demand")) == 4


def test_statistics_of_several_tasks_are_kept_apart(running):
    register(running)
    running.register(WarmingTask(task_id="other", cache_key="other", compute_fn=lambda: 1))
    make_ready(store_of(running), targets(3))
    batch = claim(store_of(running), 9)
    durations = {"profile": 20.0, "other": 5.0}
    store_of(running).refreshes.complete(
        [outcome(ref, batch.token, ("in", 60_000), duration_ms=durations[ref.partition("{")[0]]) for ref in refs(batch)]
    )
    profile, other = store_of(running).stats.of_tasks(["profile", "other"])
    assert (profile["warmings"], float(profile["slowest_ms"]), float(profile["p95_ms"])) == ("3", 20.0, 20.0)
    assert (other["warmings"], float(other["slowest_ms"]), float(other["p95_ms"])) == ("1", 5.0, 5.0)


def test_giving_back_says_how_many_were_still_held(running):
    register(running)
    make_ready(store_of(running), targets(5))
    batch = claim(store_of(running), 5)
    complete(store_of(running), outcome(targets(5)[0], batch.token, ("never", 0)))
    assert store_of(running).refreshes.give_back(targets(5), batch.token) == 4
    assert store_of(running).refreshes.give_back(targets(5), batch.token) == 0
    assert sorted(refs(claim(store_of(running), 9))) == targets(5)[1:]


def test_a_claim_that_was_asked_for_and_lapsed_still_does_what_it_was_due_for(running):
    register(running)
    make_ready(store_of(running), targets(1))
    (found,) = claim(store_of(running), 1, drain_id="dead").claims
    assert found.fresh_ok is False
    store_of(running).requests.submit(targets(1), force=False)
    store_of(running).refreshes.lapse("dead")
    (again,) = claim(store_of(running), 1).claims
    assert again.fresh_ok is False, "a value that was about to be renewed will not do"


# --- take and finish ------------------------------------------------------------------------------------------------
def test_many_are_taken_and_finished_in_a_handful_of_calls(running, monkeypatch):
    register(running)
    make_ready(store_of(running), targets(300))
    names: list[str] = []

    def note(name, run):
        names.append(name)
        return run()

    around_scripts(monkeypatch, note)
    taken = runtime_of(running).claims.take(Capacity(threads=300))
    assert len(taken.works) == taken.claimed == 300
    ended = publish(running, taken.works)
    assert set(results(ended).values()) == {Result.PUBLISHED}
    assert names == ["claim", "take_lease", "publish", "complete"]
    assert [running.get(f"user:{number}") for number in range(300)] == list(range(300))


def test_what_is_fresh_already_costs_no_call_of_its_own(running, monkeypatch):
    register(running)
    make_ready(store_of(running), targets(300))
    publish(running, runtime_of(running).claims.take(Capacity(threads=300)).works)
    store_of(running).requests.submit(targets(300), force=False)
    names: list[str] = []

    def note(name, run):
        names.append(name)
        return run()

    around_scripts(monkeypatch, note)
    taken = runtime_of(running).claims.take(Capacity(threads=300))
    assert set(results(taken.ended).values()) == {Result.FRESH}
    assert names == ["claim", "take_lease", "release_lease", "complete"]
    assert store_of(running).entries.take_lease("user:0", "another").taken


def test_each_of_many_ends_as_it_would_alone(running, make_warmer):
    register(running)
    make_warmer().set("user:0", 0, ttl=60)
    hold_lease(running, "user:1")
    store_of(running).requests.submit(targets(6), force=False)
    taken = runtime_of(running).claims.take(Capacity(threads=6))
    assert results(taken.ended) == {targets(6)[0]: Result.FRESH, targets(6)[1]: Result.BUSY}
    assert [work.ref for work in taken.works] == targets(6)[2:]
    running.invalidate("user:2")
    boom = Computed(error=ValueError("boom"), duration_s=0.1)
    crash = Computed(duration_s=0.1, crashed="signal 11")
    lost, _, _, last = taken.works
    ended = runtime_of(running).claims.publish(taken.works, [computed_here(lost), boom, crash, computed_here(last)])
    assert list(results(ended).values()) == [Result.LOST, Result.FAILED, Result.CRASHED, Result.PUBLISHED]
    assert [running.get(f"user:{number}", "missed") for number in range(6)] == [0, *["missed"] * 4, 5]
    assert store_of(running).control.zcard(store_of(running).keys.claims) == 0
    for number in (0, 2, 3, 4, 5):
        assert lease_of(running, f"user:{number}") is None


def test_what_nobody_here_knows_or_wants_is_given_back_at_once(running, make_warmer):
    register(running)
    make_warmer().register(WarmingTask(task_id="theirs", cache_key="theirs", compute_fn=lambda: 1))
    make_ready(store_of(running), targets(3))
    taken = runtime_of(running).claims.take(Capacity(threads=9), is_wanted=lambda ref: ref != targets(3)[1])
    assert [work.ref for work in taken.works] == [targets(3)[0], targets(3)[2]]
    assert taken.unknown_ids == {"theirs"}
    assert taken.claimed == 4
    assert list(places_of(store_of(running), "theirs")) == ["ready"]
    assert list(places_of(store_of(running), targets(3)[1])) == ["ready"]
    assert [lease_of(running, key) for key in ("theirs", "user:1")] == [None, None]


def test_what_is_given_back_by_the_drain_can_be_taken_by_another_at_once(running, make_warmer):
    register(running)
    other = make_warmer()
    register(other)
    make_ready(store_of(running), targets(50))
    claims = runtime_of(running).claims
    taken = [*claims.take(Capacity(threads=20)).works, *claims.take(Capacity(threads=20)).works]
    claims.give_back(taken)
    assert len(runtime_of(other).claims.take(Capacity(threads=99)).works) == 50


def test_what_is_given_up_is_a_failure_and_whatever_it_still_computes_is_lost(running):
    register(running)
    make_ready(store_of(running), targets(3))
    works = runtime_of(running).claims.take(Capacity(threads=3)).works
    ended = runtime_of(running).claims.give_up(works, "took too long", 1000.0)
    assert set(results(ended).values()) == {Result.FAILED}
    assert store_of(running).stats.totals()["failed"] == 3
    late = publish(running, works)
    assert set(results(late).values()) == {Result.LOST}
    assert running.get("user:0", "missed") == "missed"
    assert all(list(places_of(store_of(running), ref)) == ["due"] for ref in targets(3))


def test_claims_of_several_tokens_are_renewed_and_the_lost_ones_named(running):
    register(running)
    make_ready(store_of(running), targets(6))
    claims = runtime_of(running).claims
    first, second = claims.take(Capacity(threads=3)).works, claims.take(Capacity(threads=3)).works
    store_of(running).refreshes.give_back([second[0].ref], second[0].token)
    assert claims.renew([*first, *second]) == [second[0].ref]


def test_all_of_a_drain_is_refreshed_and_planned(running):
    register(running, critical=False)
    store_of(running).requests.submit(targets(40), force=True)
    assert work_off(running) == [Result.PUBLISHED] * 40
    let_all_be_due(store_of(running))
    assert set(what_is_left(store_of(running))) <= {"fresh_ok", "reviews"}
