"""What `simulate` promises is what a fleet does: a trace read through real processes costs and misses the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import _binaries
from tests.support.fleets import Fleet
from tests.support.live import ITEMS, lived, mixed_trace
from warmer.policy.budget import ExtraCompute
from warmer.policy.threshold import Threshold
from warmer.processes.private_server import PrivateServer
from warmer.simulation.policies.production import replay_production

TTL_S, SPAN_S, COST_S, EXTRA_COMPUTE, WARMUP = 10.0, 75.0, 0.005, 0.25, 0.2
"""Seven ttls and a half: an hour and a half of values that are fresh for twelve minutes, seventy times as fast."""

POINTS_OF_MISS_RATIO, PART_OF_COMPUTE = 0.02, 0.05


@pytest.fixture
def items(namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    """A scheduler and a worker that keep items warm, on a server of their own."""
    binaries = _binaries()
    with PrivateServer.start(binaries.get("redis") or binaries["bundled"]) as server:
        fleet = Fleet(server.url, namespace, tmp_path)
        fleet.environment |= {
            "WARMER_TICK_S": "0.05",  # as short beside this ttl as a second is beside minutes
            "WARMER_FLUSH_S": "0.05",
            "WARMER_EXTRA_COMPUTE": str(EXTRA_COMPUTE),
        }
        fleet.write("fleet_items", ITEMS.format(ttl_s=TTL_S, cost_s=COST_S))
        fleet.scheduler()
        fleet.worker(module="fleet_items")
        yield fleet
        fleet.end()


@pytest.mark.timeout(180)
def test_a_fleet_misses_and_computes_what_the_simulation_says(items: Fleet, eventually):
    trace = mixed_trace(seed=1, span_s=SPAN_S, ttl_s=TTL_S)
    expected = replay_production(trace, TTL_S, Threshold(ExtraCompute(EXTRA_COMPUTE)), WARMUP)
    items.python("import warmer; warmer.start_cache_warming()")
    eventually(lambda: "knows 1 tasks" in (items.folder / "worker.txt").read_text(), 30)
    found = lived(items, trace, WARMUP)
    assert expected.miss_ratio < 0.7 * expected.baseline_miss_ratio, "there is something to agree on"
    assert found.misses / expected.reads == pytest.approx(expected.miss_ratio, abs=POINTS_OF_MISS_RATIO)
    computed = found.misses + found.refreshes
    assert computed == pytest.approx(expected.misses + expected.refreshes, rel=PART_OF_COMPUTE)
    assert found.ledger["reads"] == trace.read_count
    baseline = replay_production(trace, TTL_S, Threshold(ExtraCompute(EXTRA_COMPUTE)), warmup=0.0).baseline_misses
    assert found.ledger["baseline_misses"] == pytest.approx(baseline, rel=0.01), "the baseline is exact"
    assert found.ledger["misses"] + found.ledger["refreshes"] == pytest.approx(len(items.lines("computed")), rel=0.01)
