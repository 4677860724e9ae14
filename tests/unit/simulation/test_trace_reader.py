"""Traces are read in each format, and refused with a reason."""

import gzip
import io
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.errors import TraceError
from warmer.simulation.trace.access_log import AccessLog
from warmer.simulation.trace.csv import row_of_fields
from warmer.simulation.trace.line import Line
from warmer.simulation.trace.trace import Trace, trace_of
from warmer.simulation.trace.trace_reader import read_trace

LOG = (
    '::1 - - [10/Oct/2025:13:55:36 -0700] "GET /a?page=2 HTTP/1.1" 200 2326\n'
    '::1 - frank [10/Oct/2025:20:55:36 +0000] "HEAD /a?page=2 HTTP/1.1" 304 - "-" "curl/8"\n'
    '::1 - - [10/Oct/2025:20:55:40 +0000] "POST /a HTTP/1.1" 200 1 "-" "curl/8"\n'
    '::1 - - [10/Oct/2025:20:55:41 +0000] "GET /gone HTTP/1.1" 404 1 "-" "curl/8"\n'
    'www.example.org:443 ::1 - - [10/Oct/2025:20:55:42 +0000] "GET /b HTTP/2.0" 200 1 "-" "a \\"quoted\\" agent"\n'
)


def written(folder, text, name="reads.csv"):
    file = folder / name
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("heading", ["", "time_s,key,reads,cost_s\n"])
def test_csv_is_read_with_and_without_a_heading(tmp_path, heading):
    trace, counts = read_trace(written(tmp_path, heading + "0,a,2,0.5\n1.5,b,1,0.1\n3,a,4,0.7\n"))
    assert trace == Trace("reads", [0.0, 1.5, 3.0], [0, 1, 0], [2, 1, 4], [0.5, 0.1, 0.7])
    assert (counts.format, counts.lines, counts.read, counts.left_out) == ("csv", 3, 3, {})


def test_columns_are_found_by_their_names(tmp_path):
    trace, _ = read_trace(written(tmp_path, "status,key,time_s\n200,/a,7\n200,/b,5\n"))
    assert (trace.times_s, trace.keys, trace.reads, trace.costs_s) == ([5.0, 7.0], [0, 1], [1, 1], None)


def test_quoted_keys_may_contain_commas(tmp_path):
    trace, counts = read_trace(written(tmp_path, '0,"a,1",1\n1,"a,2",1\n2,"a,1",1\n'))
    assert (trace.keys, counts.left_out) == ([0, 1, 0], {})


def test_compression_is_detected_by_content_not_by_name(tmp_path):
    (tmp_path / "plain.gz").write_text("0,a\n")
    (tmp_path / "packed.csv").write_bytes(gzip.compress(b"0,a\n", mtime=0))
    read = [read_trace(str(tmp_path / name))[0] for name in ("plain.gz", "packed.csv")]
    assert [(trace.name, trace.times_s) for trace in read] == [("plain", [0.0]), ("packed", [0.0])]


def test_standard_input_may_be_compressed_too(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(b"0,a\n9,a\n", mtime=0))))
    trace, _ = read_trace("-")
    assert (trace.name, trace.times_s) == ("stdin", [0.0, 9.0])


def test_reads_of_a_log_are_get_and_head_requests_that_did_not_fail(tmp_path):
    trace, counts = read_trace(written(tmp_path, LOG))
    assert trace == Trace("reads", [1760129736.0, 1760129742.0], [0, 1], [2, 1], None)
    assert (counts.lines, counts.left_out) == (5, {"other_method": 1, "error_status": 1})


@pytest.mark.parametrize(
    ("asked_for", "with_query", "key"),
    [
        ("/a?page=2", True, "/a?page=2"),
        ("/a?page=2", False, "/a"),
        ("/a?", True, "/a"),
        ("/a#top", True, "/a"),
        ("http://example.org/a?b=1", True, "/a?b=1"),
        ("https://example.org", True, "/"),
        ("*", True, "*"),
    ],
)
def test_a_key_of_a_log_is_the_path_and_the_query_if_wanted(asked_for, with_query, key):
    line = f'::1 - - [10/Oct/2025:13:55:36 +0200] "GET {asked_for} HTTP/1.1" 200 1'
    assert AccessLog(with_query).parse(Line(line)).key == key


def test_invalid_lines_are_counted_and_the_first_is_reported(tmp_path):
    _, counts = read_trace(written(tmp_path, "0,a\n\nsoon,b\n2\n3,c,0\n4,c,1,-1\n5,d\n"))
    assert (counts.lines, counts.left_out) == (6, {"unreadable": 4})
    assert counts.first_unreadable.startswith("line 3, 'soon,b': expected a time from 1970 to 2100")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 of 0 lines"),
        ("hello\nworld\n", "expected a time and a key"),
        (LOG.splitlines(keepends=True)[3], "left out: 1 errors"),
    ],
)
def test_a_trace_without_reads_is_refused_with_the_expected_formats(tmp_path, text, said):
    with pytest.raises(TraceError, match=r"time_s,key\[,reads\[,cost_s\]\]") as raised:
        read_trace(written(tmp_path, text))
    assert said in str(raised.value)


@pytest.mark.parametrize("damaged", [b"\x1f\x8bnonsense", gzip.compress(b"0,a\n" * 999, mtime=0)[:-12]])
def test_a_damaged_archive_is_refused(tmp_path, damaged):
    (tmp_path / "reads.gz").write_bytes(damaged)
    with pytest.raises(TraceError, match="cannot be read"):
        read_trace(str(tmp_path / "reads.gz"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TraceError, match="No such file"):
        read_trace(str(tmp_path / "nothing.csv"))


def test_a_missing_cost_is_the_latest_of_the_key_or_the_mean_of_all():
    trace = trace_of("costs", [(0.0, "a", 1, 2.0), (1.0, "a", 1, None), (2.0, "b", 1, None), (3.0, "b", 1, 6.0)])
    assert trace.costs_s == [2.0, 2.0, 4.0, 6.0]


ROWS = st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abcd"), st.integers(1, 9)), min_size=1, max_size=60)


@given(ROWS, st.randoms())
def test_the_order_of_lines_changes_only_the_numbers_of_keys(rows, random):
    def reads_of(lines):
        trace = trace_of("any", [(float(at), key, reads, None) for at, key, reads in lines])
        return sorted(zip(trace.times_s, trace.reads, strict=True)), trace.key_count, trace.read_count

    shuffled = random.sample(rows, len(rows))
    assert reads_of(shuffled) == reads_of(rows)


@given(ROWS)
def test_a_trace_is_ascending_has_dense_keys_and_one_row_for_a_key_at_a_moment(rows):
    trace = trace_of("any", [(float(at), key, reads, None) for at, key, reads in rows])
    assert trace.times_s == sorted(trace.times_s)
    assert set(trace.keys) == set(range(trace.key_count))
    assert len(set(zip(trace.times_s, trace.keys, strict=True))) == len(trace.times_s)
    assert trace.read_count == sum(reads for _, _, reads in rows)


@given(st.floats(-1e8, 1e9).filter(lambda time_s: "e+" not in repr(time_s)), st.integers(1, 10**6), st.floats(0, 1e6))
def test_a_line_of_csv_is_parsed_as_written(time_s, reads, cost_s):
    assert row_of_fields([repr(time_s), "key", str(reads), repr(cost_s)]) == (time_s, "key", reads, cost_s)
