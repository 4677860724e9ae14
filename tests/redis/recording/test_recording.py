"""Recording reads: all of a sampled target, none of others, bounded, under anonymous keys; and it ends."""

import gzip
import json
import math
from threading import Event

import pytest
from click.testing import CliRunner

from tests.support.flow import server_ms
from tests.support.runtimes import runtime_of, store_of
from warmer import WarmingTask
from warmer.cli import record as command
from warmer.cli.main import main
from warmer.errors import RecordingError, StoreUnavailableError
from warmer.recording.read_recorder import LEASE_S, ReadRecorder
from warmer.recording.trace_file import new_trace
from warmer.simulation.policies import POLICIES
from warmer.simulation.trace.trace_reader import read_trace
from warmer.store.control.recordings import RecordingSpec


@pytest.fixture
def pages(warmer):
    """A fleet with one task of many targets."""
    warmer.register(WarmingTask(task_id="page", cache_key="page:{n}", compute_fn=lambda n: n, ttl=60, jitter=0))
    return warmer


def ref(n: int) -> str:
    return f'page{{"n":{n}}}'


def flush(warmer, *reads: tuple[int, int], first_ms: int = 0, last_ms: int = 0) -> None:
    """Flush reads: each of a page, and how many; half of them hits."""
    flush.number += 1
    batch = [(ref(n), "", count // 2, count - count // 2, [], 0, first_ms, last_ms) for n, count in reads]
    assert store_of(warmer).reads.flush("reader", flush.number, batch)


flush.number = 0


class Rows:
    """Where a recorder writes."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

    def __call__(self, rows) -> None:
        self.rows += [row.decode().split(",") for row in rows]

    def reads_by_key(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for _, key, reads, _ in self.rows:
            found[key] = found.get(key, 0) + int(reads)
        return found


def stopped() -> Event:
    stop = Event()
    stop.set()
    return stop


def recorded(warmer, sample: float, read, **options) -> tuple[Rows, object]:
    """Record while `read` runs."""
    rows, recorder = Rows(), ReadRecorder(store_of(warmer), sample, **options)
    with recorder.recording():
        read()
        recorder.run(60, stopped(), rows)
    return rows, recorder.totals


def traces_of_recording(warmer) -> list[bytes]:
    return [*store_of(warmer).control.scan_iter(f"{warmer.settings.namespace}:*record*")]


def test_reads_are_recorded_with_their_time_and_what_their_computation_costs(pages):
    store_of(pages).control.hset(store_of(pages).keys.stats + "page", mapping={"warmings": 2, "total_ms": 500})
    now_ms = server_ms(store_of(pages))
    rows, found = recorded(
        pages, 1.0, lambda: flush(pages, (1, 3), (2, 1), first_ms=now_ms - 200, last_ms=now_ms - 100)
    )
    assert [(time_s, reads, cost_s) for time_s, _, reads, cost_s in rows.rows] == [
        (f"{(now_ms - 100) / 1000:.3f}", "3", "0.25"),
        (f"{(now_ms - 100) / 1000:.3f}", "1", "0.25"),
    ]
    assert (found.reads, found.rows, found.targets, found.dropped) == (4, 2, 2, 0)


def test_an_unknown_cost_is_left_empty(pages):
    rows, _ = recorded(pages, 1.0, lambda: flush(pages, (1, 1)))
    assert rows.rows[0][3] == ""


def test_reads_that_are_far_apart_are_two_rows(pages):
    now_ms = server_ms(store_of(pages))
    rows, found = recorded(pages, 1.0, lambda: flush(pages, (1, 5), first_ms=now_ms - 3000, last_ms=now_ms))
    assert [(float(time_s), reads) for time_s, _, reads, _ in rows.rows] == [
        (pytest.approx(now_ms / 1000 - 3), "1"),
        (pytest.approx(now_ms / 1000), "4"),
    ]
    assert (found.reads, found.targets) == (5, 1)


def test_all_reads_of_a_target_are_recorded_or_none(pages):
    def read() -> None:
        for _ in range(3):
            flush(pages, *[(n, 2) for n in range(1000)])

    rows, found = recorded(pages, 0.3, read)
    assert set(rows.reads_by_key().values()) == {6}
    assert abs(found.targets - 300) < 5 * math.sqrt(1000 * 0.3 * 0.7)
    assert found.reads == 6 * found.targets


def test_keys_are_anonymous_and_differ_between_recordings(pages):
    first, _ = recorded(pages, 1.0, lambda: flush(pages, (1, 1), (2, 1)))
    second, _ = recorded(pages, 1.0, lambda: flush(pages, (1, 1), (2, 1)))
    assert len(first.reads_by_key()) == len(second.reads_by_key()) == 2
    assert first.reads_by_key().keys().isdisjoint(second.reads_by_key())
    assert all(len(key) == 16 and "page" not in key for key in first.reads_by_key())


def test_dropped_reads_are_counted(pages):
    def read() -> None:
        flush(pages, *[(n, 3) for n in range(8)])
        flush(pages, (1, 5))

    rows, found = recorded(pages, 1.0, read, capacity=6)
    assert len(rows.rows) == found.rows == 6
    assert (found.reads, found.dropped) == (18, 2 * 3 + 5)


def test_more_reads_than_the_capacity_are_recorded_if_taken_in_time(pages):
    rows, recorder = Rows(), ReadRecorder(store_of(pages), 1.0, capacity=100)
    stop, rounds = Event(), iter(range(5))

    def read_on(_) -> None:
        if next(rounds, None) is None:
            stop.set()
        else:
            flush(pages, *[(n, 1) for n in range(90)])

    with recorder.recording():
        recorder.run(60, stop, rows, read_on)
    assert (recorder.totals.reads, recorder.totals.dropped) == (450, 0)
    assert set(rows.reads_by_key().values()) == {5}


def test_taking_the_same_rows_again_gives_the_same_rows(pages):
    wanted = RecordingSpec("a1", "b2", 1.0, 1000)
    store_of(pages).recordings.hold(wanted, 10)
    flush(pages, *[(n, 1) for n in range(10)])
    take = store_of(pages).recordings.take
    first = take(wanted, b"0", 4)
    assert take(wanted, b"0", 4) == first
    second = take(wanted, first.last_id, 4)
    assert take(wanted, first.last_id, 4) == second
    third = take(wanted, second.last_id, 4)
    assert [len(first.rows), len(second.rows), len(third.rows)] == [4, 4, 2]
    assert len({*first.rows, *second.rows, *third.rows}) == 10
    assert take(wanted, third.last_id, 4) == ([], third.last_id)


def test_a_recording_leaves_nothing_in_redis(pages):
    recorded(pages, 1.0, lambda: flush(pages, (1, 1)), capacity=1)
    assert traces_of_recording(pages) == []
    flush(pages, (1, 1))
    assert traces_of_recording(pages) == []


def test_the_data_of_a_dead_recorder_expires(pages):
    control, keys = store_of(pages).control, store_of(pages).keys
    wanted = RecordingSpec("a1", "b2", 1.0, 1)
    store_of(pages).recordings.hold(wanted, LEASE_S)
    flush(pages, (1, 1), (2, 1))
    assert 0 < control.pttl(keys.recording) <= 1000 * LEASE_S
    assert 0 < control.pttl(keys.recorded + "a1") <= 60_000
    assert 0 < control.pttl(keys.unrecorded + "a1") <= 60_000


def test_there_is_one_recording_at_a_time(pages):
    first, second = ReadRecorder(store_of(pages), 1.0), ReadRecorder(store_of(pages), 1.0)
    with first.recording(), pytest.raises(RecordingError, match="another recording is under way"), second.recording():
        pass
    with second.recording():
        pass


def test_a_recording_that_was_replaced_ends_and_leaves_the_other_alone(pages):
    rows, recorder, other = Rows(), ReadRecorder(store_of(pages), 1.0), RecordingSpec("a1", "b2", 1.0, 10)

    def read_and_replace(_) -> None:
        flush(pages, (1, 1))
        store_of(pages).control.set(store_of(pages).keys.recording, other.text)

    with recorder.recording():
        flush(pages, (1, 1))
        with pytest.raises(RecordingError, match="another recording has begun"):
            recorder.run(60, Event(), rows, read_and_replace)
    assert recorder.totals.reads == 2, "what was read before"
    assert store_of(pages).control.get(store_of(pages).keys.recording) == other.text.encode()
    assert store_of(pages).recordings.take(other, b"0", 10).rows != []


@pytest.mark.parametrize("sample", [0, -0.1, 1.1, math.nan])
def test_a_sample_out_of_range_is_refused(pages, sample):
    with pytest.raises(RecordingError, match="above 0 and at most 1"):
        ReadRecorder(store_of(pages), sample)


def test_without_redis_it_is_refused(own_server, make_warmer):
    warmer = make_warmer(redis_url=own_server.url)
    recorder = ReadRecorder(store_of(warmer), 1.0)
    own_server.stop()
    with pytest.raises(StoreUnavailableError), recorder.recording():
        pass


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def record(pages, monkeypatch):
    """Runs the command on this fleet while pages are read, as processes do."""
    monkeypatch.setattr(command, "fleet_runtime", lambda: runtime_of(pages))
    reads = iter(range(10_000))

    @pages.warmed("item:{n}", ttl=60)
    def item(n: int) -> int:
        return n

    run = ReadRecorder.run

    def run_with_reads(self, seconds, stop, write, progress):
        def read_on(so_far) -> None:
            for _ in range(20):
                item(next(reads) % 7)
            runtime_of(pages).background.tick()
            progress(so_far)

        run(self, seconds, stop, write, read_on)

    monkeypatch.setattr(ReadRecorder, "run", run_with_reads)
    return lambda *arguments: CliRunner().invoke(main, ["record", *map(str, arguments)])


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz"])
def test_recorded_reads_can_be_simulated(record, tmp_path, name):
    file = tmp_path / name
    result = record(file, "--minutes", 0.03, "--sample", 1, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["targets"], found["dropped"]) == (7, 0)
    trace, counts = read_trace(str(file))
    assert (trace.read_count, trace.key_count, counts.left_out.total()) == (found["reads"], 7, 0)
    assert trace.read_count >= 40
    simulated = CliRunner().invoke(main, ["simulate", str(file), "--ttl", "1", "--json"])
    assert simulated.exit_code == 0, simulated.output
    assert {row["policy"] for row in json.loads(simulated.stdout)} == set(POLICIES)
    content = file.read_bytes()
    text = gzip.decompress(content) if name.endswith(".gz") else content
    assert text.startswith(b"time_s,key,reads,cost_s\n")


def test_a_recording_of_nothing_says_so(pages, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "fleet_runtime", lambda: runtime_of(pages))
    result = CliRunner().invoke(main, ["record", str(tmp_path / "trace.csv"), "--minutes", "0.005"])
    assert result.exit_code == 1
    assert "nothing was recorded" in result.stderr
    assert "0 reads of 0 targets" in result.stdout


def test_an_existing_file_is_never_overwritten(record, pages, tmp_path):
    file = tmp_path / "trace.csv"
    file.write_text("precious")
    result = record(file)
    assert (result.exit_code, file.read_text()) == (2, "precious")
    assert "exists: move it" in result.stderr
    assert traces_of_recording(pages) == []


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="cannot: FileNotFoundError"), new_trace(tmp_path / "none" / "trace.csv"):
        pass
