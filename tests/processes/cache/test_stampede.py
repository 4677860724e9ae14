"""A thousand readers in four processes on one cold key: one computation, whatever becomes of the process that leads."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from redis import Redis

PROCESSES, READERS = 4, 250

READER = """
    import asyncio, os, pathlib, sys, threading, time
    from redis import Redis
    from warmer import Settings, Warmer

    how, readers = sys.argv[1], int(sys.argv[2])
    app = Warmer(Settings.load(embedded=True))
    client = Redis.from_url(app.settings.redis_url)
    client.ping()
    app.get("something else")

    def compute():
        client.incr(CALLS)
        client.rpush(LEADERS, os.getpid())
        time.sleep(float(os.environ["COMPUTE_S"]))
        if os.environ.get("FAILS"):
            raise OSError("database is down")
        return {"rows": list(range(100))}

    async def acompute():
        client.incr(CALLS)
        client.rpush(LEADERS, os.getpid())
        await asyncio.sleep(float(os.environ["COMPUTE_S"]))
        return {"rows": list(range(100))}

    def on_your_marks():
        pathlib.Path(f"ready-{os.getpid()}").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.002)

    def tell(outcomes):
        kinds = sorted({type(outcome).__name__ for outcome in outcomes})
        good = sum(outcome == {"rows": list(range(100))} for outcome in outcomes if isinstance(outcome, dict))
        print(len(outcomes), good, *kinds)

    def with_threads():
        outcomes, barrier = [], threading.Barrier(readers + 1)

        def read():
            barrier.wait()
            try:
                outcomes.append(app.get_or_compute("k", compute, ttl=60))
            except Exception as error:
                outcomes.append(error)

        threads = [threading.Thread(target=read) for _ in range(readers)]
        for thread in threads:
            thread.start()
        on_your_marks()
        barrier.wait()
        for thread in threads:
            thread.join()
        tell(outcomes)

    async def with_tasks():
        on_your_marks()
        tell(await asyncio.gather(*(app.aget_or_compute("k", acompute, ttl=60) for _ in range(readers))))

    with_threads() if how == "threads" else asyncio.run(with_tasks())
    app.close()
"""


class Stampede:
    """Processes that all set off at once."""

    def __init__(self, fleet, namespace: str, hows: list[str], **variables: str) -> None:
        self._folder = fleet.folder
        source = textwrap.dedent(READER)
        source = source.replace("CALLS", repr(f"{namespace}-calls")).replace("LEADERS", repr(f"{namespace}-leaders"))
        fleet.environment.update({"WARMER_LEASE_WAIT_S": "30", "COMPUTE_S": "1", **variables})
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-c", source, how, str(READERS)],
                env=fleet.environment,
                cwd=fleet.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for how in hows
        ]
        fleet.processes += self.processes

    def set_off(self) -> None:
        deadline_s = time.monotonic() + 60
        while len(list(self._folder.glob("ready-*"))) < len(self.processes):
            assert time.monotonic() < deadline_s, "they do not get ready"
            time.sleep(0.01)
        (self._folder / "go").touch()

    def told(self) -> list[list[str]]:
        """What the processes that were not killed say of their readers' outcomes."""
        told = []
        for process in self.processes:
            output, errors = process.communicate(timeout=60)
            if process.returncode != -signal.SIGKILL:
                assert process.returncode == 0, errors
                print(errors)
                told.append(output.split())
        return told


@pytest.fixture
def client(server):
    with Redis.from_url(server.url) as client:
        yield client


@pytest.mark.parametrize(
    "hows", [["threads"] * PROCESSES, ["tasks"] * PROCESSES, ["threads", "tasks"] * (PROCESSES // 2)],
    ids=["threads", "tasks", "both"],
)  # fmt: skip
def test_a_thousand_readers_in_four_processes_compute_once(fleet, namespace, client, hows):
    stampede = Stampede(fleet, namespace, hows)
    stampede.set_off()
    assert stampede.told() == [[str(READERS), str(READERS), "dict"]] * PROCESSES
    assert int(client.get(f"{namespace}-calls")) == 1


@pytest.mark.parametrize("how", ["threads", "tasks"])
def test_when_the_leading_process_is_killed_one_successor_computes_within_the_lease_time_out(
    fleet, namespace, client, eventually, how
):
    lease_timeout_s = 2.0
    stampede = Stampede(fleet, namespace, [how] * PROCESSES, WARMER_LEASE_TIMEOUT_S=str(lease_timeout_s))
    stampede.set_off()
    eventually(lambda: client.llen(f"{namespace}-leaders") == 1, within_s=30)
    leader = int(client.lindex(f"{namespace}-leaders", 0))
    os.kill(leader, signal.SIGKILL)
    killed_s = time.monotonic()
    eventually(lambda: client.llen(f"{namespace}-leaders") == 2, within_s=30)
    succeeded_s = time.monotonic() - killed_s
    assert succeeded_s < lease_timeout_s + 2
    assert stampede.told() == [[str(READERS), str(READERS), "dict"]] * (PROCESSES - 1)
    assert int(client.get(f"{namespace}-calls")) == 2


def test_when_the_leader_fails_all_others_are_told_and_none_of_them_computes(fleet, namespace, client):
    stampede = Stampede(fleet, namespace, ["threads"] * PROCESSES, FAILS="yes")
    stampede.set_off()
    told = stampede.told()
    assert sorted(told) == [[str(READERS), "0", "ComputationFailedError"]] * (PROCESSES - 1) + [
        [str(READERS), "0", "OSError"]
    ]
    assert int(client.get(f"{namespace}-calls")) == 1
