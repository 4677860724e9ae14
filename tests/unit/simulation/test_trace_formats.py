"""Every format of traces is recognised and read exactly; what is no read is counted by its reason."""

import gzip
import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from warmer.errors import TraceError
from warmer.simulation.trace.named_columns import MAX_READS, columns_of
from warmer.simulation.trace.timestamp import time_s_of
from warmer.simulation.trace.trace_formats import FORMATS
from warmer.simulation.trace.trace_reader import read_trace

START = datetime(2025, 10, 10, 13, tzinfo=UTC)
TIMES = [START + timedelta(seconds=20 * number) for number in range(12)]
CLOUDFRONT = "#Version: 1.0\n#Fields: date time x-edge-location cs-method cs-uri-stem sc-status cs-uri-query time-taken"
IIS = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query sc-status sc-win32-status time-taken"


def log_time(at):
    return at.strftime("%d/%b/%Y:%H:%M:%S +0000")


def path(number):
    return f"/p{number % 4}?q={number % 2}"


def common(number, at):
    return f'203.0.113.1 - - [{log_time(at)}] "GET {path(number)} HTTP/1.1" 200 123'


def docker(line):
    return json.dumps({"log": line + "\n", "stream": "stdout", "time": "2025-10-10T12:00:00.123456789Z"})


def nginx(number, at, **fields):
    return json.dumps({"request": f"GET {path(number)} HTTP/1.1", "status": "200", "request_time": "0.050"} | fields)


def caddy(number, at):
    request = {"method": "GET", "host": "e.org", "uri": path(number), "headers": {"User-Agent": ["curl"]}}
    return json.dumps({"level": "info", "ts": at.timestamp(), "request": request, "duration": 0.05, "status": 200})


def traefik(number, at):
    return json.dumps({
        "StartUTC": f"{at:%Y-%m-%dT%H:%M:%S}.123456789Z", "RequestMethod": "GET", "RequestPath": path(number),
        "DownstreamStatus": 200, "Duration": 60_000_000, "OriginDuration": 50_000_000, "RequestCount": number,
    })  # fmt: skip


LINES = {
    ("access-log", "common"): common,
    ("access-log", "syslog"): lambda n, t: f"Oct 10 13:00:00 web nginx: {common(n, t)}",
    ("access-log", "Traefik"): lambda n, t: f'{common(n, t)} "-" "-" {n} "r" "http://10.0.0.1" 5ms',
    ("access-log", "S3"): lambda n, t: (
        f'79a b [{log_time(t)}] ::1 79a 3E REST.GET.OBJECT k "GET {path(n)} HTTP/1.1" 200 -'
    ),
    ("access-log", "ISO"): lambda n, t: f'::1 - - [{t.isoformat()}] "GET {path(n)} HTTP/1.1" 200 123 "-" "curl"',
    ("access-log", "bare ISO"): lambda n, t: f'{t.isoformat()} "GET {path(n)} HTTP/1.1" "200"',
    ("access-log", "ms"): lambda n, t: f'::1 [{t:%d/%b/%Y:%H:%M:%S}.000 +0000] "GET {path(n)} HTTP/1.1" 200 123',
    ("access-log", "time first"): lambda n, t: f'[{log_time(t)}] ::1 "GET {path(n)} HTTP/1.1" 200 123',
    ("access-log", "Django"): lambda n, t: f'[{t:%d/%b/%Y %H:%M:%S}] "GET {path(n)} HTTP/1.1" 200 123',
    ("access-log", "Docker"): lambda n, t: docker(common(n, t)),
    ("access-log", "uvicorn in Docker"): lambda n, t: json.dumps(
        {"log": f'INFO:  ::1:5 - "GET {path(n)} HTTP/1.1" 200 OK\n', "time": f"{t:%Y-%m-%dT%H:%M:%S}.000000000Z"}
    ),
    ("json", "nginx"): lambda n, t: nginx(n, t, time_local=log_time(t)),
    ("json", "nginx ISO"): lambda n, t: nginx(n, t, time_iso8601=t.isoformat()),
    ("json", "nginx msec"): lambda n, t: nginx(n, t, msec=f"{t.timestamp():.3f}"),
    ("json", "nginx upstreams"): lambda n, t: nginx(n, t, ts=t.timestamp(), upstream_response_time="0.020, 0.030"),
    ("json", "Caddy"): caddy,
    ("json", "Caddy in Docker"): lambda n, t: docker(caddy(n, t)),
    ("json", "Caddy behind syslog"): lambda n, t: f"Oct 10 13:00:00 web caddy[1]: {caddy(n, t)}",
    ("json", "Kubernetes"): lambda n, t: f"2025-10-10T12:00:00.123456789Z stdout F {caddy(n, t)}",
    ("json", "ms"): lambda n, t: json.dumps(
        {"time": 1000 * int(t.timestamp()), "req": {"url": path(n)}, "duration_ms": 50}
    ),
    ("aws-lb", "ALB"): lambda n, t: (
        f"https {t:%Y-%m-%dT%H:%M:%S}.000000Z app/lb/1 1.2.3.4:5 10.0.0.1:80 0.0 0.05 0.0 200 200 34 366 "
        f'"GET https://e.org:443{path(n)} HTTP/1.1" "curl (a, b)" - -'
    ),
    ("aws-lb", "classic"): lambda n, t: (
        f"{t:%Y-%m-%dT%H:%M:%S}.000000Z my-elb 1.2.3.4:5 10.0.0.1:80 0.00007 0.05 0.00005 200 200 0 29 "
        f'"GET http://e.org:80{path(n)} HTTP/1.1" "curl" - -'
    ),
    ("haproxy", "HTTP"): lambda n, t: (
        f"lb haproxy[1]: 1.2.3.4:5 [{t:%d/%b/%Y:%H:%M:%S}.000] fe be/s1 0/0/0/50/55 200 123 - - ---- 1/1/0/0/0 0/0 "
        f'{{a|b}} {{}} "GET {path(n)} HTTP/1.1"'
    ),
    ("w3c", CLOUDFRONT): lambda n, t: f"{t:%Y-%m-%d\t%H:%M:%S}\tFRA2\tGET\t/p{n % 4}\t200\tq={n % 2}\t0.050",
    ("w3c", IIS): lambda n, t: f"{t:%Y-%m-%d %H:%M:%S} ::1 GET /p{n % 4} q={n % 2} 200 0 50",
    ("csv", "s"): lambda n, t: f"{t.timestamp()},{path(n)}",
    ("csv", "ms of Date.now()"): lambda n, t: f"{1000 * int(t.timestamp())},{path(n)}",
    ("csv", "us"): lambda n, t: f"{10**6 * int(t.timestamp())},{path(n)}",
    ("csv", "ns"): lambda n, t: f"{10**9 * int(t.timestamp())},{path(n)}",
    ("csv", "ISO"): lambda n, t: f"{t.isoformat()},{path(n)}",
    ("csv", "quoted"): lambda n, t: f'"{t:%Y-%m-%d %H:%M:%S}","{path(n)}"',
    ("csv", "timestamp_ms,url,latency_ms"): lambda n, t: f"{1000 * t.timestamp()},{path(n)},50",
    ("csv", "date,time,path,query"): lambda n, t: f"{t:%Y-%m-%d,%H:%M:%S},/p{n % 4},q={n % 2}",
    ("csv-semicolon", "time;key;cost"): lambda n, t: f"{t.timestamp():.0f},0;{path(n)};0,050",
    ("tsv", "tabs"): lambda n, t: f"{t.timestamp()}\t{path(n)}",
}


def written(folder, lines):
    file = folder / "reads.log"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


@pytest.mark.parametrize(("name", "variant"), LINES, ids=[f"{name}: {variant[:20]}" for name, variant in LINES])
@pytest.mark.parametrize("noise", [0, 300])
def test_each_format_is_recognised_and_read_exactly(tmp_path, name, variant, noise):
    header = [variant] if variant.startswith("#") or variant.startswith(("timestamp", "date,", "time;")) else []
    lines = [LINES[name, variant](number, at) for number, at in enumerate(TIMES)]
    trace, counts = read_trace(written(tmp_path, ["what, is this?"] * noise + header + lines))
    assert (counts.format, counts.read, counts.left_out["unreadable"]) == (name, 12, noise)
    assert [time_s - TIMES[0].timestamp() for time_s in trace.times_s] == pytest.approx(
        [20.0 * n for n in range(12)], abs=0.2
    )
    assert trace.keys == [number % 4 for number in range(12)]
    assert trace.costs_s is None or trace.costs_s == pytest.approx([0.05] * 12)


def test_a_forced_format_reads_the_same(tmp_path):
    for (name, variant), line in LINES.items():
        if "," not in variant and ";" not in variant and not variant.startswith("#"):
            found = [
                read_trace(written(tmp_path, map(line, range(12), TIMES)), True, forced) for forced in (None, name)
            ]
            assert found[0] == found[1]


def test_probes_before_the_first_good_line_do_not_decide(tmp_path):
    probes = [common(0, START).replace("GET /p0?q=0 HTTP/1.1", r"\x16\x03\x01").replace(" 200 ", " 400 ")] * 30_000
    _, counts = read_trace(written(tmp_path, probes + [common(n, at) for n, at in enumerate(TIMES)]))
    assert (counts.format, counts.read, counts.left_out) == ("access-log", 12, {"error_status": 30_000})


def test_lines_of_another_format_are_counted_and_named(tmp_path):
    lines = [common(n, at) for n, at in enumerate(TIMES)] + [caddy(1, START)] * 3 + ["# rotated"]
    _, counts = read_trace(written(tmp_path, lines))
    assert (counts.format, counts.left_out) == ("access-log", {"other_format": 3, "comment": 1})
    assert "3 of another format (json), 1 comments" in str(counts)


def test_reads_come_from_a_column_named_count(tmp_path):
    trace, counts = read_trace(written(tmp_path, ["time_s,key,count,cost", "0,a,7,0.5", "20,b,3,0.25"]))
    assert (trace.reads, trace.costs_s) == ([7, 3], [0.5, 0.25])
    assert counts.columns == "time from time_s in s, key from key, reads from count, cost from cost in s"


@pytest.mark.parametrize(
    "line",
    [
        '::1 - - [31/Feb/2025:13:00:00 +0000] "GET /x HTTP/1.1" 200 5',
        '::1 - - [10/Oct/2025:99:99:99 +0000] "GET /y HTTP/1.1" 200 5',
        '::1 - - [10/Oct/5000:13:00:00 +0000] "GET /y HTTP/1.1" 200 5',
        '::1 - - [10/Okt/2025:13:00:00 +0000] "GET /y HTTP/1.1" 200 5',
    ],
)
def test_a_time_that_does_not_exist_is_unreadable(tmp_path, line):
    _, counts = read_trace(written(tmp_path, [common(0, START), line]))
    assert (counts.read, counts.left_out) == (1, {"unreadable": 1})
    assert "expected a time from 1970 to 2100" in counts.first_unreadable


def test_a_space_in_a_path_is_part_of_the_key(tmp_path):
    lines = [common(0, START).replace("/p0?q=0", target) for target in ("/b", "/b c.pdf", "/b c.pdf")]
    assert read_trace(written(tmp_path, lines))[0].reads == [1, 2]


def test_bytes_that_are_no_utf_8_stay_distinct_keys(tmp_path):
    file = tmp_path / "reads.csv"
    for form in (
        b"%d,/caf%s",
        b'{"ts": %d, "url": "/caf%s"}',
        b'::1 [10/Oct/2025:13:00:%02d +0000] "GET /%s HTTP/1.1" 200',
    ):
        file.write_bytes(b"\n".join(form % (number, byte) for number, byte in enumerate([b"\xe9", b"\xe8", b"\xe9"])))
        assert read_trace(str(file))[0].keys == [0, 1, 0]


def test_utf_16_is_read_plain_and_packed(tmp_path):
    for data in ("0,ä\n1,b\n".encode("utf-16"), gzip.compress("0,ä\n1,b\n".encode("utf-16"), mtime=0)):
        (tmp_path / "reads").write_bytes(data)
        assert read_trace(str(tmp_path / "reads"))[0].times_s == [0.0, 1.0]


@pytest.mark.parametrize(
    "odd",
    [
        "-1760101200", "95617584000", "5000-01-01T00:00:00Z", "0001-01-01T00:00:00", "1.7601E+12", "2025-10-10",
        "133730000000000000", "638600000000000000", "20251010130000", "nan", "inf", "1e400", "13:00:00", "9" * 5000,
        "2025-02-30T00:00:00Z", "soon", "",
    ],
)  # fmt: skip
def test_an_odd_time_is_refused_with_the_units_that_are_known(tmp_path, odd):
    with pytest.raises(ValueError, match="expected a time from 1970 to 2100: in s, ms, us or ns"):
        time_s_of(odd)
    with pytest.raises(TraceError, match="expected a time"):
        read_trace(written(tmp_path, [f"{odd},/a"] * 3))


@pytest.mark.parametrize(("time", "expected"), [("0", 0.0), ("-3600", -3600.0), ("86390.5", 86390.5), ("1e-05", 1e-05)])
def test_any_epoch_works(time, expected):
    assert time_s_of(time) == expected


def test_times_of_another_epoch_than_most_are_left_out(tmp_path):
    lines = ["0,/missing", *(f"{at.timestamp()},/a" for at in TIMES)]
    trace, counts = read_trace(written(tmp_path, lines))
    assert (trace.span_s, counts.left_out) == (220.0, {"odd_time": 1})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([f"0,/a,{10**400}"], "expected reads as a whole number from 1 to"),
        ([f"0,/a,{MAX_READS + 1}"], "expected reads as a whole number"),
        (["0,/a,1,1e300"], "expected cost_s as a number of seconds"),
        (["0,/a,1,2,x"], "name the columns in a first line"),
        (['2025-10-10T13:00:00Z,"GET /a HTTP/1.1",200'], "name the columns in a first line"),
        (["2025-10-10 13:00:00,123 INFO starting"], "got a line of a log"),
        ([f"{number},/a,{200 + 104 * (number % 2)}" for number in range(9)], "only statuses such as 200"),
        (["timestamp,product", "0,a"], "expected names of a time and a key"),
        (["date,key", "20251010,a"], "expected a time"),
        (['0,"a', 'b"'], "quotes around whole fields of one line"),
    ],
)
def test_what_would_be_misread_is_refused_with_the_reason(tmp_path, lines, said):
    with pytest.raises(TraceError, match=r"has no read in it|statuses") as raised:
        read_trace(written(tmp_path, lines))
    assert said in str(raised.value)


def test_methods_and_statuses_in_columns_are_respected(tmp_path):
    lines = ["ts,method,url,status", "1,GET,/a,200", "2,POST,/a,200", "3,GET,/a,404", "4,get,/a,304"]
    _, counts = read_trace(written(tmp_path, lines))
    assert (counts.read, counts.left_out) == (2, {"other_method": 1, "error_status": 1})


@pytest.mark.parametrize(
    ("names", "time_unit", "cost_unit"),
    [
        (("ts", "key", "duration"), "", "s"),
        (("timestampMs", "url", "Duration (ms)"), "ms", "ms"),
        (("StartUTC", "RequestPath", "Duration"), "", "ns"),
        (("start_time", "path", "response_code", "duration"), "", "ms"),
    ],
)
def test_units_are_those_of_the_names(names, time_unit, cost_unit):
    columns = columns_of(names)
    assert (columns.time_unit, columns.cost_unit) == (time_unit, cost_unit)
    assert columns.cost == len(names) - 1


def test_a_cost_of_unknown_unit_is_not_taken():
    assert columns_of(("ts", "url", "responseTime")).cost == -1


MB = 2**20
LONG = {
    "objects": '{"a":' * (MB // 5) + "}", "quotes": '"\\"' * (MB // 3), "escapes": '"' + '\\"' * (MB // 2),
    "times": "[10/Oct/2025:13:00:00 +0000] " * (MB // 29), "bare times": "2025-10-10T13:00:00Z " * (MB // 21),
    "digits": "9" * MB, "commas": "," * MB, "semicolons": "1;" * (MB // 2), "tabs": "1\t" * (MB // 2),
    "requests": '"GET / HTTP/1.1" ' * (MB // 17), "method": f'"{"A" * MB} x"',
    "fields": f"#Fields: {'date ' * (MB // 5)}",
    "timers": "[10/Oct/2025:13:00:00.123] a b " + "1/" * (MB // 2) + " 200 x", "doubled": '1,"' + '""' * (MB // 2),
    "keys": "{" + ",".join(f'"k{number}":1' for number in range(MB // 9)) + "}", "words": "a " * (MB // 2) + '"',
    "message": '{"message":"' + '\\"' * (MB // 2) + '"}', "name": f'{{"{"aB_" * (MB // 3)}":1,"ts":1}}',
    "target": f'::1 - - [10/Oct/2025:13:00:00 +0000] "GET {"http://" * (MB // 7)} HTTP/1.1" 200',
    "cost": f'{{"ts":1,"url":"/a","duration":"{"1, " * (MB // 3)}"}}', "number": "1" * 20 + "." + "0" * MB + ",a",
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_a_line_of_1_mb_is_read_in_linear_time(tmp_path, name):
    file = written(tmp_path, [LONG[name], "0,a"])
    began = time.process_time()
    for format_name in (None, *FORMATS):
        with suppress(TraceError):
            read_trace(file, format_name=format_name)
    assert time.process_time() - began < 20
