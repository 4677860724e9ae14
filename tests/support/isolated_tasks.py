"""Compute functions for processes of their own, importable there by their paths."""

import asyncio
import ctypes
import multiprocessing
import os
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import warmer
from warmer.refresh.read_counter import ReadCounter


class StockError(Exception):
    """One that the task caches."""


class EmptyError(StockError):
    """Kind of it."""


class StrangeError(Exception):
    """One that nobody knows."""


def product(n: int) -> dict[str, int]:
    return {"id": n, "price": 3 * n}


async def product_soon(n: int) -> dict[str, int]:
    await asyncio.sleep(0.001)
    return {"id": n}


_meeting: list[int] = []


async def meeting(n: int) -> int:
    """Return how many others of the same order had begun before this one ended."""
    _meeting.append(n)
    await asyncio.sleep(0.01)
    return len(_meeting)


async def never(n: int) -> None:
    await asyncio.sleep(60)


def nothing(n: int) -> None:
    return None


def day(n: int) -> date:
    return date(2024, 1, n)


def raw(n: int) -> bytes:
    return bytes(range(n))


def anything(n: int) -> Any:
    return {"raw": b"\0" * n, 7: float("inf")}


def large(n: int) -> str:
    return n * "x"


def unstorable(n: int) -> Any:
    return object()


def own_process(n: int) -> int:
    return os.getpid()


def missing(n: int) -> None:
    raise StockError("no stock", n)


def empty(n: int) -> None:
    raise EmptyError(f"nothing of {n}")


def strange(n: int) -> None:
    raise StrangeError(f"odd: {n}")


def wrong(n: int) -> float:
    return n / 0


def unreadable(n: int) -> str:
    return Path("/no/such/file").read_text()


def leave(n: int) -> None:
    sys.exit(n)


def talk(n: int) -> int:
    print("spoken", n)
    os.write(1, b"written\n" * n)
    sys.stdin.read()
    subprocess.run(["sh", "-c", "echo echoed"], check=True)
    return n


def segfault(n: int) -> None:
    ctypes.string_at(0)


def die(n: int) -> None:
    os._exit(n)


def die_and_leave_another(n: int) -> None:
    """One forked process lives on, and holds what this one had open."""
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    os._exit(n)


def die_of_odd(n: int) -> int:
    if n % 2:
        os._exit(3)
    return n


def load_many(numbers: list[int]) -> dict[int, int]:
    for n in numbers:
        if n == 13:
            os._exit(3)
    return {n: n * n for n in numbers if n != 7}


def load_some(numbers: list[int]) -> dict[int, int]:
    return {n: 100 // n for n in numbers}


def exit_many(numbers: list[int]) -> dict[int, int]:
    sys.exit(4)


def sleep_ms(n: int) -> int:
    time.sleep(n / 1000)
    return os.getpid()


def meet(folder: str, me: str, other: str) -> bool:
    """Say whether the other computation is under way while this one is."""
    Path(folder, me).touch()
    deadline_s = time.monotonic() + 30
    while not Path(folder, other).exists():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


def hold_interpreter(folder: str) -> None:
    """Leave word, start a process, and never let another thread of this one run again."""
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(folder, "helper").write_text(f"{helper.pid}\n")
    Path(folder, "child").write_text(f"{os.getpid()}\n")
    re.match("(a+)+$", "a" * 60 + "b")


def environment(n: int) -> dict[str, Any]:
    return {
        "embedded": warmer.default_warmer().settings.embedded,
        "namespace": warmer.default_warmer().settings.namespace,
        "path": sys.path,
        "arguments": sys.argv,
    }


def counted_reads(n: int) -> int:
    counter = ReadCounter()
    counter.miss("catalog")
    return len(counter.take().reads)


def start_pool(n: int) -> list[int]:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, range(-n, 0))


@warmer.warmed("decorated:{n}")
def decorated(n: int) -> int:
    return n + 1
