"""The default `Warmer` of a process, and what was declared before it was there."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from warmer.client.warmer import Warmer, runtime_of
from warmer.errors import SettingsError
from warmer.runtime import Runtime
from warmer.settings import Settings
from warmer.tasks.task import WarmingTask

_lock = threading.Lock()
_default: Warmer | None = None
_declared: dict[str, WarmingTask] = {}


def default_warmer() -> Warmer:
    """Return the default `Warmer`, made at first use from ``WARMER_*`` variables.

    Raises:
        SettingsError: a variable cannot be used.
    """
    global _default
    warmer = _default
    if warmer is not None:
        return warmer
    with _lock:
        if _default is None:
            _default = _knowing_declared(Warmer())
        return _default


def fleet() -> Warmer:
    """Return the default `Warmer` of the configured fleet: what speaks of the fleet never guesses a server.

    Raises:
        SettingsError: a variable cannot be used, or no Redis is configured.
    """
    warmer = default_warmer()
    warmer.settings.required_redis_url()
    return warmer


def fleet_runtime() -> Runtime:
    """Return the runtime of `fleet`, for the processes that serve it.

    Raises:
        SettingsError: a variable cannot be used, or no Redis is configured.
    """
    return runtime_of(fleet())


def declare(task: WarmingTask) -> None:
    """Have the default `Warmer` know a task, whichever that is or will be; nothing is sent by this call.

    Example:
        >>> declare(WarmingTask(task_id="declared", cache_key="declared", compute_fn=lambda: 42))
    """
    with _lock:
        _declared[task.task_id] = task
        if _default is not None:
            _default.declare(task)


@contextmanager
def standing_in(warmer: Warmer, is_passing: Callable[[WarmingTask], bool]) -> Iterator[None]:
    """Let another `Warmer` be the default in this block, for tests.

    Args:
        warmer: Which one; it learns what has been declared so far.
        is_passing: Says of a task that is declared in this block whether it ends with it.
    """
    global _default
    with _lock:
        declared = dict(_declared)
        before, _default = _default, _knowing_declared(warmer)
    try:
        yield
    finally:
        with _lock:
            configured, _default = _default, before
            lasting = {task_id: task for task_id, task in _declared.items() if not is_passing(task)}
            _declared.clear()
            _declared.update({**declared, **lasting})
        if configured is not None and configured is not warmer:
            configured.close()


def _knowing_declared(warmer: Warmer) -> Warmer:
    for task in _declared.values():
        warmer.declare(task)
    return warmer


def configure(settings: Settings | None = None, **values: Any) -> Warmer:
    """Configure the default `Warmer`, before or instead of ``WARMER_*`` variables.

    Args:
        settings: All settings at once.
        **values: Or some of them by name; the rest comes from the environment.

    Returns:
        The new default; the one before it is closed.

    Raises:
        SettingsError: a value cannot be used, or settings were given both ways.

    Example:
        >>> configure(embedded=True).settings.embedded
        True
    """
    global _default
    if settings is not None and values:
        raise SettingsError(f"expected all settings at once or some by name, got both: {sorted(values)} too")
    fresh = Warmer(settings or Settings.load(**values))
    with _lock:
        before, _default = _default, _knowing_declared(fresh)
    if before is not None:
        before.close()
    return fresh
