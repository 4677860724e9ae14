"""docs/policy.md agrees with the code."""

import re
from pathlib import Path

import pytest

from warmer.engine.policy_state import DEFAULT_EXTRA_COMPUTE
from warmer.policy.history import HISTORY_BYTES
from warmer.policy.model import BINS, Model
from warmer.policy.review import MAX_IDLE_TTLS
from warmer.policy.threshold import CUTOFF
from warmer.testing import MemoryWarmer

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "policy.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        (r"`extra_compute=([\d.]+)` \(the default\)", DEFAULT_EXTRA_COMPUTE),
        (r"in (\d+) bins each", BINS),
        (r"one model of (\d+) weights", len(Model().to_bytes()) // 8),
        (r"for (\d+) ttls is dropped", MAX_IDLE_TTLS),
        (r"Beyond ([\d.]+) times the budget", CUTOFF),
        (r"takes (\d+) bytes in Redis", 5 + HISTORY_BYTES + 1),
    ],
)
def test_figures_are_those_of_the_code(said, is_so):
    (figure,) = re.findall(said, " ".join(PAGE.split()))
    assert float(figure) == is_so


def test_the_picture_and_the_pages_that_it_links_are_there():
    for place in re.findall(r"\]\((?!https?:)([\w./]+)\)", PAGE):
        assert (ROOT / "docs" / place).exists(), place


def test_the_snippet_runs(monkeypatch):
    monkeypatch.setattr("warmer.configure", lambda **values: None)
    with MemoryWarmer().as_default():
        names: dict[str, object] = {}
        exec(SNIPPETS[0], names)
        assert names["report"](3) == {"month": 3}  # type: ignore[operator]


def test_every_test_and_benchmark_that_is_named_is_there():
    for place in re.findall(r"(?:tests|benchmarks)/[\w/]+\.py", PAGE):
        assert (ROOT / place).exists(), place
