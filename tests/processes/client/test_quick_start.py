"""Every snippet of docs/quick-start.md works: in one process, and with worker processes."""

import re
import textwrap
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "quick-start.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)

# What the document leaves to its reader.
SURROUNDINGS = """
import warmer
from warmer import *
calls = []
def fetch_products_from_db(): calls.append("products"); return [{"name": "tea", "price": 3}]
def load_expensive_data(): calls.append("expensive"); return {"answer": 42}
def load_catalog(): calls.append("catalog"); return ["tea", "coffee"]
"""

# For each snippet, told by a part of it: what the application adds to it, and what must then hold.
PROOFS = {
    "def load_product_catalog": (
        "start_cache_warming()",
        """
        assert eventually(lambda: warmer.get("catalog:products")) == [{"name": "tea", "price": 3}]
        detail = get_warming_stats()["task_details"][0]
        assert (detail["task_id"], detail["name"], detail["priority"]) == ("product_catalog", "Product Catalog", 100)
        assert detail["is_critical"] is True
        """,
    ),
    "interval_minutes=60,\n    enable_pattern_warming": (
        "",
        """
        assert eventually(lambda: get_warming_stats()["running"]) is True
        from warmer.client.warmer import runtime_of
        assert runtime_of(warmer.default_warmer()).store.switch.get().interval_s == 3600
        """,
    ),
    "def user_login": (
        """
        def profile(user_id): return {"id": user_id}
        def forms(user_id): return ["form of " + user_id]
        register_warming_task(WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn=profile))
        register_warming_task(
            WarmingTask(task_id="forms", cache_key="forms:{user_id}", compute_fn=forms, tags={"forms"}))
        start_cache_warming()
        """,
        """
        user_login("42")
        assert eventually(lambda: warmer.get("user:42")) == {"id": "42"}
        assert eventually(lambda: warmer.get("forms:42")) == ["form of 42"]
        assert get_warming_stats()["users_preloaded"] == 1
        """,
    ),
    "success = warm_cache(": (
        "",
        """
        assert success is True
        assert warmer.get("expensive_data") == {"answer": 42}
        calls.clear()
        assert warm_cache("expensive_data", load_expensive_data, 3600, {"critical"}) is True
        assert calls == []
        assert warm_cache("expensive_data", load_expensive_data, 3600, {"critical"}, force=True) is True
        assert calls == ["expensive"]
        def fail(): raise OSError("away")
        assert warm_cache("expensive_data", fail, 3600, force=True) is False
        assert warmer.get("expensive_data") == {"answer": 42}
        assert get_warming_performance()["failed"] == 1
        """,
    ),
    'print(f"Efficiency': (
        "",
        """
        assert perf["efficiency_score"] == 0.0
        assert perf["avg_duration_ms"] == 0.0
        """,
    ),
    'print(f"Optimized': (
        "",
        """
        assert results["tasks_optimized"] == 0
        assert results["schedules_adjusted"] == []
        """,
    ),
    "def init_cache_warming": (
        "init_cache_warming()",
        """
        assert eventually(lambda: warmer.get("catalog:products")) == ["tea", "coffee"]
        handle_user_login("42")
        assert eventually(lambda: get_warming_stats()["running"]) is True
        check_warming_health()
        stats = get_warming_stats()
        assert (stats["tasks"], stats["critical_keys"]) == (1, 1)
        """,
    ),
    "perf['avg_duration_ms'] > 100": (
        """
        def slow():
            import time
            time.sleep(0.15)
            return 1
        register_critical_task(WarmingTask(task_id="slow", name="Slow one", cache_key="slow", compute_fn=slow))
        start_cache_warming()
        """,
        """
        assert eventually(lambda: warmer.get("slow")) == 1
        assert eventually(lambda: get_warming_performance()["avg_duration_ms"] > 100)
        slow_tasks = [task["name"] for task in get_warming_stats()["task_details"] if task["avg_duration_ms"] > 100]
        assert slow_tasks == ["Slow one"]
        """,
    ),
    "if not stats['running']": (
        "",
        """
        assert eventually(lambda: get_warming_stats()["running"]) is True
        stop_cache_warming()
        assert get_warming_stats()["running"] is False
        """,
    ),
}

EVENTUALLY = """
def eventually(condition, within_s=20):
    import time
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
"""


def application(snippet: str) -> str:
    """A module: the surroundings, the snippet, and what the application adds to it."""
    addition, _ = proof_of(snippet)
    return SURROUNDINGS + snippet + textwrap.dedent(addition)


def check(snippet: str) -> str:
    _, assertions = proof_of(snippet)
    return EVENTUALLY + textwrap.dedent(assertions)


def proof_of(snippet: str) -> tuple[str, str]:
    (mark,) = [mark for mark in PROOFS if mark in snippet]
    return PROOFS[mark]


def test_the_document_has_a_proof_for_each_snippet():
    assert len(SNIPPETS) == len(PROOFS) == 9
    assert len({proof_of(snippet) for snippet in SNIPPETS}) == 9


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_works_in_one_process(number, fleet):
    del fleet.environment["WARMER_REDIS_URL"]
    fleet.python(application(SNIPPETS[number]) + check(SNIPPETS[number]), WARMER_EMBEDDED="1")


def test_starting_embedded_needs_no_setting_and_no_server(fleet):
    del fleet.environment["WARMER_REDIS_URL"]
    printed = fleet.python(
        EVENTUALLY
        + """
import warmer
warmer.start_cache_warming(embedded=True)
warmer.register_critical_task(warmer.WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: "a lambda"))
assert eventually(lambda: warmer.get("k")) == "a lambda"
stats = warmer.get_warming_stats()
print(stats["running"], stats["workers"], stats["scheduler_alive"])
warmer.stop_cache_warming()
print(warmer.get_warming_stats()["running"], warmer.get("k"))
warmer.start_cache_warming()
assert eventually(lambda: warmer.get_warming_stats()["running"])
"""
    )
    assert printed.splitlines() == ["True 1 True", "False a lambda"]


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_works_with_worker_processes(number, fleet):
    fleet.write("app", application(SNIPPETS[number]))
    fleet.scheduler()
    fleet.worker(module="app")
    fleet.python("from app import *\n" + check(SNIPPETS[number]))
