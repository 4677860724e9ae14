"""Runs what has to be renewed in a forked child: locks that were held and threads that are gone."""

import os
from collections.abc import Callable
from weakref import WeakMethod, WeakSet


class _Hook:
    """Keeps a bound method alive only as long as its object lives."""

    def __init__(self, method: Callable[[], None]) -> None:
        self.method = WeakMethod(method)


_hooks: WeakSet[_Hook] = WeakSet()


def in_child(method: Callable[[], None]) -> object:
    """Call a bound method in every child that this process forks, for as long as the returned hook is kept.

    Args:
        method: A bound method without arguments.

    Returns:
        The hook; keep it on the method's own object.
    """
    hook = _Hook(method)
    _hooks.add(hook)
    return hook


def _run_hooks() -> None:
    for hook in list(_hooks):
        method = hook.method()
        if method is not None:
            method()


os.register_at_fork(after_in_child=_run_hooks)
