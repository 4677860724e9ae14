"""The scheduler: one leads, ticks are idempotent, and rq-scheduler's schedule follows the plan."""

import json

import pytest
from rq.job import JobStatus

from tests.support.flow import claim
from tests.support.runtimes import runtime_of, store_of
from warmer import WarmingTask
from warmer.clock import Clock
from warmer.engine.drain_queue import OPTIMIZE, DrainQueue, SafeJob
from warmer.tasks.switch import Switch
from warmer_scheduler.leader import Leadership
from warmer_scheduler.main import SchedulerLoop
from warmer_scheduler.periodic_jobs import PeriodicJob
from warmer_scheduler.rq_schedule import RqSchedule

EVERY_MINUTE = PeriodicJob("job-one", OPTIMIZE, 60)


@pytest.fixture
def leader(warmer) -> Leadership:
    leader = Leadership(store_of(warmer), tick_s=0.1)
    assert leader.lead()
    return leader


@pytest.fixture
def schedule(warmer, leader) -> RqSchedule:
    return RqSchedule(runtime_of(warmer).queue, store_of(warmer).rq, warmer.settings.tick_s, leader.token)


def stored(schedule: RqSchedule) -> dict[str, float]:
    found = schedule.connection.zrange(schedule.scheduled_jobs_key, 0, -1, withscores=True)
    return {job_id.decode(): score for job_id, score in found}


def make_due(schedule: RqSchedule, job_id: str = EVERY_MINUTE.job_id) -> None:
    schedule.connection.zadd(schedule.scheduled_jobs_key, {job_id: 1})


def test_one_leads_and_a_standby_takes_over(warmer, leader):
    standby = Leadership(store_of(warmer), tick_s=0.1)
    assert not standby.lead()
    assert leader.lead()
    assert store_of(warmer).fleet.has_leader()
    standby.resign()
    assert leader.lead(), "only the holder can resign"
    leader.resign()
    assert standby.lead()


def test_a_leader_that_is_not_heard_of_lapses(warmer, leader):
    assert 0 < store_of(warmer).control.pttl(store_of(warmer).keys.leader) <= 2000
    store_of(warmer).control.delete(store_of(warmer).keys.leader)  # as if it had lapsed
    standby = Leadership(store_of(warmer), tick_s=0.1)
    assert standby.lead()
    assert not leader.lead()


def test_the_schedule_follows_the_plan(schedule):
    schedule.keep_to([EVERY_MINUTE])
    first = stored(schedule)
    assert list(first) == ["job-one"]
    schedule.keep_to([EVERY_MINUTE])
    assert stored(schedule) == first, "nothing is reset"
    schedule.keep_to([PeriodicJob("job-one", OPTIMIZE, 5)])
    assert SafeJob.fetch("job-one", connection=schedule.connection).meta["interval"] == 5
    schedule.keep_to([])
    assert stored(schedule) == {}


def test_what_was_lost_comes_back(schedule):
    schedule.keep_to([EVERY_MINUTE])
    schedule.connection.delete(schedule.scheduled_jobs_key)
    schedule.keep_to([EVERY_MINUTE])
    schedule.connection.delete(SafeJob.key_for("job-one"))
    schedule.keep_to([EVERY_MINUTE])
    make_due(schedule)
    assert schedule.enqueue_jobs() == ["job-one"]


def test_a_due_job_is_enqueued_once_and_planned_anew(schedule, warmer):
    schedule.keep_to([EVERY_MINUTE])
    assert schedule.enqueue_jobs() == []
    make_due(schedule)
    assert schedule.enqueue_jobs() == ["job-one"]
    assert schedule.enqueue_jobs() == []
    assert runtime_of(warmer).queue.rq.job_ids == ["job-one"]
    assert stored(schedule)["job-one"] >= int(schedule.connection.time()[0]) + 55


def test_while_workers_are_down_a_job_does_not_pile_up(schedule, warmer):
    schedule.keep_to([EVERY_MINUTE])
    for _ in range(5):
        make_due(schedule)
        schedule.enqueue_jobs()
    assert runtime_of(warmer).queue.rq.job_ids == ["job-one"]


def test_a_run_that_was_lost_long_ago_does_not_block_the_next(schedule, warmer):
    schedule.keep_to([EVERY_MINUTE])
    schedule.connection.hset(
        SafeJob.key_for("job-one"),
        mapping={"status": JobStatus.STARTED.value, "enqueued_at": "2020-01-01T00:00:00.000000Z"},
    )
    make_due(schedule)
    assert schedule.enqueue_jobs() == ["job-one"]


def test_an_undecodable_job_is_dropped_and_the_others_go_on(schedule, warmer):
    schedule.keep_to([EVERY_MINUTE])
    make_due(schedule)
    for job_id, data in [("bad", b"\x80\x04garbage"), ("evil", json.dumps(["os.system", None, [], {}]).encode())]:
        schedule.connection.hset(SafeJob.key_for(job_id), mapping={"data": data, "meta": b'{"interval": 1}'})
        make_due(schedule, job_id)
    make_due(schedule, "no-hash")
    assert schedule.enqueue_jobs() == ["job-one"]
    assert list(stored(schedule)) == ["job-one"]
    assert runtime_of(warmer).queue.rq.job_ids == ["job-one"]


def test_who_no_longer_leads_enqueues_nothing(schedule, warmer, leader):
    schedule.keep_to([EVERY_MINUTE])
    make_due(schedule)
    store_of(warmer).control.set(store_of(warmer).keys.leader, "another")
    assert schedule.enqueue_jobs() == []
    assert runtime_of(warmer).queue.rq.job_ids == []
    assert stored(schedule)["job-one"] == 1, "it is still due, for the one that leads"


def test_a_leadership_lost_in_the_middle_enqueues_nothing(schedule, warmer, monkeypatch):
    schedule.keep_to([EVERY_MINUTE])
    make_due(schedule)
    push = schedule._queue._enqueue_job

    def lose_leadership_then_push(job, pipeline):
        store_of(warmer).control.set(store_of(warmer).keys.leader, "another")
        return push(job, pipeline=pipeline)

    monkeypatch.setattr(schedule._queue, "_enqueue_job", lose_leadership_then_push)
    assert schedule.enqueue_jobs() == []
    assert runtime_of(warmer).queue.rq.job_ids == []


def test_a_pass_moves_what_is_due_and_tells_the_workers(warmer):
    store_of(warmer).switch.set(Switch(on=True))
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: 1))
    batch = claim(store_of(warmer), 1)
    store_of(warmer).refreshes.give_back(["t"], batch.token)
    runtime_of(warmer).queue.rq.empty()
    loop = SchedulerLoop(store_of(warmer), runtime_of(warmer).queue, warmer.settings, Clock())
    assert loop.one_pass()
    assert runtime_of(warmer).queue.rq.count == 1
    assert loop.one_pass()
    assert runtime_of(warmer).queue.rq.count == 1, "a waiting hint stands for all the work there is"


def test_two_schedulers_move_nothing_twice(warmer, make_warmer):
    store_of(warmer).switch.set(Switch(on=True))
    for number in range(50):
        store_of(warmer).control.zadd(store_of(warmer).keys.due, {f"t{number}": number})
        store_of(warmer).control.hset(store_of(warmer).keys.task_specs, f"t{number}", "0 o t 1 0 60000 f ")
    other = make_warmer()
    loops = [SchedulerLoop(store_of(w), runtime_of(w).queue, w.settings, Clock()) for w in (warmer, other)]
    assert [loop.one_pass() for loop in loops] == [True, False]
    assert store_of(warmer).targets.backlog() == 50


def test_hints_are_coalesced(warmer):
    queue = DrainQueue(store_of(warmer).rq.connection, warmer.settings)
    assert queue.hint() == 1
    assert [queue.hint() for _ in range(10)] == [0] * 10
    assert queue.hint(3) == 2
    assert queue.rq.count == 3
