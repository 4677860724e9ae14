"""How benchmarks run: their options, their time limits, their second tries, and the suite of quick runs."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

import histories
import policy
import read
import scale
import stampede
import warm_latency
import warm_throughput
from measuring import quick_suite
from measuring.limits import TIMED_OUT, TimeLimitError, wait_until
from measuring.promises import Promise, better, exit_code, not_judged

FOLDER = Path(histories.__file__).parent
BENCHMARKS = [histories, policy, read, scale, stampede, warm_latency, warm_throughput]


def test_every_file_of_the_folder_is_a_benchmark_that_the_suite_runs():
    assert [file.stem for file in quick_suite.benchmark_files([])] == [module.__name__ for module in BENCHMARKS]


@pytest.mark.parametrize("module", BENCHMARKS, ids=lambda module: module.__name__)
def test_every_benchmark_says_in_its_help_what_a_quick_run_leaves_out(module):
    command = [sys.executable, FOLDER / f"{module.__name__}.py", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert "--quick" in said
    assert "--json" in said
    assert ("--rounds" in said) == (module.BENCHMARK.rounds is not None)
    assert ("--plot" in said) == (module.BENCHMARK.plot is not None)
    assert module.BENCHMARK.quick.split(",")[0] in " ".join(said.split())


# --- promises --------------------------------------------------------------------------------------------------
def noisy(text, is_held):
    return Promise(text, f"measured {is_held}", is_held, is_noisy=True)


def test_a_noisy_promise_is_held_if_one_of_several_tries_finds_it_held():
    assert [each.is_held for each in better([noisy("a", False)], [noisy("a", True)])] == [True]
    assert [each.is_held for each in better([noisy("a", True)], [noisy("a", False)])] == [True]
    assert [each.is_held for each in better([noisy("a", False)], [noisy("a", False)])] == [False]


def test_a_promise_that_is_not_noisy_gets_no_second_chance():
    assert better([Promise("a", "1", False)], [Promise("a", "2", True)]) == [Promise("a", "1", False)]


def test_a_promise_that_is_not_judged_decides_nothing_by_itself():
    assert exit_code([Promise("a", "1", True), not_judged("b", "too noisy")]) == 0
    assert exit_code([Promise("a", "1", False), not_judged("b", "too noisy")]) == 1
    assert exit_code([not_judged("b", "too noisy")]) == 1
    assert exit_code([]) == 1


# --- time limits -----------------------------------------------------------------------------------------------
def test_a_wait_ends_with_what_it_waited_for():
    answers = iter([None, 0, "found"])
    assert wait_until(lambda: next(answers), "an answer", every_s=0) == "found"
    with pytest.raises(TimeLimitError, match=r"waited 0\.01 s for rain"):
        wait_until(lambda: False, "rain", limit_s=0.01, every_s=0.001)


def run_of(body, limit_s="0.2"):
    """Run a benchmark's frame around a body in a process of its own."""
    program = (
        "import sys, time, threading\n"
        "from measuring import ending, limits\n"
        f"ending.FULL_LIMIT_S, limits.CLEANUP_LIMIT_S = {limit_s}, 2.0\n"
        f"def measure(options):\n    {body}\n"
        "sys.exit(ending.Benchmark('doc', 'nothing', measure, None, None, None).run())\n"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=FOLDER, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("body", "limit_s", "said"),
    [
        ("time.sleep(60)", "0.2", "the run took longer than 0.2 s"),
        ("threading.Thread(target=time.sleep, args=[60]).start(); time.sleep(60)", "0.2", "cleaning up took longer"),
        ("limits.wait_until(lambda: False, 'rain', 0.01)", "60", "waited 0.01 s for rain"),
    ],
    ids=["hangs", "hangs-in-its-cleanup", "waits-for-nothing"],
)
def test_a_benchmark_that_hangs_ends_with_a_message_and_an_exit_code_of_its_own(body, limit_s, said):
    ended = run_of(body, limit_s)
    assert ended.returncode == TIMED_OUT
    assert f"timed out: {said}" in ended.stderr


# --- the suite -------------------------------------------------------------------------------------------------
def rows_of(tmp_path, program, limit_s=30.0):
    file = tmp_path / "some_benchmark.py"
    file.write_text(program)
    return quick_suite.rows_of(file, limit_s)


def test_the_suite_shows_each_promise_with_its_state(tmp_path):
    program = (
        "import json, sys\n"
        "assert sys.argv[1:] == ['--quick', '--json']\n"
        "states = ['held', 'not held', 'not judged']\n"
        "print(json.dumps({'promises': [{'text': s, 'measured': '1', 'state': s} for s in states]}, indent=2))\n"
        "sys.exit(1)\n"
    )
    rows = rows_of(tmp_path, program)
    assert [(row.benchmark, row.state, row.is_good) for row in rows] == [
        ("some_benchmark", "held", True),
        ("some_benchmark", "not held", False),
        ("some_benchmark", "not judged", True),
    ]


@pytest.mark.parametrize(
    ("program", "state", "said"),
    [
        ("import sys; sys.exit('Redis is missing')", "failed", "Redis is missing"),
        ("1 / 0", "failed", "ZeroDivisionError"),
        (f"import sys; print('timed out: rain', file=sys.stderr); sys.exit({TIMED_OUT})", "timed out", "rain"),
    ],
)
def test_a_benchmark_that_judges_nothing_fails_the_suite_with_its_last_words(tmp_path, program, state, said):
    (row,) = rows_of(tmp_path, program)
    assert (row.state, row.is_good) == (state, False)
    assert said in row.measured


def test_a_benchmark_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    marker = tmp_path / "alive"
    child = f"import time, pathlib\nwhile True:\n    pathlib.Path({str(marker)!r}).touch(); time.sleep(0.05)"
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "time.sleep(60)\n"
    )
    (row,) = rows_of(tmp_path, program, limit_s=3.0)
    assert row.state == "timed out"
    marker.unlink(missing_ok=True)
    time.sleep(0.5)
    assert not marker.exists()
