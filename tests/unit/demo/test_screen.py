"""What the demo draws and says."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from warmer.results import WarmingStats
from warmer.stats.ledger import performance_of
from warmer_demo.measure import Experience, Read, Way
from warmer_demo.screen import Picture, line, screen, summary
from warmer_demo.snapshot import Snapshot, Target

OVERVIEW = Target("overview", 120, True, False, 5.0, 8.0, "computing", 2.5, 90.0)
EXPIRED = Target("on time by carrier and month", 0, False, False, 8.0, 0.0, "expiring", None, None)
OFTEN = Target("plane age", 0, False, False, 12.0, 3.0, "planned", 12.0, 390.0)


@pytest.fixture
def picture() -> Picture:
    performance = performance_of({"warmings": 30, "useful": 18, "wasted": 2, "hits": 99, "misses": 1}, [90.0])
    stats = WarmingStats(
        tasks=3, critical_keys=1, running=True, users_preloaded=0, performance=performance, task_details=[],
        workers=2, scheduler_alive=True, backlog=1, incidents={}, quarantined=[], limits=[],
    )  # fmt: skip
    users: dict[Way, Experience] = {"with": Experience(), "without": Experience()}
    for _ in range(99):
        users["with"].add(Read("with", 1.0, False))
        users["without"].add(Read("without", 1.0, False))
    users["with"].add(Read("with", 1.0, False))
    users["without"].add(Read("without", 400.0, True))
    return Picture(12.3, Snapshot(stats, [OVERVIEW, OFTEN, EXPIRED], 0.5), users)


def drawn(renderable: RenderableType, width: int = 80) -> list[str]:
    console = Console(file=StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, StringIO)
    return [row.rstrip() for row in console.file.getvalue().splitlines()]


def test_without_warming_a_hit_is_a_read_that_did_not_compute(picture: Picture) -> None:
    assert picture.hit_ratio("with") == 0.99
    assert picture.hit_ratio("without") == 0.99


def test_before_the_first_read_nothing_is_divided_by_zero(picture: Picture) -> None:
    nobody: dict[Way, Experience] = {"with": Experience(), "without": Experience()}
    assert replace(picture, users=nobody).hit_ratio("without") == 1.0


def test_a_line_tells_both_ways_and_what_is_computed_and_why(picture: Picture) -> None:
    said = line(picture)
    assert said.startswith("  12 s  with warming 99.0 % hits, p50 1.0 ms, p99 1.0 ms")
    assert "without warming 99.0 % hits" in said
    assert said.endswith("backlog 1; computing overview (critical)")


def test_the_screen_fits_a_small_terminal_and_keeps_every_column(picture: Picture) -> None:
    rows = drawn(screen(picture, "of 45 s"), width=80)
    assert rows[0] == "warmer demo  12 s of 45 s"
    assert any(row.split()[:3] == ["▶", "overview", "120"] and row.endswith("critical") for row in rows)
    assert any(row.endswith("not read: expires") for row in rows)
    assert any("█████ 12.0" in row and row.endswith("read often") for row in rows)
    assert len(rows) == 3 + 2 + 3


def test_the_summary_says_who_computed(picture: Picture) -> None:
    by_label = {row[:32].strip(): row[32:].split() for row in drawn(summary(picture)) if row.strip()}
    assert by_label["computed by workers"] == ["30", "0"]
    assert by_label["computed by waiting users"] == ["0", "1"]
