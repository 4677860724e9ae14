"""Test kit for applications: a manual clock, a recorder of compute calls, and a `Warmer` in memory.

Load the fixtures in ``conftest.py`` by ``pytest_plugins = ["warmer.testing"]``, and request them by name:

- `warmer_clock`: the `ManualClock` of `memory_warmer`.
- `warmer_recorder`, `warmer_async_recorder`: a `Recorder` that takes any arguments.
- `memory_warmer`: a `MemoryWarmer`, closed at the test's end. It needs no server and starts no background threads.
- `default_memory_warmer`: the same, and the application's own ``@warmed`` functions read through it.
- `warmer_settings`: settings of `memory_warmer` by name; a test module or ``conftest.py`` can override it.

Example:
    >>> memory = MemoryWarmer()
    >>> load = Recorder.of(lambda product_id: {"id": product_id})
    >>> product = memory.warmed("product:{product_id}", ttl=60)(load)
    >>> product(42), product(42), load.calls
    ({'id': 42}, {'id': 42}, [{'product_id': 42}])
    >>> memory.clock.advance(61)
    >>> product.get(42, default="expired")
    'expired'
    >>> memory.close()

PYTEST_DONT_REWRITE: this package asserts nothing, so it may be imported before pytest loads it.
"""

try:
    import fakeredis  # noqa: F401
    import lupa  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401
    import pytest  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"warmer.testing needs more packages ({error}): pip install 'warmer[testing]'", name=error.name
    ) from error

from warmer.testing.fixtures import (
    default_memory_warmer,
    memory_warmer,
    warmer_async_recorder,
    warmer_clock,
    warmer_recorder,
    warmer_settings,
)
from warmer.testing.gate import Gate
from warmer.testing.manual_clock import ManualClock
from warmer.testing.memory_warmer import MemoryWarmer
from warmer.testing.recorder import Recorder

__all__ = [
    "Gate",
    "ManualClock",
    "MemoryWarmer",
    "Recorder",
    "default_memory_warmer",
    "memory_warmer",
    "warmer_async_recorder",
    "warmer_clock",
    "warmer_recorder",
    "warmer_settings",
]
