"""Schedulers and workers as processes, and the module of tasks that they import."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]

TASKS = """
    import os, re, signal, time
    from pathlib import Path
    from warmer import WarmingTask, register_critical_task, register_warming_task

    HERE = Path(__file__).parent

    def mark(name, text):
        with (HERE / name).open("a") as file:
            file.write(f"{text}\\n")

    def register(task_id, function, **values):
        register_warming_task(WarmingTask(task_id=task_id, cache_key=f"{task_id}:key", compute_fn=function, **values))

    def keep(task_id, function, **values):
        register(task_id, function, **{"ttl": 600, "critical": True, **values})
"""
"""What tasks tell of themselves, for `Fleet.lines`, and how they are registered; what a test writes comes after it."""

HOLDS_THE_INTERPRETER = """
    def astray():
        mark("runs", os.getpid())
        re.match("(a+)+$", "a" * 40 + "b")

    keep("astray", astray)
"""


class Fleet:
    """Processes of one namespace, and a module of tasks that they import."""

    def __init__(self, url: str, namespace: str, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WARMER_")},
            "WARMER_REDIS_URL": url,
            "WARMER_NAMESPACE": namespace,
            "WARMER_TICK_S": "0.2",
            "WARMER_FLUSH_S": "0.2",
            "WARMER_CLAIM_TIMEOUT_S": "1.5",
            "WARMER_LEASE_TIMEOUT_S": "1.0",
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), str(ROOT / "workers"), str(ROOT / "scheduler")]),
        }

    def write(self, name: str, source: str) -> None:
        """Write a module that the processes can import."""
        (self.folder / f"{name}.py").write_text(textwrap.dedent(source))

    def tasks(self, source: str) -> None:
        """Write the module of tasks that the processes import: `TASKS`, and what these are in this test."""
        self.write("fleet_tasks", TASKS + source)

    def run(self, *arguments: str, log: str = "log") -> subprocess.Popen[bytes]:
        """Start a `warmer` command; its output goes to a file."""
        output = (self.folder / f"{log}.txt").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "warmer", *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        output.close()
        self.processes.append(process)
        return process

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self.run("scheduler", log="scheduler")

    def worker(self, *arguments: str, module: str = "fleet_tasks") -> subprocess.Popen[bytes]:
        return self.run("worker", "--import", module, *arguments, log="worker")

    def python(self, source: str, timeout_s: float = 60, **variables: str) -> str:
        """Run a script to its end, with an exit code of 0; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source)],
            env={**self.environment, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def lines(self, name: str) -> list[str]:
        """What tasks wrote to a file in the fleet's folder, line by line."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
