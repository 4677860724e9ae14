"""Limits on a real server: what may begin at once and per second, whoever asks, and what readers add to it."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from warmer import Limit, Settings
from warmer.connect import connect
from warmer.refresh.reader_usage import ReaderUsage
from warmer.store.keys import Keys
from warmer.store.scripts import Scripts, parse_lua, script_text

HEADER = """
-- @args moment:number name critical wanted:number timeout_ms:number
-- @rest refs
-- @include limits time
local is_critical = critical == '1'
"""
BEGIN_WHAT_MAY = """
local now = moment > 0 and moment or now_ms()
local begun = {}
for i = 1, math.min(room_under(name, is_critical, now), wanted, #refs) do begun[i] = refs[i] end
begin_under(name, begun, now + timeout_ms, now)
return {now, begun, tostring(room_under(name, is_critical, now))}
"""
END = "end_under(name, refs) return 0"
EXTEND = "extend_under(name, refs, moment + timeout_ms) return 0"
BEGIN_EACH = """
local begun = 0
for _, ref in ipairs(refs) do
  if room_under(name, is_critical, moment) >= 1 then
    begin_under(name, {ref}, moment + timeout_ms, moment)
    begun = begun + 1
    if begun == 3 then end_under(name, {ref}) end
  end
end
return begun
"""
BEGIN_ANYWAY = "begin_under(name, refs, now_ms() + timeout_ms, now_ms()) return 0"


class Fleet:
    """A claim's part in limits, by a time of the test's own unless none is given."""

    def __init__(self, url: str) -> None:
        self.client = connect(url, 5.0)
        self.use(f"test-{token_hex(6)}")

    def use(self, namespace: str) -> None:
        settings = Settings.load(redis_url="redis://unused", namespace=namespace)
        self.namespace, self.keys = namespace, Keys(namespace)
        self.scripts = Scripts(self.client, settings)
        self._scripts = {
            body: self.client.register_script(script_text(parse_lua(HEADER + body), self.keys, settings))
            for body in (BEGIN_WHAT_MAY, BEGIN_EACH, BEGIN_ANYWAY, END, EXTEND)
        }

    def run(self, body, *refs, name="pg", now=0, critical=False, wanted=1000, timeout_ms=1000):
        return self._scripts[body](args=[now, name, int(critical), wanted, timeout_ms, *refs])

    def declare(self, name: str = "pg", **values) -> None:
        self.client.hset(self.keys.limits, mapping={name: Limit(**values).to_json()})

    def begin(self, *refs, **how) -> list[str]:
        return [ref.decode() for ref in self.run(BEGIN_WHAT_MAY, *refs, **how)[1]]

    def room(self, **how) -> float:
        return float(self.run(BEGIN_WHAT_MAY, **how)[2])

    def end(self, *refs, **how) -> None:
        self.run(END, *refs, **how)

    def report(self, process: str, *reports, timeout_ms: int = 10_000) -> int:
        return self.scripts.run("reader_usage", process, timeout_ms, *reports)

    def now_ms(self) -> int:
        seconds, micros = self.client.time()
        return seconds * 1000 + micros // 1000


@pytest.fixture
def fleet(server):
    made = Fleet(server.url)
    yield made
    made.client.close()


def refs(count: int, prefix: str = "t") -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


# --- concurrency ---------------------------------------------------------------------------------------------------
def test_no_more_begin_than_may_run_at_once(fleet):
    fleet.declare(concurrency=4, reserved=0)
    assert fleet.begin(*refs(9)) == refs(4)
    assert fleet.begin("more") == []
    fleet.end("t0", "t3", "no-holder")
    assert fleet.begin(*refs(9, "u")) == refs(2, "u")


def test_limits_do_not_meet(fleet):
    fleet.declare("pg", concurrency=1)
    fleet.declare("api", concurrency=2, reserved=0)
    assert fleet.begin("a", name="pg") == ["a"]
    assert fleet.begin("b", "c", "d", name="api") == ["b", "c"]
    fleet.end("a", name="api")
    assert fleet.room(name="pg") == 0


def test_a_limit_that_nobody_declared_lets_one_at_a_time_through(fleet):
    assert fleet.run(BEGIN_WHAT_MAY, "a", "b", name="unheard-of")[1:] == [[b"a"], b"0"]
    fleet.declare("unheard-of", concurrency=3, reserved=0)
    assert fleet.run(BEGIN_WHAT_MAY, "c", name="unheard-of")[2:] == [b"1"]


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", "5", '{"concurrency": null}', '{"concurrency": "many"}'])
def test_a_limit_that_cannot_be_read_lets_one_at_a_time_through(fleet, text):
    fleet.client.hset(fleet.keys.limits, "pg", text)
    assert fleet.begin("a", "b") == ["a"]


def test_the_last_declaration_counts(fleet):
    fleet.declare(concurrency=8, reserved=0)
    fleet.begin(*refs(6))
    fleet.declare(concurrency=4, reserved=0)
    assert fleet.room() == 0
    fleet.end(*refs(3))
    assert fleet.room() == 1


def test_one_who_begins_again_what_it_holds_takes_no_second_slot(fleet):
    fleet.declare(concurrency=2, reserved=0)
    fleet.begin("a", now=1000)
    fleet.begin("a", now=1500)
    assert fleet.room(now=1500) == 1
    assert fleet.room(now=2400) == 1, "the deadline is the later one"


def test_the_slots_of_dead_holders_come_back_at_their_deadline(fleet):
    fleet.declare(concurrency=2, reserved=0)
    fleet.begin("a", "b", now=1000, timeout_ms=500)
    assert fleet.room(now=1499) == 0
    fleet.run(EXTEND, "b", "never-held", now=1400, timeout_ms=500)
    assert fleet.room(now=1500) == 1
    assert fleet.room(now=1899) == 1
    assert fleet.room(now=1900) == 2
    assert fleet.client.exists(fleet.keys.limit_holders + "pg") == 0


def test_what_is_counted_within_one_script_is_true_at_every_step(fleet):
    fleet.declare(concurrency=4, reserved=0)
    assert fleet.run(BEGIN_EACH, *refs(20), now=1000) == 5, "one of the first three ended meanwhile"
    assert fleet.room(now=1000) == 0


def test_thousands_begin_and_end_at_once(fleet):
    fleet.declare(rate_per_s=1_000_000)
    assert len(fleet.begin(*refs(5000), wanted=5000)) == 5000
    assert fleet.client.zcard(fleet.keys.limit_holders + "pg") == 5000
    fleet.end(*refs(5000))
    assert fleet.client.exists(fleet.keys.limit_holders + "pg") == 0


def test_without_a_limit_of_that_kind_there_is_all_the_room(fleet):
    fleet.declare("rate", rate_per_s=1000, reserved=0)
    fleet.declare("slots", concurrency=1000, reserved=0)
    assert fleet.room(name="rate") == 1000
    fleet.begin(*refs(10), name="rate", now=1)
    assert fleet.room(name="rate", now=1) == 990
    fleet.begin(*refs(10), name="slots", now=1)
    fleet.end(*refs(10), name="slots", now=1)
    assert fleet.room(name="slots", now=1) == 1000


# --- what is reserved ----------------------------------------------------------------------------------------------
def test_only_critical_tasks_use_the_reserve(fleet):
    fleet.declare(concurrency=4, reserved=0.25)
    assert len(fleet.begin(*refs(9))) == 3
    assert fleet.begin("c0", "c1", critical=True) == ["c0"]
    fleet.end("t0")
    assert fleet.room() == 0, "the reserve is filled up first"
    assert fleet.room(critical=True) == 1


def test_only_critical_tasks_use_the_reserve_of_the_rate(fleet):
    fleet.declare(rate_per_s=100, reserved=0.3)
    assert len(fleet.begin(*refs(200), now=1000)) == 70
    assert len(fleet.begin(*refs(200), now=1000, critical=True)) == 30


@example(concurrency=100, reserved=0.29, rate_per_s=100)  # 100 * 0.29 is 28.999999999999996
@example(concurrency=1, reserved=0.9, rate_per_s=1.9)
@given(concurrency=st.integers(1, 200), reserved=st.floats(0, 0.9), rate_per_s=st.floats(0.01, 300))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_reserved_at_least_one_may_begin_that_is_not_critical(fleet, concurrency, reserved, rate_per_s):
    name = token_hex(4)
    fleet.declare(name, concurrency=concurrency, reserved=reserved, rate_per_s=rate_per_s)
    assert 1 <= fleet.room(name=name) <= fleet.room(name=name, critical=True)
    fleet.declare(name, concurrency=concurrency, reserved=reserved)
    assert fleet.room(name=name) == concurrency - int(concurrency * reserved + 1e-9)


# --- rate ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rate_per_s", "critical"), [(0.2, False), (0.9, True), (3, False), (50, True), (1234.5, False)]
)
def test_the_rate_is_held_within_5_percent(fleet, rate_per_s, critical):
    fleet.declare(rate_per_s=rate_per_s)
    luck = random.Random(7)
    start = now = 1_700_000_000_000
    span_ms = max(20_000, int(40_000 / rate_per_s))
    fleet.begin(*refs(2000), now=now, wanted=2000, critical=critical)  # the burst
    begun = 0
    while now < start + span_ms:
        now += luck.randint(1, 50)
        begun += len(fleet.begin(*refs(200), now=now, critical=critical))
    assert begun == pytest.approx(rate_per_s * span_ms / 1000, rel=0.05, abs=1)


def test_claimers_who_never_pause_hold_the_rate_together(server, fleet):
    rate_per_s, window_ms = 200, 1500
    fleet.declare(rate_per_s=rate_per_s, reserved=0)
    fleet.begin(*refs(1000))  # the burst
    start = fleet.now_ms()

    def claim(_):
        own = Fleet(server.url)
        own.use(fleet.namespace)
        begun, now = 0, 0
        while now < start + window_ms:
            now, found, *_ = own.run(BEGIN_WHAT_MAY, *refs(20))
            begun += len(found)
        own.client.close()
        return now, begun

    with ThreadPoolExecutor(4) as threads:
        ends, counts = zip(*threads.map(claim, range(4)), strict=True)
    assert sum(counts) == pytest.approx(rate_per_s * (max(ends) - start) / 1000, rel=0.05)


def test_a_pause_earns_a_burst_and_no_more(fleet):
    fleet.declare(rate_per_s=10, reserved=0)
    fleet.begin(*refs(10), now=1000)
    assert fleet.room(now=1000) == 0
    assert fleet.room(now=1100) == 1
    assert fleet.room(now=3_600_000) == 10


def test_less_than_one_a_second_is_one_at_a_time(fleet):
    fleet.declare(rate_per_s=0.5)
    assert fleet.begin("a", "b", now=10_000) == ["a"]
    assert fleet.room(now=11_900) == 0
    assert fleet.room(now=12_000) == 1


def test_a_clock_that_was_set_back_does_not_stop_the_rate(fleet):
    fleet.declare(rate_per_s=10, reserved=0)
    fleet.begin(*refs(9), now=5_000_000)
    assert fleet.begin("a", now=1_000_000) == ["a"]
    assert fleet.room(now=1_000_100) == 1


def test_what_begins_unasked_is_charged_too(fleet):
    fleet.declare(rate_per_s=10, reserved=0)
    fleet.run(BEGIN_ANYWAY, *refs(8))
    assert 2 <= fleet.room() <= 3


# --- races ---------------------------------------------------------------------------------------------------------
def test_four_claimers_at_once_never_run_more_than_may(server, fleet):
    fleet.declare(concurrency=5)
    running: set[str] = set()
    most = {"all": 0, "ordinary": 0}
    lock = threading.Lock()

    def claim(number):
        own, luck = Fleet(server.url), random.Random(number)
        own.use(fleet.namespace)
        done = 0
        for turn in range(400):
            critical = luck.random() < 0.3
            wanted = refs(luck.randint(1, 4), f"{'c' if critical else 'o'}-{number}-{turn}-")
            begun = own.begin(*wanted, critical=critical, timeout_ms=60_000)
            with lock:
                running.update(begun)
                most["all"] = max(most["all"], len(running))
                most["ordinary"] = max(most["ordinary"], sum(ref.startswith("o") for ref in running))
            with lock:
                running.difference_update(begun)
            own.end(*begun)
            done += len(begun)
        own.client.close()
        return done

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(claim, range(4)))
    assert most["all"] <= 5
    assert most["ordinary"] <= 4
    assert all(done), "every claimer got its turn"
    assert fleet.room(critical=True) == 5, "all came back"


class Workers(RuleBasedStateMachine):
    """Claims, ends, deaths and computations of readers in any order, by the machine's own clock."""

    fleet: Fleet

    def __init__(self) -> None:
        super().__init__()
        self.concurrency, self.kept, self.rate = 6, 2, 20.0
        self.now, self.count = 1_000_000, 0
        self.name = token_hex(6)
        self.held: dict[str, int] = {}
        self.begun: list[tuple[int, int]] = []
        self.fleet.declare(self.name, concurrency=6, reserved=0.4, rate_per_s=self.rate)

    def alive(self) -> int:
        return sum(deadline > self.now for deadline in self.held.values())

    @rule(ms=st.integers(0, 700))
    def time_passes(self, ms):
        self.now += ms

    @rule(wanted=st.integers(1, 9), critical=st.booleans(), timeout_ms=st.integers(1, 2000))
    def a_worker_claims(self, wanted, critical, timeout_ms):
        before = self.alive()
        asked = [f"r{self.count + i}" for i in range(wanted)]
        self.count += wanted
        begun = self.fleet.begin(*asked, name=self.name, now=self.now, critical=critical, timeout_ms=timeout_ms)
        assert before + len(begun) <= max(before, self.concurrency - (0 if critical else self.kept))
        self.held.update(dict.fromkeys(begun, self.now + timeout_ms))
        self.begun.append((self.now, len(begun)))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def a_worker_ends(self, data):
        ref = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[ref]
        self.fleet.end(ref, name=self.name)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), timeout_ms=st.integers(1, 2000))
    def a_worker_extends(self, data, timeout_ms):
        ref = data.draw(st.sampled_from(sorted(self.held)))
        self.fleet.room(name=self.name, now=self.now)  # forgets what has lapsed
        self.fleet.run(EXTEND, ref, name=self.name, now=self.now, timeout_ms=timeout_ms)
        if self.held[ref] > self.now:
            self.held[ref] = self.now + timeout_ms

    @invariant()
    def no_more_run_than_may(self):
        assert self.alive() <= self.concurrency

    @invariant()
    def no_more_begin_in_any_time_than_the_rate_and_a_burst(self):
        for first, (start, _) in enumerate(self.begun):
            begun = sum(count for _, count in self.begun[first:])
            assert begun <= self.rate + self.rate * (self.now - start) / 1000 + 1e-3

    def teardown(self):
        self.now += 10_000
        room = self.fleet.room(name=self.name, now=self.now)
        assert room == self.concurrency - self.kept, "when all is over there is all the room"


def test_whatever_happens_the_limit_holds_and_recovers(fleet):
    class Here(Workers):
        pass

    Here.fleet = fleet
    run_state_machine_as_test(Here, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))


# --- readers -------------------------------------------------------------------------------------------------------
def test_what_readers_compute_holds_workers_back(fleet, eventually):
    fleet.declare(concurrency=4, reserved=0)
    usage = ReaderUsage(lambda process, timeout_ms, reports: fleet.report(process, *reports, timeout_ms=timeout_ms), 10)
    with usage.computing("pg"), usage.computing("pg"):
        eventually(lambda: fleet.room() == 2)
    eventually(lambda: fleet.room() == 4)
    usage.close()


def test_readers_are_never_held_up_and_workers_wait_for_them(fleet):
    fleet.declare(concurrency=4, rate_per_s=1000)
    usage = ReaderUsage(lambda process, timeout_ms, reports: fleet.report(process, *reports, timeout_ms=timeout_ms), 10)
    computations = [usage.computing("pg") for _ in range(10)]
    began = time.perf_counter()
    for computation in computations:
        computation.__enter__()
    assert time.perf_counter() - began < 0.5
    usage.report()
    assert fleet.room() == fleet.room(critical=True) == 0
    for computation in computations:
        computation.__exit__()
    usage.close()
    assert fleet.room() == 3


def test_readers_use_up_the_rate_of_workers(fleet):
    fleet.declare(rate_per_s=0.001, reserved=0)
    assert fleet.room() == 1
    fleet.report("p", "pg", 0, 1, 0)
    assert fleet.room() == 0


def test_readers_who_exceed_the_rate_are_made_up_for_within_ten_bursts(fleet):
    fleet.declare(rate_per_s=10, reserved=0)
    fleet.report("p", "pg", 0, 100_000, 0)
    now = fleet.now_ms()
    assert fleet.room(now=now + 9_000) == 0
    assert fleet.room(now=now + 10_200) >= 1


def tokens(fleet) -> float:
    return float(fleet.client.hget(fleet.keys.token_buckets, "pg").partition(b"|")[0])


def test_a_report_that_comes_twice_is_charged_once(fleet):
    fleet.declare(rate_per_s=0.001)
    assert fleet.report("p", "pg", 1, 3, 0) == 1
    assert fleet.report("p", "pg", 1, 3, 0) == 1, "it renews what runs"
    assert tokens(fleet) == -2
    assert fleet.report("p", "pg", 1, 5, 0) == 1, "whose answer was lost, and which went on"
    assert tokens(fleet) == pytest.approx(-4, abs=0.01)


def test_a_report_that_comes_late_changes_nothing(fleet):
    fleet.declare(concurrency=4, reserved=0)
    fleet.report("p", "pg", 0, 3, 0)
    assert fleet.report("p", "pg", 2, 2, 0) == 0
    assert fleet.report("p", "pg", 1, 3, 0) == 0
    assert fleet.room() == 4


def test_what_was_acknowledged_is_not_charged_again_by_an_emptied_server(fleet):
    fleet.declare(rate_per_s=0.001)
    fleet.report("p", "pg", 1, 500, 499)
    assert tokens(fleet) == 0


def test_the_readers_of_a_dead_process_are_forgotten_at_their_deadline(fleet):
    fleet.declare(concurrency=4, reserved=0)
    fleet.report("dead", "pg", 3, 3, 0, timeout_ms=500)
    fleet.report("alive", "pg", 1, 1, 0, timeout_ms=5000)
    now = fleet.now_ms()
    assert fleet.room(now=now) == 0
    assert fleet.room(now=now + 501) == 3
    assert set(fleet.client.hgetall(fleet.keys.reader_usage + "pg")) == {b"alive"}


def test_processes_that_come_and_go_leave_nothing_behind_where_no_worker_looks(fleet, eventually):
    fleet.report("alive", "pg", 0, 1, 0, timeout_ms=1500)
    fleet.report("dead", "pg", 1, 1, 0, timeout_ms=1)
    died = fleet.now_ms()
    eventually(lambda: fleet.now_ms() > died + 1)
    fleet.report("new", "pg", 0, 1, 0, timeout_ms=300)
    assert set(fleet.client.hgetall(fleet.keys.reader_usage + "pg")) == {b"alive", b"new"}
    eventually(lambda: not fleet.client.exists(fleet.keys.reader_usage + "pg"))


def test_several_limits_are_one_report(fleet):
    fleet.declare("pg", concurrency=4, reserved=0)
    fleet.declare("api", concurrency=4, reserved=0)
    assert fleet.report("p", "pg", 1, 1, 0, "api", 3, 3, 0) == 2
    assert (fleet.room(name="pg"), fleet.room(name="api")) == (3, 1)
