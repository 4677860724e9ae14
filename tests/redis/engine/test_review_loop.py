"""What the review loop never does, whatever is read, lost or changed meanwhile; by a clock that the tests move."""

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.flow import what_is_left
from tests.support.runtimes import runtime_of, store_of
from warmer.engine.policy_state import PolicyState, budgets_of
from warmer.engine.review_loop import ReviewLoop
from warmer.policy import MAX_LEAD_SHARE
from warmer.policy.budget import ExtraCompute
from warmer.testing import MemoryWarmer

TTL_S = 60.0
STEP_S, TICK_S = 2.0, 2.5
LEAD_S = 8.0
"""The most that a lead comes to in these tests: a tick, a wait of one step, and what computing takes."""


class Shop:
    """Items that are read, and all times at which each was computed.

    Args:
        memory: Where they are cached.
        **options: Of their task.
    """

    def __init__(self, memory: MemoryWarmer, name: str = "item", **options: object) -> None:
        self.memory = memory
        self.computed: list[tuple[int, float]] = []
        self.cost_s = 0.2
        self.while_computing: Callable[[int], object] = lambda n: None
        key = f"{name}:{{n}}"
        self.item = memory.warmed(key, **{"task_id": name, "ttl": TTL_S, "jitter": 0, **options})(self._compute)
        self.task_id = name

    def _compute(self, n: int) -> int:
        self.computed.append((n, self.memory.clock.now_ms() / 1000))
        self.memory.clock.advance(self.cost_s)
        self.while_computing(n)
        return n

    def read(self, *numbers: int) -> None:
        for number in numbers:
            assert self.item(number) == number

    def refreshed(self) -> list[int]:
        """What was computed since the last time."""
        numbers = [number for number, _ in self.computed]
        self.computed.clear()
        return numbers

    def ref(self, number: int) -> str:
        return f'{self.task_id}{{"n":{number}}}'

    def review_at_ms(self, number: int) -> float | None:
        store = store_of(self.memory)
        return store.control.zscore(store.keys.reviews, self.ref(number))

    def pass_time(self, seconds: float, *read: int, step_s: float = STEP_S) -> None:
        """Let time pass, in which these are read at each step, and warming goes on."""
        for _ in range(round(seconds / step_s)):
            self.memory.clock.advance(step_s)
            self.read(*read)
            self.memory.drain()


@pytest.fixture
def memory() -> Iterator[MemoryWarmer]:
    memory = MemoryWarmer(tick_s=TICK_S)
    yield memory
    memory.close()


@pytest.fixture
def shop(memory: MemoryWarmer) -> Shop:
    return Shop(memory)


def reviews(memory: MemoryWarmer) -> int:
    return store_of(memory).control.zcard(store_of(memory).keys.reviews)


def remembered(memory: MemoryWarmer) -> dict[bytes, bytes]:
    """All that the review loop has written: what it has learnt, decided and planned."""
    control, keys = store_of(memory).control, store_of(memory).keys
    written = dict(control.hgetall(keys.policy_state))
    for bucket in control.scan_iter(f"{keys.history_buckets}*"):
        written[bucket] = control.get(bucket)
    written |= dict(control.zrange(keys.reviews, 0, -1, withscores=True))
    return written


# --- once within a ttl -------------------------------------------------------------------------------------------
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "read", "work", "invalidate", "force"]), st.integers(0, 3), st.floats(0, 40)
    ),
    min_size=20,
    max_size=60,
)


@given(STEPS)
@settings(max_examples=10, deadline=None)
def test_nothing_is_computed_twice_within_a_ttl_but_for_the_lead_without_a_cause(steps):
    memory = MemoryWarmer(tick_s=TICK_S)
    shop, has_cause = Shop(memory), set()
    valid_since: dict[int, float] = {}
    for what, number, pause_s in steps:
        memory.clock.advance(pause_s)
        if what == "read":
            shop.read(number)
        elif what == "invalidate":
            shop.item.invalidate(number)
            has_cause.add(number)
        elif what == "force":
            shop.item.warm(number, force=True)
            has_cause.add(number)
        memory.drain()
        for computed, at_s in shop.computed:
            early_s = valid_since.get(computed, 0.0) + (1 - MAX_LEAD_SHARE) * TTL_S - at_s
            assert early_s <= 0.002 or computed in has_cause, f"{computed} was computed {early_s} s too early"
            has_cause.discard(computed)
            valid_since[computed] = at_s
        shop.computed.clear()
    memory.close()


def test_a_target_that_is_always_read_is_refreshed_once_in_a_ttl_but_for_the_lead(shop):
    shop.pass_time(8 * TTL_S, 1)
    gaps_s = [later - at for (_, at), (_, later) in zip(shop.computed, shop.computed[1:], strict=False)]
    assert len(gaps_s) >= 7
    assert all(TTL_S - LEAD_S <= gap_s <= TTL_S for gap_s in gaps_s), gaps_s
    assert store_of(shop.memory).stats.totals()["misses"] == 1


def test_a_changed_definition_is_a_cause(memory, shop):
    shop.pass_time(4 * TTL_S, 1)
    shop.refreshed()
    changed = Shop(memory, ttl=2 * TTL_S)
    memory.drain()
    changed.pass_time(8 * TTL_S, 1)
    gaps_s = [later - at for (_, at), (_, later) in zip(changed.computed, changed.computed[1:], strict=False)]
    assert changed.computed
    assert all(2 * TTL_S - 4 <= gap_s <= 2 * TTL_S for gap_s in gaps_s), gaps_s


def test_who_missed_while_another_computed_has_nothing_refreshed_again(memory, shop):
    shop.read(1)
    memory.drain()
    waited = (shop.ref(1), "item:1", 0, 1, [], 0, memory.clock.now_ms() - 200, memory.clock.now_ms() - 200)
    store_of(memory).reads.flush("another process", 1, [waited])
    shop.pass_time(TTL_S / 2, 1)
    assert shop.refreshed() == [1]


# --- letting go --------------------------------------------------------------------------------------------------
def test_a_target_that_nobody_reads_is_let_go_and_nothing_waits_for_it(memory, shop):
    shop.read(*range(20))
    memory.drain()
    assert reviews(memory) == 20
    shop.pass_time(260 * TTL_S, step_s=2 * TTL_S)
    assert reviews(memory) == 0
    assert what_is_left(store_of(memory)) == {}
    assert max(Counter(shop.refreshed()).values()) <= 3, "few refreshes are wasted on what nobody reads"


def test_the_longer_nobody_reads_the_fewer_reviews_there_are(memory, shop):
    shop.read(1)
    memory.drain()
    planned = set()
    for _ in range(260):
        memory.clock.advance(TTL_S)
        memory.drain()
        planned.add(shop.review_at_ms(1))
    assert None in planned
    assert len(planned) <= 12, "each time four times as long as before"


def test_a_target_that_was_let_go_comes_back_when_it_is_read(memory, shop):
    shop.read(1)
    memory.drain()
    shop.pass_time(300 * TTL_S, step_s=10 * TTL_S)
    assert shop.review_at_ms(1) is None
    shop.refreshed()
    shop.pass_time(5 * TTL_S, 1)
    assert shop.review_at_ms(1) is not None
    assert len(shop.refreshed()) >= 5
    assert store_of(memory).stats.totals()["misses"] == 2


# --- critical ones, and the switch -------------------------------------------------------------------------------
def test_critical_ones_are_kept_warm_whatever_is_read(memory):
    computed = []

    @memory.warmed("news", ttl=TTL_S, critical=True, jitter=0)
    def news() -> str:
        computed.append(memory.clock.now_ms())
        return "news"

    for _ in range(300):
        memory.clock.advance(2)
        memory.drain()
    assert 10 <= len(computed) <= 12
    assert memory.get("news") == "news"
    assert reviews(memory) == 0
    assert store_of(memory).control.hgetall(store_of(memory).keys.accounts) == {}, "nobody's account pays for it"


def test_while_warming_is_off_nothing_is_refreshed_and_afterwards_all_goes_on(memory, shop):
    shop.pass_time(2 * TTL_S, 1)
    memory.stop()
    shop.refreshed()
    memory.drain()
    before = store_of(memory).stats.totals().get("warmings", 0)
    shop.pass_time(5 * TTL_S, 1)
    assert store_of(memory).stats.totals()["warmings"] == before
    assert len(shop.refreshed()) == 5, "readers compute what they miss"
    memory.start()
    misses = store_of(memory).stats.totals()["misses"]
    shop.pass_time(TTL_S, 1)
    shop.pass_time(5 * TTL_S, 1)
    assert store_of(memory).stats.totals()["warmings"] >= before + 5
    assert store_of(memory).stats.totals()["misses"] <= misses + 1


# --- leaders -----------------------------------------------------------------------------------------------------
def let_come_due(shop: Shop, *numbers: int) -> None:
    """Have these popular, and to be reviewed now; none of it was reviewed yet."""
    shop.pass_time(0.9 * TTL_S, *numbers)
    runtime_of(shop.memory).background.tick()
    shop.memory.clock.advance(0.15 * TTL_S)
    shop.refreshed()


def test_who_loses_the_lead_while_deciding_writes_nothing(memory, shop, monkeypatch):
    store = store_of(memory)
    let_come_due(shop, 1, 2, 3)
    store.fleet.lead("one", 10)
    loop, due = ReviewLoop(store, memory.settings, "one"), store.reviews.due

    def agenda_and_lose_the_lead(token, limit):
        found = due(token, limit)
        store.control.set(store.keys.leader, "other")
        return found

    before = remembered(memory)
    monkeypatch.setattr(store.reviews, "due", agenda_and_lose_the_lead)
    assert loop.run() == 0
    assert remembered(memory) == before
    assert what_is_left(store) == {"reviews": 3}
    monkeypatch.undo()
    assert loop.run() == 0, "it does not lead"
    assert remembered(memory) == before
    assert ReviewLoop(store, memory.settings, "other").run() == 3


def test_two_review_loops_refresh_each_target_once_and_the_second_knows_what_the_first_has_learnt(memory, shop):
    store = store_of(memory)
    let_come_due(shop, 1, 2, 3)
    one, other = (ReviewLoop(store, memory.settings, token) for token in ("one", "other"))
    store.fleet.resign("the test")
    assert store.fleet.lead("one", 10)
    assert (other.run(), one.run(), other.run()) == (0, 3, 0)
    store.fleet.resign("one")
    assert store.fleet.lead("other", 10)
    kept = store.control.hgetall(store.keys.policy_state)
    assert kept
    assert (one.run(), other.run()) == (0, 0)
    assert store.control.hget(store.keys.policy_state, "model") == kept[b"model"]
    store.fleet.resign("other")
    memory.drain()
    assert sorted(shop.refreshed()) == [1, 2, 3]


def test_a_decision_whose_reply_is_lost_is_carried_out_once(memory, shop, monkeypatch):
    store = store_of(memory)
    let_come_due(shop, 1, 2, 3)
    store.fleet.lead("the test", 10)
    decide = store.reviews.decide

    def decide_and_lose_the_reply(*given):
        decide(*given)
        raise RedisConnectionError("the reply was lost")

    monkeypatch.setattr(store.reviews, "decide", decide_and_lose_the_reply)
    loop = ReviewLoop(store, memory.settings, "the test")
    with pytest.raises(RedisConnectionError):
        loop.run()
    monkeypatch.undo()
    assert loop.run() == 0
    memory.drain()
    assert sorted(shop.refreshed()) == [1, 2, 3]


def test_what_a_leader_did_not_come_to_carry_out_is_decided_by_the_next(memory, shop, monkeypatch):
    store = store_of(memory)
    let_come_due(shop, 1, 2, 3)
    store.fleet.lead("the test", 10)
    before = remembered(memory)

    def crash(*given):
        raise RedisConnectionError("it crashed")

    monkeypatch.setattr(store.reviews, "decide", crash)
    with pytest.raises(RedisConnectionError):
        ReviewLoop(store, memory.settings, "the test").run()
    monkeypatch.undo()
    assert remembered(memory) == before
    assert ReviewLoop(store, memory.settings, "the test").run() == 3
    memory.drain()
    assert sorted(shop.refreshed()) == [1, 2, 3]


def test_a_target_that_was_missed_while_it_was_decided_on_keeps_its_new_place(memory, shop, monkeypatch):
    store = store_of(memory)
    let_come_due(shop, 1)
    memory.clock.advance(1)
    store.fleet.lead("the test", 10)
    decide = store.reviews.decide

    def decide_after_a_miss(*given):
        shop.read(1)
        runtime_of(memory).background.tick()
        return decide(*given)

    monkeypatch.setattr(store.reviews, "decide", decide_after_a_miss)
    assert ReviewLoop(store, memory.settings, "the test").run() == 0
    assert shop.review_at_ms(1) > memory.clock.now_ms() + 50_000
    assert what_is_left(store) == {"reviews": 1}


# --- what is lost or changed -------------------------------------------------------------------------------------
def test_when_redis_was_emptied_warming_begins_anew_with_what_was_learnt(memory, shop):
    shop.pass_time(4 * TTL_S, 1, 2)
    learnt = store_of(memory).control.hget(store_of(memory).keys.policy_state, "model")
    store_of(memory).control.flushall()
    shop.pass_time(TTL_S, 1, 2)
    shop.refreshed()
    shop.pass_time(4 * TTL_S, 1, 2)
    assert Counter(shop.refreshed()).keys() == {1, 2}
    assert store_of(memory).stats.totals()["misses"] == 2
    assert learnt
    assert store_of(memory).control.hget(store_of(memory).keys.policy_state, "model")


def test_a_saved_state_that_cannot_be_read_is_learnt_again(memory, shop, caplog):
    store = store_of(memory)
    shop.pass_time(2 * TTL_S, 1)
    for field in store.control.hkeys(store.keys.policy_state):
        store.control.hset(store.keys.policy_state, field, b"12")
    runtime_of(memory).review_loop = ReviewLoop(store, memory.settings, "the test")
    shop.pass_time(5 * TTL_S, 1)
    assert "learned again" in caplog.text
    assert store.stats.totals()["misses"] == 1


def test_targets_of_a_task_that_is_gone_are_let_go(memory, shop):
    shop.pass_time(2 * TTL_S, 1, 2, 3)
    assert reviews(memory) == 3
    memory.unregister("item")
    memory.clock.advance(2 * TTL_S)
    store_of(memory).fleet.lead("the test", 10)
    runtime_of(memory).review_loop.run()
    assert reviews(memory) == 0
    assert what_is_left(store_of(memory)) == {}


# --- budgets -----------------------------------------------------------------------------------------------------
def thresholds_beside(reads_of_the_fleet: int) -> tuple[float, float]:
    """Thresholds of the fleet and of a task with a budget of its own, after so many reads per step of other tasks."""
    memory = MemoryWarmer(tick_s=TICK_S)
    fleets, own, luck = Shop(memory, "fleets"), Shop(memory, "own", extra_compute=0.5), random.Random(5)
    fleets.cost_s = 0.0
    for step in range(200):
        memory.clock.advance(STEP_S)
        own.read(*(number for number in range(8) if step % (5 + 7 * number) == 0))
        fleets.read(*(luck.randrange(40) for _ in range(reads_of_the_fleet)))
        memory.drain()
    memory.clock.advance(12)  # what was learnt is kept by then
    memory.drain()
    accounts = store_of(memory).reviews.due("the test", 1).accounts
    assert accounts["own"]["reads"] > 90
    assert accounts.get("", {}).get("reads", 0) == 200 * reads_of_the_fleet
    policy_state = PolicyState(store_of(memory).targets.states([]).policy_state)
    policy_state.set_budgets(budgets_of(store_of(memory), memory.settings, ["own"]))
    memory.close()
    return policy_state.threshold_of(None).log_odds, policy_state.threshold_of("own").log_odds


def test_the_threshold_of_a_task_with_a_budget_of_its_own_does_not_move_with_the_fleets():
    (alone, own_alone), (busy, own_beside) = thresholds_beside(0), thresholds_beside(2)
    assert alone == ExtraCompute(0.25).typical_log_odds != busy
    assert own_alone != ExtraCompute(0.5).typical_log_odds
    assert own_beside == pytest.approx(own_alone, abs=0.05)


# --- late ones ---------------------------------------------------------------------------------------------------
def test_the_lead_grows_with_what_computations_take_and_no_reader_misses_then(memory, shop):
    reader, missed = MemoryWarmer(clock=memory.clock, redis_url=memory.settings.redis_url), []

    def read_meanwhile(number):
        if reader.get(f"item:{number}") is None:
            missed.append(memory.clock.now_ms())

    shop.read(1)
    shop.cost_s, shop.while_computing = 10.0, read_meanwhile
    shop.pass_time(10 * TTL_S, 1)
    assert len(missed) == store_of(memory).stats.totals()["late"] == 1, "the first one that was slow"
    assert len(shop.computed) > 8
    reader.close()


def test_the_lead_grows_while_workers_are_held_back_and_no_reader_misses_then():
    memory = MemoryWarmer(tick_s=TICK_S, extra_compute=2.0)  # refreshing early costs more
    shop, store = Shop(memory), store_of(memory)
    shop.pass_time(TTL_S / 2, 1)
    misses = []
    for _ in range(400):
        shop.read(1)
        runtime_of(memory).background.tick()
        store.fleet.lead("the test", 3600)
        runtime_of(memory).review_loop.run()
        store.refreshes.tick()
        memory.clock.advance(STEP_S)
        ready = store.control.zrange(store.keys.scheduled_queue + "item", 0, 0, withscores=True)
        if ready and memory.clock.now_ms() - ready[0][1] > 15_000:  # no worker comes sooner
            memory.drain()
        misses.append(store.stats.totals()["misses"])
    assert misses[-1] == misses[150] <= 5, "once it is known how long workers take, every refresh comes in time"
    assert store.stats.totals()["misses_late"] == misses[-1] - 1
    assert store.stats.totals()["warmings"] >= 8
    memory.close()


def test_while_warming_is_off_nobody_waits_and_no_lead_grows(memory, shop):
    shop.pass_time(3 * TTL_S, 1)
    stats = store_of(memory).keys.stats + "item"
    wait_ms = int(store_of(memory).control.hget(stats, "wait_ms"))
    memory.stop()
    shop.pass_time(4 * TTL_S, 1)
    assert int(store_of(memory).control.hget(stats, "wait_ms")) == wait_ms
