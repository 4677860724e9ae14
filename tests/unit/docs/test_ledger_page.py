"""docs/ledger.md agrees with the code: its example runs, and its figures and causes exist."""

import re
from pathlib import Path

from warmer.results import BaselineComparison, Ledger, MissesByCause, WarmingPerformance
from warmer.stats.ledger import performance_of

PAGE = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text()


def rows(heading: str) -> set[str]:
    """The names in the first column of the table under a heading."""
    section = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    return {name for row in re.findall(r"^\| (`.*?) \|", section, re.M) for name in re.findall(r"`(\w+)`", row)}


def test_every_cause_of_a_miss_is_explained():
    assert rows("Why did a read miss?") == set(MissesByCause.model_fields)


def test_every_field_of_the_comparison_is_explained():
    assert rows("What would a plain cache have done?") == set(BaselineComparison.model_fields)


def test_every_figure_of_the_ledger_is_explained():
    explained = rows("Was a refresh of use?")
    assert set(Ledger.model_fields) - {"misses_by_cause", "baseline"} <= explained
    assert explained <= set(WarmingPerformance.model_fields)


def test_its_example_says_what_the_counters_say(capsys, monkeypatch):
    counters = {
        "warm_ms": 2000.0, "wasted_ms": 1000.0, "saved_ms": 3000.0, "awaited": 2, "miss_ms": 500.0,
        "baseline_misses": 8, "baseline_ms": 2000.0,
    }  # fmt: skip
    monkeypatch.setattr("warmer.get_warming_performance", lambda: performance_of(counters, []))
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.S)[0], {})
    assert capsys.readouterr().out.splitlines() == [
        "2 s spent, 1 s of it wasted",
        "3 s that users did not wait",
        "2 misses where a plain cache had 8, for +25% compute",
    ]
