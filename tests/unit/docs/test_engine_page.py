"""docs/engine.md agrees with the code: its examples run, and its numbers, settings and commands are right."""

import os
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from inspect import getsource
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click import Command, Group

import warmer
from tests.support.runtimes import runtime_of, store_of
from warmer import Settings, WarmingTask
from warmer.cli import main as cli
from warmer.cli import stats_view
from warmer.policy import FIRST_RETRY_S, MAX_RETRY_S
from warmer_workers import drain, heartbeat, prefetch

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "engine.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def snippet(words: str) -> str:
    """The one example in which these words stand."""
    (found,) = (text for text in SNIPPETS if words in text)
    return found


# --- examples ----------------------------------------------------------------------------------------------------
class Shop(ModuleType):
    """Where the page's functions live, and what it leaves to its reader."""

    def __init__(self) -> None:
        super().__init__("shop_of_the_page")
        self.asked: list[list[int]] = []
        vars(self).update(vars(warmer))

    def select_products(self, product_ids: list[int]) -> list[dict[str, Any]]:
        self.asked.append(product_ids)
        return [{"id": product_id, "name": f"product {product_id}"} for product_id in product_ids if product_id != 13]

    def count_stock(self, product_id: int) -> int:
        return product_id // 2

    def run(self, words: str) -> None:
        exec(snippet(words), vars(self))


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop that warms by itself."""
    monkeypatch.delenv("WARMER_REDIS_URL", raising=False)
    monkeypatch.setenv("WARMER_EMBEDDED", "1")
    monkeypatch.setattr(warmer.client.default, "_declared", {})  # by other examples, in this process
    warmer.configure()
    made = Shop()
    vars(made).update(select_products=made.select_products, count_stock=made.count_stock, __name__=made.__name__)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    yield made
    warmer.default_warmer().close()


def test_batches_are_computed_by_few_calls_and_a_single_miss_by_the_function(shop: Shop) -> None:
    shop.run("batch=load_products")
    assert shop.product(42) == {"id": 42, "name": "product 42"}
    assert shop.product(13) is None
    assert shop.asked == [[42], [13]]
    shop.product.many(range(100, 400))
    assert sorted(map(len, shop.asked[2:])) == [100, 100, 100]


def test_bulk_warming_goes_on_in_batches_and_says_how_it_went(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.run("batch=load_products")
    warmer.start_cache_warming()
    shop.run("warm_many")
    assert capsys.readouterr().out == "1000 0 0 {}\n"
    assert max(map(len, shop.asked)) <= 100
    assert sorted(chain.from_iterable(shop.asked)) == list(range(1, 1001))
    assert (shop.product.get(42), shop.product.get(13, default="not cached")) == (
        {"id": 42, "name": "product 42"},
        None,
    )


def test_a_limit_is_declared_and_shown(shop: Shop) -> None:
    shop.run("rate_per_s=50")
    assert shop.stock(42) == 21
    runtime_of(warmer.default_warmer()).background.tick()
    (limit,) = warmer.get_warming_stats()["limits"]
    assert (limit["name"], limit["concurrency"], limit["rate_per_s"]) == ("pg-main", 4, 50)


def test_the_table_of_limits_has_the_headings_of_the_command() -> None:
    (headings,) = re.findall(r"^ +(limit +in use.*)$", PAGE, re.MULTILINE)
    assert ", ".join(f'"{heading}"' for heading in re.split(r"  +", headings)) in getsource(stats_view)


def test_a_report_is_computed_in_a_process_apart(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "reports.py").write_text("import os\n\ndef monthly(month): return [month, os.getpid()]\n")
    monkeypatch.syspath_prepend(tmp_path)
    shop.run('isolation="process"')
    warmer.start_cache_warming()
    assert warmer.default_warmer().warm("report", {"month": "2026-11"}).wait(60).success
    month, pid = warmer.get("report:2026-11")
    assert month == "2026-11"
    assert pid != os.getpid()


def test_what_is_in_quarantine_is_printed_and_released(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.run("batch=load_products")
    own = warmer.default_warmer()
    runtime_of(own).background.tick()
    name = 'shop_of_the_page.product{"product_id":42}'
    store_of(own).control.hset(store_of(own).keys.quarantine, name, '{"since_ms": 0, "deaths": 3, "why": "SIGSEGV"}')
    shop.run("release_quarantined")
    assert capsys.readouterr().out == f"{name} 1970-01-01 00:00:00+00:00 3 SIGSEGV\n"
    assert warmer.get_warming_stats()["quarantined"] == []


def test_the_reckoning_comes_out_as_it_says() -> None:
    scope: dict[str, float] = {}
    exec(snippet("busy ="), scope)
    assert round(scope["busy"], 6) == float(re.findall(r"# (\d+) computations", snippet("busy ="))[0])


# --- numbers, settings, options, commands ------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(set(re.findall(r"WARMER_(\w+)", PAGE))))
def test_every_variable_that_it_names_is_a_setting(name: str) -> None:
    assert name.lower() in {*Settings.model_fields, "redis_url"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("starvation_s", r"`WARMER_STARVATION_S` \((\d+) seconds\)"),
        ("drain_time_s", r"`WARMER_DRAIN_TIME_S` \((\d+) seconds\)"),
        ("max_task_s", r"`WARMER_MAX_TASK_S` \((\d+) seconds\)"),
        ("shutdown_grace_s", r"`WARMER_SHUTDOWN_GRACE_S` \((\d+) seconds"),
        ("concurrency", r"`WARMER_CONCURRENCY`: (\d+)"),
        ("async_concurrency", r"`WARMER_ASYNC_CONCURRENCY`: (\d+)"),
        ("isolated_processes", r"`WARMER_ISOLATED_PROCESSES`: (\d+)"),
    ],
)
def test_the_defaults_of_settings_are_those_of_the_code(name: str, words: str) -> None:
    (said,) = re.findall(words, re.sub(r"\s+", " ", PAGE))
    assert float(said) == Settings.model_fields[name].default


@pytest.mark.parametrize(
    ("said", "value"),
    [
        (r"`timeout_s` \((\d+) s\)", WarmingTask.model_fields["timeout_s"].default),
        (r"`batch_wait_s` \(([\d.]+) seconds\)", WarmingTask.model_fields["batch_wait_s"].default),
        (r"some (\d+) ms of work ahead", 1000 * prefetch.AHEAD_S),
        (r"within some (\d+) ms\.", 1000 * drain.POLL_INTERVAL_S),
        (r"begin within ([\d.]+) s", drain.MAX_QUEUED_S),
        (r"kills the drain's process within (\d+) seconds after", heartbeat.MARGIN_S + 1),
        (r"after ([\d.]+) to 1 s", FIRST_RETRY_S / 2),
        (r"up to (\d+) minutes", MAX_RETRY_S / 60),
    ],
)
def test_the_numbers_are_those_of_the_code(said: str, value: float) -> None:
    (number,) = re.findall(said, re.sub(r"\s+", " ", PAGE))
    assert float(number) == pytest.approx(value)


def test_quarantine_begins_when_it_says() -> None:
    script = (files("warmer.store") / "lua" / "includes" / "quarantine.lua").read_text()
    assert "local MAX_DEATHS, MAX_TARGETS_OF_A_TASK, MAX_DEATHS_BY_SUSPICION = 3, 3, 2" in script
    assert "After three deaths, the last of them in an isolated process" in " ".join(PAGE.split())
    assert "A task with three targets in quarantine is in quarantine as a whole" in " ".join(PAGE.split())


def test_the_commands_and_their_options_exist() -> None:
    group: Group = cli.main
    said = re.findall(r"`?warmer (\w+)(.*)", PAGE)
    named = [(group.commands[name], rest) for name, rest in said if name in group.commands]
    assert {command.name for command, _ in named} == {"worker", "stats", "release", "warm"}
    for command, rest in named:
        assert set(re.findall(r"--[a-z-]+", rest)) <= options_of(command) | {"--"}
    everywhere = set().union(*map(options_of, group.commands.values()))
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= everywhere


def options_of(command: Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_what_it_names_is_there() -> None:
    named = re.findall(r"(?:tests|benchmarks)/[\w/.]+", PAGE)
    assert {"benchmarks/warm_throughput.py", "benchmarks/scale.py"} <= set(named)
    for path in named:
        assert (ROOT / path).exists(), path


def test_the_places_that_it_links_to_exist() -> None:
    for page, heading in re.findall(r"\]\((\w+\.md)?(?:#([\w-]+))?\)", PAGE):
        text = (ROOT / "docs" / page).read_text() if page else PAGE
        anchors = {
            re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
        }
        assert not heading or heading in anchors, heading
