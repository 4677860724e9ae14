"""Bulk warming without a server: what is outstanding is bounded, counted once, and ends whatever gets lost."""

import io
import json
import os
import re
import threading

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisAway
from rich.console import Console

from tests.support.runtimes import runtime_of
from warmer import BulkWarming, InvalidTaskError, WaitTimeoutError, WarmerError, WarmingTask
from warmer.cli import main as cli
from warmer.cli.bulk_view import first_errors, progress_line, wait_with_bar
from warmer.cli.exits import EXIT_REFUSED
from warmer.cli.json_lines import LinesFile, items_at, items_of, lines_of
from warmer.on_demand.bulk.feeder import CHECK_INTERVAL_S, CHUNK, MAX_UNKNOWN_S, OVERDUE_S, RETRY_INTERVAL_S, Feeder
from warmer.on_demand.bulk.intake import Intake
from warmer.on_demand.bulk.items import check_in_flight, check_items, labelled, refs_of
from warmer.on_demand.bulk.progress import GRAIN_S, WINDOW_S, Pace, Progress
from warmer.on_demand.warming import rejection
from warmer.testing import ManualClock, MemoryWarmer


class FakeRequests:
    """A fleet in a few sets: what waits, what has begun, and what is told to the one watcher."""

    def __init__(self) -> None:
        self.asked: dict[str, bool] = {}
        self.begun: set[str] = set()
        self.told: list[dict] = []
        self.calls: list[tuple[int, bool]] = []
        self.computed: list[str] = []
        self.answer = "asked"
        self.room = 10**9
        self.the_epoch: str | None = "one"
        self.away = False
        self.loses_reply = False
        self.most_waiting = 0
        self.hints = 0

    def hint(self) -> None:
        self.hints += 1

    def submit(self, refs, force):
        self._reach()
        self.calls.append((len(refs), force))
        answers = [self._ask(ref, force) for ref in refs]
        self.most_waiting = max(self.most_waiting, len(self.asked))
        if self.loses_reply:
            self.loses_reply = False
            raise RedisAway("the reply was lost")
        return answers

    def _ask(self, ref, force):
        if self.answer == "asked" and ref not in self.asked:
            if len(self.asked) >= self.room:
                return "full"
            self.asked[ref] = force
        return self.answer

    def next_outcomes(self, count, timeout_s):
        self._reach()
        heard, self.told = self.told[:count], self.told[count:]
        return heard

    def withdraw(self, refs):
        self._reach()
        for ref in set(refs) - self.begun:
            self.asked.pop(ref, None)
        return set(refs) & self.begun

    def epoch(self):
        self._reach()
        return self.the_epoch

    def work(self, count=10**9, result="published"):
        for ref in list(self.asked)[:count]:
            del self.asked[ref]
            self.begun.discard(ref)
            self.computed.append(ref)
            error = "ValueError: no" if result == "failed" else ""
            self.told.append({"ref": ref, "result": result, "duration_ms": 1.0, "error": error})

    def lose_everything(self, epoch):
        self.asked.clear()
        self.begun.clear()
        self.told.clear()
        self.the_epoch = epoch

    def _reach(self) -> None:
        if self.away:
            raise RedisAway("nobody there")


class Run:
    """A feeder that is moved by the test, on a clock that stands still."""

    def __init__(self, items, total=None, force=False, in_flight=10_000, requests=None) -> None:
        self.clock = ManualClock()
        self.requests = requests or FakeRequests()
        self.intake = Intake(iter(items), ref_of)
        self.feeder = Feeder(
            self.requests, self.intake, total, force=force, in_flight=in_flight, capacity=9, clock=self.clock
        )
        self.handle = BulkWarming("t", self.feeder)

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.feeder.catch_up()

    def finish(self, result="published"):
        for _ in range(1000):
            self.feeder.catch_up()
            if self.handle.is_done:
                return self.handle.wait(0)
            self.requests.work(result=result)
            self.clock.advance(RETRY_INTERVAL_S)
        raise AssertionError(f"never ends: {self.handle}")


def ref_of(item) -> str:
    if isinstance(item, str):
        raise InvalidTaskError("no number")
    return f't{{"n":{item}}}'


def test_all_items_of_a_generator_are_warmed_in_chunks():
    run = Run(n for n in range(1_200))
    assert run.handle.total is None
    outcome = run.finish()
    assert (outcome.total, outcome.warmed, outcome.failed, outcome.cancelled) == (1_200, 1_200, 0, 0)
    assert [count for count, _ in run.requests.calls] == [CHUNK, CHUNK, 200]
    assert sorted(run.requests.computed) == sorted(ref_of(n) for n in range(1_200))


def test_an_empty_iterable_is_done_at_once():
    outcome = Run([], total=0).finish()
    assert (outcome.total, outcome.warmed) == (0, 0)


@given(
    items=st.lists(st.integers(0, 40) | st.text(max_size=2), max_size=120),
    in_flight=st.integers(1, 30),
    force=st.booleans(),
    steps=st.lists(st.integers(0, 5), max_size=20),
)
def test_whatever_comes_every_item_is_counted_once_and_no_more_are_outstanding_than_may(items, in_flight, force, steps):
    run = Run(items, in_flight=in_flight, force=force)
    for step in steps:
        run.feeder.catch_up()
        assert run.handle.outstanding <= in_flight
        run.requests.work(step)
    outcome = run.finish()
    assert run.requests.most_waiting <= in_flight
    assert outcome.warmed + outcome.fresh + outcome.failed == outcome.total == len(items)
    assert outcome.failed == sum(isinstance(item, str) for item in items)
    assert run.handle.outstanding == 0
    if force:
        assert len(run.requests.computed) == len(set(run.requests.computed))


def test_items_that_are_equal_are_computed_once_and_each_counted():
    run = Run([7, 7, 8, 7], force=True)
    run.feeder.catch_up()
    assert (run.handle.requested, run.handle.outstanding) == (4, 4)
    assert run.finish().warmed == 4
    assert len(run.requests.computed) == 2


def test_a_failed_target_that_comes_again_is_told_as_it_was():
    run = Run([7] * 5, force=True, in_flight=2)
    outcome = run.finish("failed")
    assert (outcome.failed, outcome.errors) == (5, {ref_of(7): "ValueError: no"})
    assert run.requests.computed == [ref_of(7)]


def test_an_item_that_fits_no_target_is_counted_with_its_reason_and_the_others_go_on():
    outcome = Run([1, "x", 2]).finish()
    assert (outcome.warmed, outcome.failed, outcome.errors) == (2, 1, {"item 2: 'x'": "no number"})


def test_no_more_than_a_hundred_failures_are_kept():
    outcome = Run(map(str, range(300))).finish()
    assert (outcome.failed, len(outcome.errors)) == (300, 100)
    assert next(iter(outcome.errors)) == "item 1: '0'"


def test_an_iterable_that_raises_fails_the_handle_once_what_was_asked_has_ended():
    def broken():
        yield from range(3)
        raise OSError("the cursor is gone")

    run = Run(broken())
    run.feeder.catch_up()
    assert not run.handle.is_done
    run.requests.work()
    run.feeder.catch_up()
    assert run.handle.warmed == 3
    for _ in range(2):
        with pytest.raises(OSError, match="the cursor is gone"):
            run.handle.wait(0)


def test_a_chunk_whose_reply_was_lost_is_asked_again_and_counted_once():
    run = Run(range(10))
    run.requests.loses_reply = True
    with pytest.raises(RedisAway):
        run.feeder.advance(0)
    assert run.handle.requested == 0
    outcome = run.finish()
    assert (outcome.warmed, run.handle.requested) == (10, 10)
    assert [count for count, _ in run.requests.calls] == [10, 10]


def test_outcomes_that_come_before_the_lost_reply_is_made_up_for_are_counted():
    run = Run(range(10), force=True)
    run.requests.loses_reply = True
    with pytest.raises(RedisAway):
        run.feeder.advance(0)
    run.requests.work(4)
    assert run.feeder.catch_up()
    run.requests.work()
    outcome = run.finish()
    assert outcome.warmed == 10


def test_what_is_overdue_is_asked_for_again_without_force():
    run = Run(range(3), force=True)
    run.feeder.catch_up()
    run.requests.work()
    run.requests.told.clear()  # lost on the way
    run.later(OVERDUE_S - CHECK_INTERVAL_S)
    assert run.requests.calls == [(3, True)]
    run.later(2 * CHECK_INTERVAL_S)
    assert run.requests.calls == [(3, True), (3, False)]
    run.requests.work(result="fresh")
    assert run.finish().fresh == 3


def test_after_redis_was_emptied_all_that_is_outstanding_is_asked_for_anew():
    run = Run(range(3), force=True)
    run.feeder.catch_up()
    run.requests.lose_everything(epoch=None)
    run.later(CHECK_INTERVAL_S)
    assert run.requests.calls == [(3, True)], "nobody has registered anything yet"
    run.requests.the_epoch = "two"
    run.later(CHECK_INTERVAL_S)
    assert run.requests.calls == [(3, True), (3, True)]
    assert run.finish().warmed == 3
    assert run.handle.requested == 3


def test_a_backlog_that_is_full_is_waited_for():
    run = Run(range(10))
    run.requests.room = 4
    run.feeder.catch_up()
    assert (run.handle.requested, run.handle.outstanding, run.handle.failed) == (4, 10, 0)
    calls = len(run.requests.calls)
    run.feeder.catch_up()
    assert len(run.requests.calls) == calls, "not before a while"
    assert run.finish().warmed == 10
    assert run.requests.most_waiting == 4


def test_a_task_that_is_unknown_for_a_moment_is_waited_for_and_for_longer_fails():
    run = Run(range(3))
    run.requests.answer = "unknown"
    run.feeder.catch_up()
    run.later(MAX_UNKNOWN_S / 2)
    assert run.handle.failed == 0
    run.requests.answer = "asked"
    run.later(RETRY_INTERVAL_S)
    assert run.handle.requested == 3
    assert run.finish().warmed == 3

    run = Run(range(3))
    run.requests.answer = "unknown"
    run.feeder.catch_up()
    run.later(MAX_UNKNOWN_S + 1)
    assert run.handle.wait(0).failed == 3
    assert "task 't' is not registered" in run.handle.errors[ref_of(0)]


@pytest.mark.parametrize("answer", ["disabled", "quarantined"])
def test_what_workers_will_not_do_fails_with_the_reason(answer):
    run = Run(range(3))
    run.requests.answer = answer
    run.feeder.catch_up()
    assert run.handle.wait(0).failed == 3
    assert str(rejection("t", answer, 9)) in run.handle.errors.values()


def test_cancelling_takes_back_what_nobody_has_begun_and_waits_for_the_rest():
    run = Run((n for n in range(10_000)), in_flight=1_000)
    run.feeder.catch_up()
    run.requests.work(10)
    run.requests.begun.update(list(run.requests.asked)[:5])
    run.handle.cancel()
    run.handle.cancel()
    assert run.handle.is_cancelled
    run.feeder.catch_up()
    assert (run.handle.warmed, run.handle.outstanding, run.handle.is_done) == (10, 5, False)
    assert len(run.requests.asked) == 5
    run.requests.work()
    run.feeder.catch_up()
    outcome = run.handle.wait(0)
    assert (outcome.total, outcome.warmed, outcome.cancelled) == (None, 15, 985)


def test_cancelling_counts_all_that_was_left_where_the_number_is_known():
    run = Run(range(10_000), total=10_000, in_flight=1_000)
    run.feeder.catch_up()
    run.handle.cancel()
    run.feeder.catch_up()
    outcome = run.handle.wait(0)
    assert (outcome.total, outcome.warmed, outcome.cancelled) == (10_000, 0, 10_000)


def test_what_had_begun_when_it_was_cancelled_and_died_ends_all_the_same():
    run = Run(range(5))
    run.feeder.catch_up()
    run.requests.begun.update(run.requests.asked)
    run.handle.cancel()
    run.feeder.catch_up()
    assert not run.handle.is_done
    run.requests.begun.clear()  # its worker died
    run.later(CHECK_INTERVAL_S)
    assert run.handle.wait(0).cancelled == 5


def test_cancelling_while_redis_is_away_ends_when_it_is_back():
    run = Run(range(5))
    run.feeder.catch_up()
    run.requests.away = True
    run.handle.cancel()
    with pytest.raises(RedisAway):
        run.feeder.advance(0)
    run.requests.away = False
    run.feeder.catch_up()
    assert run.handle.wait(0).cancelled == 5


def test_cancelling_what_is_done_changes_nothing():
    run = Run(range(5))
    run.finish()
    run.handle.cancel()
    assert (run.handle.is_cancelled, run.handle.wait(0).cancelled) == (False, 0)


def test_waiting_in_vain_says_how_far_it_is():
    run = Run(range(5), total=5)
    run.feeder.catch_up()
    with pytest.raises(WaitTimeoutError, match=r"0 of 5 targets of 't' .* 5 are outstanding"):
        run.handle.wait(0.01)


def test_a_drain_is_asked_for_when_work_begins():
    run = Run(range(5))
    run.feeder.catch_up()
    assert run.requests.hints == 1


# --- with its threads ----------------------------------------------------------------------------------------


@pytest.fixture
def threaded():
    """Runs in threads of their own, with a fleet that computes at once."""
    runs: list[Run] = []

    def begin(items, **options) -> Run:
        run = Run(items, **options)
        requests, hear = run.requests, run.requests.next_outcomes

        def compute_and_tell(count, timeout_s):
            requests.work()
            return hear(count, timeout_s)

        requests.next_outcomes = compute_and_tell
        runs.append(run)
        threading.Thread(target=run.feeder.run, daemon=True).start()
        return run

    yield begin
    for run in runs:
        run.feeder.close()


def test_an_iterable_that_keeps_one_waiting_does_not_hold_up_what_it_has_yielded(threaded, eventually):
    go_on = threading.Event()

    def slow():
        yield 1
        go_on.wait(10)
        yield 2

    run = threaded(slow())
    eventually(lambda: run.handle.warmed == 1)
    go_on.set()
    assert run.handle.wait(10).warmed == 2


def test_an_iterable_that_keeps_one_waiting_does_not_hold_up_the_end_of_a_cancelled_run(threaded, eventually):
    held = threading.Event()
    closed = threading.Event()

    def stuck():
        try:
            yield 1
            held.wait(10)
            yield 2
        finally:
            closed.set()

    run = threaded(stuck())
    eventually(lambda: run.handle.warmed == 1)
    run.handle.cancel()
    assert run.handle.wait(10).warmed == 1
    held.set()
    assert closed.wait(10), "the generator is closed as soon as it comes back"


def test_redis_being_away_is_outlived_and_told_once(threaded, caplog):
    requests = FakeRequests()
    requests.away = True
    run = threaded(range(3), requests=requests)
    with pytest.raises(WaitTimeoutError):
        run.handle.wait(2.5 * RETRY_INTERVAL_S)
    requests.away = False
    assert run.handle.wait(10).warmed == 3
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert "Redis is away" in said[0]
    assert said[1] == "Redis is back"


def test_a_failure_of_our_own_ends_the_run_and_is_raised(threaded):
    requests = FakeRequests()
    requests.answer = ["not", "a", "text"]
    requests.submit = lambda refs, force: []
    run = threaded(range(3), requests=requests)
    with pytest.raises(ValueError, match="zip"):
        run.handle.wait(10)


def test_closing_ends_a_run_and_tells_those_who_wait(threaded):
    requests = FakeRequests()
    requests.room = 0
    run = threaded(range(3), requests=requests)
    run.feeder.close()
    with pytest.raises(WarmerError, match="closed"):
        run.handle.wait(10)


# --- items and lines -----------------------------------------------------------------------------------------


def square(n: int, shop: str = "north") -> int:
    return n * n


SQUARE = WarmingTask(task_id="square", cache_key="square:{n}:{shop}", compute_fn=square)


@pytest.mark.parametrize("item", [3, "3", (3,), (3, "north"), {"n": 3}, {"n": "3", "shop": "north"}])
def test_items_are_spread_as_many_does(item):
    assert refs_of(SQUARE)(item) == SQUARE.target(n=3).ref


@pytest.mark.parametrize("item", [3, (3,), {"n": 3}])
def test_a_single_argument_fits_where_only_the_definition_is_known(item):
    known = WarmingTask.from_definition(json.loads(SQUARE.definition()))
    assert refs_of(known)(item) == SQUARE.target(n=3).ref


def test_the_order_of_arguments_is_not_guessed_where_the_definition_does_not_have_it():
    known = WarmingTask.from_definition(json.loads(SQUARE.definition()) | {"positional": []})
    with pytest.raises(InvalidTaskError, match="by name"):
        refs_of(known)((3, "north"))


@pytest.mark.parametrize("item", ["x", (1, 2, 3), {"m": 1}, None, [1], object()])
def test_items_that_fit_no_target_are_refused(item):
    with pytest.raises(InvalidTaskError):
        refs_of(SQUARE)(item)


def test_what_cannot_be_shown_still_has_a_label():
    class Mute:
        def __repr__(self) -> str:
            raise ValueError("no words")

    assert labelled(2, Mute()) == "item 2: a Mute"
    assert len(labelled(2, "x" * 1000)) < 100


@pytest.mark.parametrize("items", ["abc", b"abc", {"n": 1}, 7, None])
def test_one_thing_is_not_taken_for_many(items):
    with pytest.raises(InvalidTaskError, match="warm_many takes an iterable"):
        check_items(items)


@pytest.mark.parametrize("in_flight", [0, -1, 1.5, True, "9"])
def test_a_bound_that_is_none_is_refused(in_flight):
    with pytest.raises(InvalidTaskError, match="in_flight"):
        check_in_flight(in_flight)


def test_lines_are_items_and_a_bad_one_says_so():
    one, bad, array = items_of(iter([b"1\n", b"\n", b"{'n'\n", b"[1, 2]"]))
    assert (one, array) == (1, (1, 2))
    with pytest.raises(InvalidTaskError, match="line 3 is not JSON"):
        refs_of(SQUARE)(bad)


def test_lines_that_are_no_json_are_texts_and_a_bom_is_skipped():
    lines = [b'\xef\xbb\xbf"first"', b"3f2504e0-4f89-11d3", b"007", b"7", b"a b\r", b"nul", b"true", b"-1.5"]
    assert list(items_of(iter(lines))) == ["first", "3f2504e0-4f89-11d3", "007", 7, "a b", "nul", True, -1.5]


def test_large_whole_numbers_stay_exact():
    assert list(items_of(iter([b"12345678901234567890123", b'{"n": 9223372036854775808}']))) == [
        12345678901234567890123,
        {"n": 9223372036854775808},
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"12e5", b"1e400", b"[1e400]", b"0.12345678901234567890123", b"NaN", b'{"n": 1, "n": 2}', b'{"n": 1', b'["a"',
        b'"a', b"\xff", b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_would_change_silently_is_refused(line):
    (item,) = items_of(iter([line]))
    assert isinstance(item, InvalidTaskError)
    assert str(item).startswith("line 1")
    assert len(str(item)) < 700


def test_arrays_are_arguments_by_position_where_only_the_definition_is_known():
    def load(shop: int, sku: str) -> str: ...

    defined = WarmingTask(task_id="stock", cache_key="stock:{sku}:{shop}", compute_fn=load)
    read = WarmingTask.from_definition(orjson.loads(defined.definition()))
    assert refs_of(read)((1, "a")) == refs_of(defined)((1, "a")) == 'stock{"shop":1,"sku":"a"}'


def test_a_file_knows_how_many_items_it_has(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'1\n\n{"n": 2}\n3')
    assert len(LinesFile(path)) == 3
    assert list(items_at(str(path))) == [1, {"n": 2}, 3]


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), min_size=1))
def test_lines_of_a_pipe_come_as_they_were_written(lines):
    reader, writer = os.pipe()
    os.write(writer, b"\n".join(lines))
    os.close(writer)
    assert list(lines_of(reader)) == lines
    os.close(reader)


# --- figures -------------------------------------------------------------------------------------------------


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.floats(0.05, 3.0), st.integers(1, 100))
def test_the_pace_is_that_of_the_latest_seconds(before, after, step_s, steps):
    """Whatever it was before, and however often one looks."""
    pace, now_s, done = Pace(0.0), 0.0, 0.0
    for rate, count in ((before, steps), (after, int((WINDOW_S + GRAIN_S) / step_s) + 3)):
        for _ in range(count):
            now_s, done = now_s + step_s, done + rate * step_s
            pace.note(now_s, done)
            assert min(before, after) - 1e-6 <= pace.per_s(now_s, done) <= max(before, after) + 1e-6
    # A note that is a little older than the window may still be the one to measure from.
    assert pace.per_s(now_s, done) == pytest.approx(
        after, abs=1e-6 + abs(after - before) * (step_s + GRAIN_S) / WINDOW_S
    )


def test_time_left_is_known_only_with_a_total_and_a_pace():
    unknown, known = Progress(None, 0.0), Progress(100, 0.0)
    assert (unknown.eta_s(5.0), known.eta_s(5.0)) == (None, None)
    for progress in (unknown, known):
        progress.end("published", 50, "t", None)
        progress.pass_to(5.0)
    assert (unknown.eta_s(5.0), known.eta_s(5.0)) == (None, 5.0)
    known.stop(10.0)
    assert (known.eta_s(99.0), known.per_s(99.0), known.duration_s(99.0)) == (0.0, 5.0, 10.0)


# --- what people see -----------------------------------------------------------------------------------------


def test_a_terminal_shows_a_bar_and_anything_else_does_not():
    shown = {}
    for is_terminal in (True, False):
        run, text = Run(range(4), total=4), io.StringIO()
        run.feeder.catch_up()
        threading.Timer(0.4, run.finish).start()
        outcome = wait_with_bar(run.handle, Console(file=text, force_terminal=is_terminal, width=100))
        assert outcome.warmed == 4
        shown[is_terminal] = text.getvalue()
    assert "0/4" in shown[True]
    assert shown[False] == ""


def test_how_far_it_is_fits_one_line():
    run = Run([*range(2_000), "x"], total=2_001, in_flight=1_000)
    run.feeder.catch_up()
    assert progress_line(run.handle) == "0/2,001, 0/s"
    run.requests.work()
    run.later(1.0)
    assert re.fullmatch(r"1,000/2,001, \d[\d,]*/s, \d s left", progress_line(run.handle))
    run.finish()
    assert "1 failed" in progress_line(run.handle)


def test_only_the_first_failures_are_listed():
    lines = first_errors(Run(map(str, range(300))).finish())
    assert len(lines) == 6
    assert lines[-1] == "and 295 more"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--many", "-", "--arguments", "{}"], "leave out"),
        (["--many", "-", "--wait", "1"], "leave out"),
        (["--json"], "need --many"),
        (["--in-flight", "9"], "need --many"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, words):
    refused = CliRunner().invoke(cli.main, ["warm", "square", *arguments])
    assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
    assert words in refused.stderr


# --- beside a test's own clock -------------------------------------------------------------------------------


def test_a_run_without_threads_is_moved_by_the_test():
    memory = MemoryWarmer()
    memory.register(SQUARE)
    handle = memory.warm_many("square", [1, 2, 2, "x"], in_flight=2)
    assert (handle.requested, handle.done) == (2, 0)
    while runtime_of(memory).bulk_runs.advance() or not handle.is_done:
        memory.drain()
    assert (handle.wait(0).warmed, handle.fresh, handle.failed) == (2, 1, 1)
    assert memory.get("square:2:north") == 4
    memory.close()
