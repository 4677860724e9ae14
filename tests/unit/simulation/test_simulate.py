"""The command `warmer simulate`: its tables, its JSON, its picture, and what it refuses."""

import json
import sys

import pytest
from click.testing import CliRunner

from tests.support.command import COMMAND

FIELDS = {
    "trace", "ttl_s", "policy", "extra_compute", "miss_ratio", "baseline_miss_ratio", "compulsory_ratio",
    "compute_ratio", "removed", "wasted_ratio", "peak_concurrency", "reads",
}  # fmt: skip
CSV = "".join(f"{second},{second % 7 % 3}\n" for second in range(0, 9000, 5))


def simulate(*arguments, stdin=None):
    return CliRunner().invoke(COMMAND, ["simulate", *map(str, arguments)], input=stdin)


@pytest.fixture
def reads(tmp_path):
    file = tmp_path / "reads.csv"
    file.write_text(CSV)
    return file


def test_json_has_a_row_for_each_trace_ttl_policy_and_extra_compute(reads):
    result = simulate(reads, "--ttl", "60,300", "--extra-compute", "0.1,0.5", "--policy", "plain,rlfu,all", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert all(set(row) >= FIELDS for row in rows)
    assert [(row["ttl_s"], row["policy"], row["extra_compute"]) for row in rows] == [
        (ttl_s, policy, extra)
        for ttl_s in (60.0, 300.0)
        for policy, extra in (("plain", None), ("rlfu", 0.1), ("rlfu", 0.5), ("all", None))
    ]
    assert {row["compute_ratio"] for row in rows if row["policy"] == "plain"} == {1.0}


def test_by_default_every_policy_is_compared(reads):
    rows = json.loads(simulate(reads, "--json").stdout)
    assert {row["policy"] for row in rows} == {
        "warmer", "plain", "all", "tiers", "xfetch", "rlfu", "rlru", "clairvoyant"
    }  # fmt: skip


def test_people_get_a_table_for_each_trace_and_ttl(reads, tmp_path):
    (tmp_path / "more.csv").write_text(CSV)
    result = simulate(reads, tmp_path / "more.csv", "--ttl", "60,300", "--policy", "plain,rlru")
    titles = [f"{name}, ttl {ttl} s" for name in ("reads", "more") for ttl in (60, 300)]
    assert [title in result.stdout for title in titles] == [True] * 4
    assert "rlru" in result.stdout
    assert "misses removed" in result.stdout


def test_standard_input_is_a_trace(reads):
    rows = json.loads(simulate("-", "--policy", "plain", "--json", stdin=CSV).stdout)
    assert [row["trace"] for row in rows] == ["stdin"]


def test_traces_with_equal_names_are_distinguished(reads, tmp_path):
    (tmp_path / "folder").mkdir()
    other = tmp_path / "folder" / "reads.csv"
    other.write_text("0,a\n1,a\n")
    rows = json.loads(simulate(reads, other, "--policy", "plain", "--json").stdout)
    assert [row["trace"] for row in rows] == ["reads", str(other)]


def test_invalid_lines_are_reported_beside_the_result(tmp_path):
    (tmp_path / "reads.csv").write_text(CSV + "rubbish\n")
    result = simulate(tmp_path / "reads.csv", "--policy", "plain", "--json")
    assert json.loads(result.stdout)
    assert "read as csv (by position: time in s, key), 1,800 of 1,801 lines" in result.stderr
    assert "left out: 1 unreadable, the first is line 1801, 'rubbish'" in result.stderr


def test_json_has_the_format_and_the_lines_that_were_left_out_by_reason(tmp_path):
    line = '::1 - - [10/Oct/2025:13:{:02}:00 +0000] "{} HTTP/1.1" {} 5\n'
    requests = [("GET /a", 200)] * 9 + [("POST /a", 200), ("GET /b", 500), ("GET /c", 404)]
    (tmp_path / "log").write_text("".join(line.format(i, *request) for i, request in enumerate(requests)) + "noise\n")
    (row,) = json.loads(simulate(tmp_path / "log", "--policy", "plain", "--json").stdout)
    assert (row["format"], row["lines"], row["lines_read"]) == ("access-log", 13, 9)
    assert row["lines_left_out"] == {"error_status": 2, "other_method": 1, "unreadable": 1}


def test_a_format_can_be_forced(reads):
    assert simulate(reads, "--policy", "plain", "--format", "csv").exit_code == 0
    refused = simulate(reads, "--policy", "plain", "--format", "json")
    assert (refused.exit_code, "expected a JSON object" in refused.stderr) == (2, True)
    assert "'access-log'" in simulate(reads, "--format", "xml").stderr


def test_help_lists_the_formats_and_is_wrapped_for_a_terminal():
    lines = simulate("--help").stdout.splitlines()
    for name in ("csv", "csv-semicolon", "tsv", "access-log", "json", "aws-lb", "haproxy", "w3c"):
        assert any(line.startswith(f"  {name} ") for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ttl", "0"], "expected comma-separated numbers from 1 to"),
        (["--ttl", "60,,300"], "got ''"),
        (["--extra-compute", "nan"], "got 'nan'"),
        (["--policy", "best"], "expected comma-separated names out of"),
        (["--warmup", "1"], "0<=x<1"),
        (["--plot", "/no/such/folder/frontier.png"], "a folder that exists"),
        (["--plot", "frontier.docx", "--policy", "plain"], "a file such as frontier.png"),
        (["nothing.csv"], "No such file"),
    ],
)
def test_invalid_arguments_are_refused_with_exit_code_2(reads, arguments, said):
    result = simulate(reads, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_picture_is_drawn(reads, tmp_path):
    file = tmp_path / "frontier.png"
    result = simulate(reads, "--ttl", "60,300", "--policy", "plain,all,tiers,rlfu,clairvoyant", "--plot", file)
    assert result.exit_code == 0, result.output
    assert file.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_plotting_is_refused_before_the_replay(reads, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = simulate(reads, "--plot", "frontier.png")
    assert result.exit_code == 2
    assert "pip install 'warmer[bench]'" in result.stderr


def test_help_names_the_command():
    assert "simulate" in CliRunner().invoke(COMMAND, ["--help"]).stdout
    assert "clairvoyant" in simulate("--help").stdout
