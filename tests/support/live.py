"""A trace in fast time: read by a process of its own through a real fleet's cache, and replayed by `simulate`."""

import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.fleets import Fleet
from warmer.simulation.trace.trace import Trace, trace_of

ITEMS = """
    import os, time
    from pathlib import Path
    from warmer import warmed

    COMPUTED = os.open(Path(__file__).parent / "computed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @warmed("item:{{n}}", ttl={ttl_s}, jitter=0)
    def item(n: int) -> int:
        os.write(COMPUTED, f"{{time.time():.4f}} {{os.getpid()}}\\n".encode())
        time.sleep({cost_s})
        return n
"""

READER = """
    import json, os, threading, time
    from warmer import default_warmer
    from warmer.client.warmer import runtime_of
    from fleet_items import item

    rows, start_s, threads = json.load(open("rows.json")), {start_s}, 4

    def read(part):
        for at_s, key, reads in rows:
            if key % threads == part:
                wait_s = start_s + at_s - time.time()
                if wait_s > 0:
                    time.sleep(wait_s)
                for _ in range(reads):
                    assert item(key) == key

    default_warmer().start()
    parts = [threading.Thread(target=read, args=(part,)) for part in range(threads)]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    runtime = runtime_of(default_warmer())
    assert runtime.background.tick()
    ledger = runtime.store.control.hgetall(runtime.store.keys.accounts)
    print(json.dumps([os.getpid(), {{name.decode()[1:]: float(value) for name, value in ledger.items()}}]))
"""

RESOLUTION_S = 0.01
"""Reads of one key within this time are one row, as a second is in a recorded trace."""


@dataclass(frozen=True)
class Lived:
    """What a fleet did with a trace after the warm-up.

    Args:
        misses: Computations by readers.
        refreshes: Computations by workers.
        ledger: What the fleet itself has counted of the whole trace.
    """

    misses: int
    refreshes: int
    ledger: Mapping[str, float]


def mixed_trace(seed: int, span_s: float, ttl_s: float) -> Trace:
    """Return reads of many kinds: Poisson at all rates, timers, bursts, and keys that come up and go."""
    luck = random.Random(seed)
    rows = [
        (round(at_s / RESOLUTION_S) * RESOLUTION_S, key, 1, None)
        for key, times_s in enumerate(_reads_of_keys(luck, span_s, ttl_s))
        for at_s in times_s
    ]
    return trace_of("mixed", rows)


def _reads_of_keys(luck: random.Random, span_s: float, ttl_s: float) -> Iterator[list[float]]:
    for number in range(200):  # Poisson, from 6 reads per ttl down to one in 20
        yield list(_poisson(luck, 0.0, span_s, 6.0 * 0.976**number / ttl_s))
    for _ in range(60):  # timers, with some slack
        period_s = luck.uniform(0.4, 3.0) * ttl_s
        first_s = luck.uniform(0.0, period_s)
        turns = range(int((span_s - first_s) / period_s))
        yield [first_s + period_s * (turn + luck.uniform(0.0, 0.05)) for turn in turns]
    for _ in range(100):  # bursts
        bursts_s = _poisson(luck, 0.0, span_s, 0.12 / ttl_s)
        ends_s = 2.0 * ttl_s
        yield [at for from_s in bursts_s for at in _poisson(luck, from_s, min(span_s, from_s + ends_s), 3.0 / ttl_s)]
    for _ in range(100):  # popular for a while
        from_s = luck.uniform(0.0, span_s)
        yield list(_poisson(luck, from_s, min(span_s, from_s + luck.expovariate(0.1 / ttl_s)), 2.0 / ttl_s))


def _poisson(luck: random.Random, from_s: float, until_s: float, rate_per_s: float) -> Iterator[float]:
    at_s = from_s + luck.expovariate(rate_per_s)
    while at_s < until_s:
        yield at_s
        at_s += luck.expovariate(rate_per_s)


def lived(fleet: Fleet, trace: Trace, warmup: float) -> Lived:
    """Have a fleet that runs already live through a trace, and count what was computed after the warm-up."""
    rows = list(zip(trace.times_s, trace.keys, trace.reads, strict=True))
    (fleet.folder / "rows.json").write_text(json.dumps(rows))
    start_s = time.time() + 2.0
    printed = fleet.python(READER.format(start_s=start_s), timeout_s=trace.end_s + 60)
    reader, ledger = json.loads(printed)
    computed = [line.split() for line in fleet.lines("computed")]
    counted_from_s, end_s = start_s + trace.counted_from_s(warmup), start_s + trace.end_s
    counted = [who for at_s, who in computed if counted_from_s <= float(at_s) < end_s]
    misses = counted.count(str(reader))
    return Lived(misses, len(counted) - misses, ledger)
