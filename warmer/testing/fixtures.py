"""Pytest fixtures of the test kit; the package lists them."""

from collections.abc import Iterator
from typing import Any

import pytest

from warmer.testing.manual_clock import ManualClock
from warmer.testing.memory_warmer import MemoryWarmer
from warmer.testing.recorder import Recorder


@pytest.fixture
def warmer_clock() -> ManualClock:
    """The clock of `memory_warmer`: ``warmer_clock.advance(61)``."""
    return ManualClock()


@pytest.fixture
def warmer_recorder() -> Recorder:
    """A compute function that takes any arguments, returns what the test sets, and records its calls."""
    return Recorder()


@pytest.fixture
def warmer_async_recorder() -> Recorder:
    """The same as a coroutine function."""
    return Recorder(is_async=True)


@pytest.fixture
def warmer_settings() -> dict[str, Any]:
    """The settings of `memory_warmer` by name; empty unless overridden."""
    return {}


@pytest.fixture
def memory_warmer(warmer_clock: ManualClock, warmer_settings: dict[str, Any]) -> Iterator[MemoryWarmer]:
    """A `Warmer` without a server and without background threads; ``memory_warmer.drain()`` does a worker's work."""
    memory = MemoryWarmer(warmer_clock, **warmer_settings)
    yield memory
    memory.close()


@pytest.fixture
def default_memory_warmer(memory_warmer: MemoryWarmer) -> Iterator[MemoryWarmer]:
    """`memory_warmer` as the default `Warmer`: the application's own ``@warmed`` functions read through it."""
    with memory_warmer.as_default():
        yield memory_warmer
