"""Tasks for the workers: values that cost nothing, values that take 20 ms, and batches of a hundred."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from warmer import WarmingTask, register_warming_task

WAIT_S = 0.02
BATCH = 100
TTL_S = 3600


def value_of(number: int) -> dict[str, Any]:
    """Return a small value; RQ's jobs and the bare SETs store the same ones."""
    return {"number": number, "name": f"product {number}", "in_stock": True}


def compute(number: int) -> dict[str, Any]:
    return value_of(number)


def compute_many(numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    return {number: value_of(number) for number in numbers}


def wait(number: int) -> dict[str, Any]:
    time.sleep(WAIT_S)
    return value_of(number)


async def async_wait(number: int) -> dict[str, Any]:
    await asyncio.sleep(WAIT_S)
    return value_of(number)


def _task(task_id: str, compute_fn: Callable[..., Any], **options: Any) -> WarmingTask:
    return WarmingTask(
        task_id=task_id, cache_key=f"{task_id}:{{number}}", compute_fn=compute_fn, ttl=TTL_S, codec="json", **options
    )


NO_OP = _task("no-op", compute)
WAIT = _task("wait", wait)
ASYNC_WAIT = _task("async-wait", async_wait)
IN_BATCHES = _task("batch", compute, compute_many_fn=compute_many, batch_size=BATCH)


def register() -> None:
    """Make a worker know the tasks."""
    for task in (NO_OP, WAIT, ASYNC_WAIT, IN_BATCHES):
        register_warming_task(task)
