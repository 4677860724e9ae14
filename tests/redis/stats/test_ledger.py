"""The ledger: each counter is what a plain model of caches and refreshes counts on the same events."""

from dataclasses import dataclass
from secrets import token_hex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.flow import claim, complete, outcome, server_ms
from tests.support.runtimes import store_of
from warmer import WarmingTask
from warmer.codec.entry import Header, Origin
from warmer.refresh.read_counter import ReadCounter
from warmer.store import Result, ReviewDecision
from warmer.tasks.switch import Switch

TTL_MS = 60_000
EPOCH_MS = 1_577_836_800_000
REF = 't{"n":1}'


def register(warmer, task_id: str = "t", **values: object) -> None:
    given = {"cache_key": task_id + ":{n}", "compute_fn": lambda n=0: n, "ttl": TTL_MS / 1000, "jitter": 0}
    warmer.register(WarmingTask(task_id=task_id, **{**given, **values}))


def counters(warmer, task_id: str = "t") -> dict[str, float]:
    (found,) = store_of(warmer).stats.of_tasks([task_id])
    return {name: float(value) for name, value in found.items() if name != "last_error"}


def ledger(warmer, task_id: str = "t"):
    return next(task for task in warmer.stats().task_details if task.task_id == task_id)


class Flushes:
    """Sends batches of reads, each under a number of its own."""

    def __init__(self, warmer) -> None:
        self._store = store_of(warmer)
        self.number = 0

    def __call__(self, *reads) -> None:
        self.number += 1
        assert self._store.reads.flush("reader", self.number, reads)

    def misses(self, ref: str = REF, count: int = 1, at_ms: int = 0) -> None:
        self((ref, "", 0, count, [], 0, at_ms, at_ms))

    def hits(self, ref: str = REF, count: int = 1, at_ms: int = 0) -> None:
        self((ref, "", count, 0, [], 0, at_ms, at_ms))


@pytest.fixture
def flush(warmer) -> Flushes:
    return Flushes(warmer)


def published(warmer, ref: str = REF, fresh_until_ms: int = 0, token: str = "", **values: object) -> None:
    given = {"origin": "miss", "duration_ms": 100.0, "fresh_until_ms": fresh_until_ms, **values}
    assert complete(store_of(warmer), outcome(ref, token, ("never", 0), **given))


# --- against a brute-force model ---------------------------------------------------------------------------------
@dataclass
class Value:
    """What is cached of a target."""

    computed_at_ms: int
    fresh_until_ms: int
    previous_until_ms: int
    is_warm: bool


class Model:
    """Caches one task's targets, and a plain cache beside it, one event after the other, without any shortcut."""

    def __init__(self) -> None:
        self.values: dict[int, Value] = {}
        self.plain_until_ms: dict[int, int] = {}
        self.cost_ms: dict[int, float] = {}
        self.is_known: set[int] = set()
        self.unpaid: set[int] = set()
        self.unread: dict[tuple[int, int], int] = {}
        self.sums = dict.fromkeys(
            ("hits", "misses", "awaited", "baseline_misses", "baseline_ms", "miss_ms", "warm_ms", "useful", "saved_ms"),
            0.0,
        )
        self.computed = 0

    def mean_ms(self) -> float:
        return (self.sums["miss_ms"] + self.sums["warm_ms"]) / self.computed if self.computed else 0.0

    def read(self, n: int, at_ms: int, count: int) -> bool:
        """Read in one batch; returns whether it hit."""
        value = self.values.get(n)
        is_hit = value is not None and at_ms < value.fresh_until_ms
        self.sums["hits" if is_hit else "misses"] += count
        self.sums["awaited"] += not is_hit
        self.is_known.add(n)
        if at_ms >= self.plain_until_ms.get(n, 0):
            self.plain_until_ms[n] = at_ms + TTL_MS
            self.sums["baseline_misses"] += 1
            if is_hit and n not in self.cost_ms:
                self.cost_ms[n] = self.mean_ms()
            if n in self.cost_ms:
                self.sums["baseline_ms"] += self.cost_ms[n]
            else:
                self.unpaid.add(n)
        if is_hit and value.is_warm and at_ms >= max(value.previous_until_ms, value.computed_at_ms):
            self.use(n, value)
        return is_hit

    def use(self, n: int, value: Value) -> None:
        if self.unread.pop((n, value.computed_at_ms), None) is not None:
            self.sums["useful"] += 1
            self.sums["saved_ms"] += self.cost_ms.get(n) or self.mean_ms()

    def publish(self, n: int, at_ms: int, cost_ms: float, is_warm: bool) -> Value:
        previous = self.values.get(n)
        value = Value(at_ms, at_ms + TTL_MS, previous.fresh_until_ms if previous else 0, is_warm)
        self.values[n] = value
        self.computed += 1
        self.sums["warm_ms" if is_warm else "miss_ms"] += cost_ms
        if n in self.is_known:
            if n in self.unpaid:
                self.sums["baseline_ms"] += cost_ms
                self.unpaid.discard(n)
            self.cost_ms[n] = cost_ms
        if is_warm:
            self.unread[n, at_ms] = 1
        return value

    def expected(self) -> dict[str, float]:
        """What is counted once the last refresh has been judged."""
        wasted_ms = sum(self.cost_ms.get(n) or self.mean_ms() for n, _ in self.unread)
        return {**self.sums, "wasted": len(self.unread), "wasted_ms": wasted_ms}


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "read", "refresh"]),
        st.integers(0, 2),  # target
        st.sampled_from([TTL_MS, TTL_MS // 2]) | st.integers(1, 90_000),  # ms since the last event
        st.integers(1, 5),  # reads
        st.integers(1, 4000),  # ms that a computation takes
    ),
    min_size=1,
    max_size=25,
)


@given(EVENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_ledger_is_that_of_a_plain_model_on_the_same_events(warmer, flush, events):
    task_id, model = f"t{token_hex(6)}", Model()
    register(warmer, task_id)
    store, fleet_before = store_of(warmer), store_of(warmer).stats.totals()
    account_before = store.stats.accounts().get("", {})
    at_ms = server_ms(store) - sum(event[2] for event in events) - 3 * TTL_MS

    def publish(n: int, cost_ms: float, is_warm: bool) -> None:
        value = model.publish(n, at_ms, cost_ms, is_warm)
        published(
            warmer, ref_of(n), value.fresh_until_ms, origin="warm" if is_warm else "miss", duration_ms=float(cost_ms),
            computed_at_ms=at_ms, judged_ms=at_ms if is_warm else None, wasted_at_ms=value.fresh_until_ms,
        )  # fmt: skip

    def ref_of(n: int) -> str:
        return f'{task_id}{{"n":{n}}}'

    for kind, n, gap_ms, count, cost_ms in events:
        at_ms += gap_ms
        if kind == "refresh":
            publish(n, cost_ms, is_warm=True)
            continue
        counter, value = ReadCounter(), model.values.get(n)
        is_hit = model.read(n, at_ms, count)
        for _ in range(count):
            counter.hit("key", header_of(value, ref_of(n)), at_ms) if is_hit else counter.miss("key", ref_of(n), at_ms)
        flush(*counter.take().reads)
        if not is_hit:
            publish(n, cost_ms, is_warm=False)
    while store.refreshes.tick().wasted:
        pass
    expected = model.expected()
    of_task = counters(warmer, task_id)
    of_fleet = {name: value - fleet_before.get(name, 0.0) for name, value in store.stats.totals().items()}
    for name, value in expected.items():
        assert of_task.get(name, 0.0) == pytest.approx(value, rel=1e-3, abs=0.02), name
        assert of_fleet.get(name, 0.0) == pytest.approx(value, rel=1e-3, abs=0.02), f"{name} of the fleet"
    account = {
        name: value - account_before.get(name, 0.0) for name, value in store.stats.accounts().get("", {}).items()
    }
    assert account.get("reads", 0) == expected["hits"] + expected["misses"]
    for name in ("misses", "awaited", "baseline_misses", "baseline_ms", "miss_ms", "warm_ms"):
        assert account.get(name, 0.0) == pytest.approx(expected[name], rel=1e-3, abs=0.02), f"{name} of the account"


def header_of(value: Value, ref: str) -> Header:
    useful_from_ms = max(value.previous_until_ms, value.computed_at_ms) if value.is_warm else 0
    until_ms, origin = value.fresh_until_ms, Origin.WARM if value.is_warm else Origin.MISS
    return Header(value.computed_at_ms, until_ms, until_ms, until_ms, useful_from_ms, 0, origin, 1, ref.encode())


# --- what counts once --------------------------------------------------------------------------------------------
def test_a_flush_that_is_sent_twice_counts_nothing_twice(warmer):
    register(warmer)
    reads = [(REF, "", 3, 2, [7], 1, 0, 0)]
    assert store_of(warmer).reads.flush("reader", 1, reads)
    before = counters(warmer), store_of(warmer).stats.totals(), store_of(warmer).stats.accounts()
    assert not store_of(warmer).reads.flush("reader", 1, reads)
    assert (counters(warmer), store_of(warmer).stats.totals(), store_of(warmer).stats.accounts()) == before


def test_those_who_wait_for_one_computation_are_misses_and_begin_one(warmer, flush):
    register(warmer)
    now_ms = server_ms(store_of(warmer))
    flush.misses(count=40, at_ms=now_ms)
    store_of(warmer).reads.flush("another reader", 1, [(REF, "", 0, 20, [], 0, now_ms, now_ms)])
    published(warmer, fresh_until_ms=now_ms + TTL_MS)
    store_of(warmer).reads.flush("a third", 1, [(REF, "", 5, 10, [], 0, now_ms + 1, now_ms + 50)])
    found = ledger(warmer)
    assert (found.misses, found.misses_by_cause.first) == (70, 70)
    assert (found.baseline.misses, found.baseline.baseline_misses) == (1, 1)


def test_a_refresh_whose_claim_was_lost_counts_nothing(warmer, flush):
    register(warmer)
    flush.hits()
    before = counters(warmer), store_of(warmer).stats.totals(), store_of(warmer).stats.accounts()
    lost = outcome(REF, "of a dead worker", ("never", 0), judged_ms=1, wasted_at_ms=1, fresh_until_ms=1)
    assert not complete(store_of(warmer), lost)
    assert (counters(warmer), store_of(warmer).stats.totals(), store_of(warmer).stats.accounts()) == before
    assert store_of(warmer).refreshes.tick().wasted == 0


def test_stale_hits_are_counted(warmer, flush):
    register(warmer)
    flush((REF, "", 5, 0, [], 2, 0, 0))
    assert (ledger(warmer).hits, ledger(warmer).stale_hits) == (5, 2)
    assert warmer.performance().stale_hits == 2


# --- misses by cause ---------------------------------------------------------------------------------------------
def causes(warmer, task_id: str = "t") -> dict[str, int]:
    return {cause: count for cause, count in ledger(warmer, task_id).misses_by_cause.items() if count}


def expired(warmer, flush, ref: str = REF) -> int:
    """Have a value cached that has expired a second ago; returns when."""
    expired_ms = server_ms(store_of(warmer)) - 1000
    flush.hits(ref, at_ms=expired_ms - TTL_MS)
    published(warmer, ref, fresh_until_ms=expired_ms)
    return expired_ms


def decide(warmer, ref: str, decided_ms: int, flags: int) -> None:
    """Have the leader decide on a target at this moment."""
    store = store_of(warmer)
    store.fleet.lead("test", 60)
    store.control.zadd(store.keys.reviews, {ref: decided_ms})
    decided = ReviewDecision(ref, decided_ms, -1, decided_ms - EPOCH_MS, flags, bytes(6))
    assert store.reviews.decide("test", [decided], {}) == 0


def test_the_first_read_is_a_first_miss(warmer, flush):
    register(warmer)
    warmer.start()
    flush.misses()
    assert causes(warmer) == {"first": 1}


def test_a_miss_while_warming_is_off_says_so(warmer, flush):
    register(warmer)
    expired(warmer, flush)
    flush.misses()
    assert causes(warmer) == {"disabled": 1}


@pytest.mark.parametrize(("critical", "switch"), [(True, Switch(on=True, pattern=False, critical=False)),
                                                  (False, Switch(on=True, pattern=False))])  # fmt: skip
def test_a_miss_of_what_warming_does_not_cover_is_one_of_warming_off(warmer, flush, critical, switch):
    register(warmer, cache_key="t", critical=critical)
    store_of(warmer).switch.set(switch)
    expired(warmer, flush, "t")
    flush.misses("t")
    assert causes(warmer) == {"disabled": 1}


def test_a_miss_of_what_workers_fail_to_compute_says_so(warmer, flush):
    register(warmer)
    warmer.start()
    expired(warmer, flush)
    store_of(warmer).requests.submit([REF], force=True)
    batch = claim(store_of(warmer), 1)
    assert complete(store_of(warmer), outcome(REF, batch.token, ("in", 60_000), Result.FAILED, error="no"))
    flush.misses()
    assert causes(warmer) == {"failing": 1}


def test_a_miss_of_a_value_that_should_be_there_has_lost_it(warmer, flush):
    register(warmer)
    warmer.start()
    now_ms = server_ms(store_of(warmer))
    flush.misses(at_ms=now_ms - 30_000)
    published(warmer, fresh_until_ms=now_ms + 30_000)
    flush.misses(count=3, at_ms=now_ms)
    assert causes(warmer) == {"first": 1, "evicted": 3}
    assert ledger(warmer).baseline.misses == 2


def test_a_value_that_expires_between_hits_and_a_miss_is_not_lost(warmer, flush):
    register(warmer)
    warmer.start()
    expired_ms = expired(warmer, flush)
    decide(warmer, REF, expired_ms - 500, 1)
    flush((REF, "", 4, 1, [], 0, expired_ms - 300, expired_ms + 300))
    assert causes(warmer) == {"not_worth_it": 1}


@pytest.mark.parametrize(("flags", "cause"), [(1, "not_worth_it"), (1 + 2, "late")])
def test_a_miss_after_a_decision_goes_by_what_was_decided(warmer, flush, flags, cause):
    register(warmer)
    warmer.start()
    expired_ms = expired(warmer, flush)
    decide(warmer, REF, expired_ms - 500, flags)
    flush.misses()
    assert causes(warmer) == {cause: 1}


def test_a_decision_that_was_carried_out_does_not_answer_for_the_next_one(warmer, flush):
    register(warmer)
    warmer.start()
    expired_ms = expired(warmer, flush)
    decide(warmer, REF, expired_ms - TTL_MS - 500, 1)  # on the value before
    flush.misses()
    assert causes(warmer) == {"late": 1}, "nobody has decided on this one in time"


def test_what_is_kept_warm_and_missed_was_late(warmer, flush):
    register(warmer, cache_key="t", critical=True)
    warmer.start()
    expired(warmer, flush, "t")
    flush.misses("t")
    assert causes(warmer) == {"late": 1}


def test_a_miss_of_a_key_without_a_task_has_no_part_in_the_comparison(warmer, flush):
    register(warmer)
    flush(("", "nobody's", 4, 2, [], 0, 0, 0))
    published(warmer, "", duration_ms=5000.0)
    found = warmer.performance()
    assert found.misses_by_cause.untracked == 2
    assert (found.baseline.reads, found.baseline.compute_s) == (0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_miss_has_one_cause(warmer, flush, batches):
    register(warmer)
    for n, misses in batches:
        flush((f't{{"n":{n}}}', "", 1, misses, [], 0, 0, 0), ("", "nobody's", 0, misses, [], 0, 0, 0))
    found = store_of(warmer).stats.totals()
    assert sum(value for name, value in found.items() if name.startswith("misses_")) == found.get("misses", 0)


# --- late refreshes ----------------------------------------------------------------------------------------------
def ready_since(warmer, ref: str, since_ms: int) -> None:
    store_of(warmer).control.zadd(store_of(warmer).keys.due, {ref: since_ms})
    store_of(warmer).refreshes.tick()


@pytest.mark.parametrize(("due_before_ms", "late"), [(500, 1), (-500, 0)])
def test_a_refresh_that_was_due_in_time_and_is_published_after_the_end_of_freshness_is_late(
    warmer, flush, due_before_ms, late
):
    register(warmer)
    warmer.start()
    expired_ms = expired(warmer, flush)
    ready_since(warmer, REF, expired_ms - due_before_ms)
    published(warmer, token=claim(store_of(warmer), 1).token, origin="warm", fresh_until_ms=expired_ms + 2 * TTL_MS)
    assert ledger(warmer).late == warmer.performance().late == late


def test_a_refresh_that_is_published_in_time_is_not_late(warmer, flush):
    register(warmer)
    warmer.start()
    now_ms = server_ms(store_of(warmer))
    flush.hits()
    published(warmer, fresh_until_ms=now_ms + TTL_MS)
    ready_since(warmer, REF, now_ms - 500)
    published(warmer, token=claim(store_of(warmer), 1).token, origin="warm", fresh_until_ms=now_ms + 2 * TTL_MS)
    assert ledger(warmer).late == 0


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_refresh_that_a_reader_overtakes_is_late_once(warmer, flush, is_claimed):
    register(warmer)
    warmer.start()
    expired_ms = expired(warmer, flush)
    ready_since(warmer, REF, expired_ms - 500)
    token = claim(store_of(warmer), 1).token if is_claimed else ""
    published(warmer, fresh_until_ms=expired_ms + TTL_MS)
    if is_claimed:
        published(warmer, token=token, origin="warm", fresh_until_ms=expired_ms + TTL_MS + 1)
    assert ledger(warmer).late == 1


def test_what_was_asked_for_by_hand_is_never_late(warmer, flush):
    register(warmer)
    expired_ms = expired(warmer, flush)
    store_of(warmer).requests.submit([REF], force=True)
    published(warmer, token=claim(store_of(warmer), 1).token, origin="warm", fresh_until_ms=expired_ms + TTL_MS)
    assert ledger(warmer).late == 0


# --- costs -------------------------------------------------------------------------------------------------------
def test_what_fails_for_a_reader_would_have_failed_for_a_plain_cache(warmer, flush):
    register(warmer)
    flush.misses()
    assert complete(store_of(warmer), outcome(REF, "", ("never", 0), Result.FAILED, "miss", 2000.0, error="no"))
    found = ledger(warmer).baseline
    assert (found.compute_s, found.baseline_compute_s, found.extra_compute) == (2.0, 2.0, 0.0)


def test_what_fails_for_warming_is_spent(warmer, flush):
    register(warmer)
    flush.hits()
    assert complete(store_of(warmer), outcome(REF, "", ("never", 0), Result.FAILED, "warm", 2000.0, error="no"))
    found = ledger(warmer)
    assert (found.spent_compute_s, found.baseline.baseline_compute_s) == (2.0, 0.0)


# --- bounds ------------------------------------------------------------------------------------------------------
def test_refreshes_that_wait_for_judgement_are_bounded_and_the_rest_is_said(make_warmer):
    warmer = make_warmer(history_capacity=50)
    register(warmer)
    for n in range(200):
        published(warmer, f't{{"n":{n}}}', origin="warm", judged_ms=1, wasted_at_ms=1000 - n, fresh_until_ms=1)
    unjudged = store_of(warmer).control.zrange(store_of(warmer).keys.unjudged_refreshes, 0, -1)
    assert sorted(unjudged) == sorted(f'1:t{{"n":{n}}}'.encode() for n in range(150, 200)), "those judged first"
    assert warmer.performance().unjudged == 150


def test_a_task_that_goes_takes_its_account_and_its_price_along(warmer, flush):
    register(warmer, extra_compute=0.5)
    flush.misses()
    published(warmer, fresh_until_ms=server_ms(store_of(warmer)) + TTL_MS)
    store = store_of(warmer)
    store.control.hset(store.keys.policy_state, "threshold:t", b"")
    assert set(store.stats.accounts()["t"]) == {
        "reads",
        "misses",
        "awaited",
        "miss_ms",
        "baseline_misses",
        "baseline_ms",
    }
    assert warmer.unregister("t")
    assert store.stats.accounts() == {}
    assert store.reviews.policy_state() == {}


# --- budgets -----------------------------------------------------------------------------------------------------
def test_budgets_of_the_fleet_and_of_tasks_are_shown_with_their_state(make_warmer):
    warmer = make_warmer(extra_compute=0.1)
    flush = Flushes(warmer)
    register(warmer)
    register(warmer, "own", target_hit_ratio=0.99)
    flush.hits()
    flush.hits('own{"n":1}', count=3)
    fleet, own = warmer.performance().budgets
    assert (fleet.task_id, fleet.budget, fleet.target, fleet.actual) == (None, "extra_compute", 0.1, None)
    assert (own.task_id, own.budget, own.target) == ("own", "target_hit_ratio", 0.99)
    assert (fleet.baseline.reads, own.baseline.reads) == (1, 3)
