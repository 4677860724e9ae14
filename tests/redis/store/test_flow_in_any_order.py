"""Whatever happens in whatever order, every target stands in one place, and what is counted is what is there."""

from collections.abc import Callable
from itertools import product
from secrets import token_hex
from typing import Any, Literal

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.flow import complete, outcome, places_of, refs, server_ms, what_is_left
from warmer import Limit, Settings, WarmingTask
from warmer.clock import Clock
from warmer.store import Capacity, ClaimBatch, DueKind, Result, ReviewDecision, Store
from warmer.tasks.switch import Switch

REFS = ["critical", "plain", *(f'profile{{"n":{number}}}' for number in range(3))]
TASKS = ["critical", "plain", "profile"]
DEFAULTS: dict[str, dict[str, Any]] = {
    "critical": {"cache_key": "c", "compute_fn": lambda: 1, "critical": True},
    "plain": {"cache_key": "k", "compute_fn": lambda: 1},
    "profile": {"cache_key": "user:{n}", "compute_fn": lambda n: n},
}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"ttl": 50},
    {"priority": 9},
    {"limit": "db"},
    {"isolation": "process"},
    {"enabled": False},
]

QUEUE_NAMES = ["".join(parts) for parts in product("as", "co", "tp", ":", ("", "db"))]

some_refs = st.lists(st.sampled_from(REFS), min_size=1, unique=True)
one_ref = st.sampled_from(REFS)
watchers = st.sampled_from(["", "me", "another"])
endings = st.sampled_from([*Result])
plans = st.sampled_from(["in", "review_in"])


class Seen:
    """All of the flow at one moment."""

    def __init__(self, store: Store) -> None:
        keys, self._pipeline = store.keys, store.control.pipeline()
        for name in (keys.due, keys.reviews, keys.claims, keys.limit_holders + "db"):
            self._pipeline.zrange(name, 0, -1, withscores=True)
        for name in (keys.claim_records, keys.task_specs, keys.queue_counters, keys.quarantine):
            self._pipeline.hgetall(name)
        for name in (keys.critical, keys.fair_queues, *(keys.watchers + ref for ref in REFS)):
            self._pipeline.smembers(name)
        for prefix, names in (
            (keys.on_demand_queue, TASKS),
            (keys.scheduled_queue, TASKS),
            (keys.fair_queue, QUEUE_NAMES),
            (keys.oldest, QUEUE_NAMES),
        ):
            for name in names:
                self._pipeline.zrange(prefix + name, 0, -1, withscores=True)
        answers = iter(self._pipeline.execute())
        self.due, self.reviews, self.claims, self.limit_holders = (scores(next(answers)) for _ in range(4))
        self.claim_records, self.task_specs, self.counters, self.quarantine = (texts(next(answers)) for _ in range(4))
        self.critical, self.fair_queues = ({one.decode() for one in next(answers)} for _ in range(2))
        self.watched = [ref for ref in REFS if next(answers)]
        self.asked, self.ready = ({name: scores(next(answers)) for name in TASKS} for _ in range(2))
        self.fair_queue, self.oldest = ({name: scores(next(answers)) for name in QUEUE_NAMES} for _ in range(2))
        self.backlog = store.targets.backlog()

    def places_of(self, ref: str) -> list[str]:
        task_id = ref.partition("{")[0]
        places = {
            "due": self.due,
            "reviewed": self.reviews,
            "asked": self.asked[task_id],
            "ready": self.ready[task_id],
            "claimed": self.claims,
        }
        return [place for place, members in places.items() if ref in members]


def scores(found: list[tuple[bytes, float]]) -> dict[str, float]:
    return {member.decode(): score for member, score in found}


def texts(found: dict[bytes, bytes]) -> dict[str, str]:
    return {field.decode(): value.decode() for field, value in found.items()}


def each_target_stands_in_one_place(seen: Seen) -> None:
    for ref in REFS:
        places = seen.places_of(ref)
        assert len(places) <= 1, (ref, places)
        if ref in seen.critical and ref not in seen.quarantine:
            assert places, f"{ref} is nowhere"


def who_waits_waits_for_something(seen: Seen) -> None:
    for ref in seen.watched:
        assert set(seen.places_of(ref)) & {"asked", "claimed"}, (ref, seen.places_of(ref))
        assert seen.claim_records.get(ref, "||a").split("|")[2] == "a", "a claim knows that somebody waits"


def what_is_counted_is_what_is_there(seen: Seen) -> None:
    asked, ready = (sum(map(len, queues.values())) for queues in (seen.asked, seen.ready))
    assert int(seen.counters.get("on_demand", 0)) == asked
    assert seen.backlog == asked + ready


def every_task_has_its_turn(seen: Seen) -> None:
    assert (
        seen.fair_queues
        == {name for name in QUEUE_NAMES if seen.fair_queue[name]}
        == {name for name in QUEUE_NAMES if seen.oldest[name]}
    )
    for letter, queues in (("a", seen.asked), ("s", seen.ready)):
        for task_id, members in queues.items():
            if not members:
                continue
            if task_id not in seen.task_specs:
                assert [name for name in QUEUE_NAMES if name[0] == letter and task_id in seen.fair_queue[name]], (
                    "never dropped"
                )
                continue
            priority, importance, kind, _, _, _, _, limit = seen.task_specs[task_id].split(" ")
            name = f"{letter}{importance}{kind}:{limit}"
            assert -(seen.fair_queue[name][task_id] // 2**40) == int(priority)
            assert seen.oldest[name][task_id] <= min(members.values())


def claims_records_and_slots_agree(seen: Seen) -> None:
    assert seen.claims.keys() == seen.claim_records.keys()
    assert seen.limit_holders.keys() <= seen.claims.keys()
    assert len(seen.limit_holders) <= 2


class Flow(RuleBasedStateMachine):
    """Registers, asks, claims and completes in any order; after each step looks at everything."""

    settings: Settings

    @initialize()
    def begin(self) -> None:
        self.store = Store(self.settings.model_copy(update={"namespace": f"any-{token_hex(6)}"}), Clock())
        self.store.control.hset(self.store.keys.limits, "db", Limit(concurrency=2, reserved=0.5).to_json())
        self.held: list[tuple[str, ClaimBatch]] = []
        self.flushes = 0
        self.store.switch.set(Switch(on=True))
        for task_id in TASKS:
            self.register(task_id, {})

    # --- what happens ---------------------------------------------------------------------------------------------
    @rule(task_id=st.sampled_from(TASKS), variant=st.sampled_from(VARIANTS))
    def register(self, task_id: str, variant: dict[str, Any]) -> None:
        self.store.tasks.register(WarmingTask(**{"task_id": task_id, **DEFAULTS[task_id], **variant}), replace=False)

    @rule(task_id=st.sampled_from(TASKS))
    def unregister(self, task_id: str) -> None:
        self.store.tasks.unregister(task_id)

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:
        self.store.switch.set(Switch(on=on))

    @rule(wanted=some_refs, force=st.booleans(), watcher=watchers)
    def request(self, wanted: list[str], force: bool, watcher: str) -> None:
        answers = self.store.requests.submit(wanted, force=force, watcher=watcher, watch_s=60)
        for ref, answer in zip(wanted, answers, strict=True):
            if answer == "asked":
                assert set(places_of(self.store, ref)) <= {"asked", "claimed"}

    @rule(wanted=some_refs, watcher=st.sampled_from(["me", "another"]))
    def withdraw(self, wanted: list[str], watcher: str) -> None:
        self.store.requests.withdraw(wanted, watcher)

    @rule(threads=st.integers(0, 4), processes=st.integers(0, 2), life=st.sampled_from(["one-", "two-"]))
    def claim(self, threads: int, processes: int, life: str) -> None:
        batch = self.store.refreshes.claim(Capacity(threads=threads, processes=processes), drain_id=life)
        assert len(batch.claims) <= threads + processes
        assert len(set(refs(batch))) == len(batch.claims)
        assert all(one.due_ms <= batch.now_ms for one in batch.claims)
        if batch.claims:
            self.held.append((life, batch))

    @rule(data=st.data(), result=endings, plan=plans, later=st.sampled_from([0, 60_000]))
    def complete(self, data: st.DataObject, result: Result, plan: DueKind, later: int) -> None:
        if self.held:
            _, batch = data.draw(st.sampled_from(self.held))
            ended = data.draw(st.lists(st.sampled_from(refs(batch)), min_size=1, unique=True))
            for ref in ended:
                kind = "in" if ref == "critical" else plan
                complete(self.store, outcome(ref, batch.token, (kind, later), result, error="x"))

    @rule(ref=one_ref, plan=plans, result=st.sampled_from([Result.PUBLISHED, Result.FAILED]))
    def a_reader_computes(self, ref: str, plan: DueKind, result: Result) -> None:
        due: tuple[DueKind, int] = ("in" if ref == "critical" else plan, 60_000)
        complete(self.store, outcome(ref, "", due, result, "miss", computed_at_ms=server_ms(self.store)))

    @rule(ref=one_ref, misses=st.integers(0, 1))
    def somebody_reads(self, ref: str, misses: int) -> None:
        self.flushes += 1
        self.store.reads.flush("reader", self.flushes, [(ref, "", 1, misses, [], 0, 0, 0)])

    @rule(data=st.data())
    def it_is_decided(self, data: st.DataObject) -> None:
        self.store.control.zunionstore(self.store.keys.reviews, {self.store.keys.reviews: 0})
        self.decide(lambda ref: data.draw(st.sampled_from([0, -1, 4_000_000_000_000])))

    def decide(self, when: Callable[[str], int]) -> None:
        self.store.fleet.lead("leader", 60)
        targets = self.store.reviews.due("leader", 100).targets
        self.store.reviews.decide(
            "leader", [ReviewDecision(one.ref, one.planned_ms, when(one.ref)) for one in targets], {}
        )

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if self.held:
            _, batch = data.draw(st.sampled_from(self.held))
            self.store.refreshes.give_back(
                data.draw(st.lists(st.sampled_from(refs(batch)), min_size=1, unique=True)), batch.token
            )

    @rule(life=st.sampled_from(["one-", "two-"]))
    def a_process_dies(self, life: str) -> None:
        self.store.refreshes.lapse(life)
        self.held = [one for one in self.held if one[0] != life]

    @rule(ref=one_ref)
    def a_claim_times_out(self, ref: str) -> None:
        self.store.control.zadd(self.store.keys.claims, {ref: 1}, xx=True)
        self.store.refreshes.tick()

    @rule()
    def tick(self) -> None:
        self.store.refreshes.tick()

    @rule(ref=one_ref, when=st.sampled_from([1, 4_000_000_000_000, None]), where=st.sampled_from(["due", "reviews"]))
    def reads_move_it(self, ref: str, when: int | None, where: Literal["due", "reviews"]) -> None:
        if ref != "critical" and self.store.control.hexists(self.store.keys.task_specs, ref.partition("{")[0]):
            self.store.targets.reschedule(ref, when, where=where)

    @rule(name=st.sampled_from([*TASKS, *REFS]))
    def release(self, name: str) -> None:
        self.store.quarantine.release(name)

    # --- what is always so ----------------------------------------------------------------------------------------
    @invariant()
    def all_is_in_order(self) -> None:
        seen = Seen(self.store)
        for check in (
            each_target_stands_in_one_place,
            who_waits_waits_for_something,
            what_is_counted_is_what_is_there,
            every_task_has_its_turn,
            claims_records_and_slots_agree,
        ):
            check(seen)

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        for task_id in TASKS:
            self.store.tasks.unregister(task_id)
        self.store.switch.set(Switch(on=True))
        for life in ("one-", "two-"):
            self.store.refreshes.lapse(life)
        control, keys = self.store.control, self.store.keys
        for planned in (keys.due, keys.reviews):
            control.zunionstore(planned, {planned: 0})
        self.decide(lambda ref: -1)
        self.store.refreshes.tick()
        for _ in range(5):
            assert self.store.refreshes.claim(Capacity(9, 9, 9)).claims == ()
        assert what_is_left(self.store) == {}
        assert self.store.quarantine.records() == []
        self.store.close()


def test_every_target_stands_in_one_place_whatever_happens(server):
    flow = type("FlowHere", (Flow,), {"settings": Settings.load(redis_url=server.url, backlog_capacity=3)})
    run_state_machine_as_test(
        flow,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # looking for a shorter example would take minutes
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
