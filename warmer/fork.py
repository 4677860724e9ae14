"""Hooks for the fork and the end of a process."""

import atexit
import os
import sys
from collections.abc import Callable
from weakref import WeakMethod, WeakSet


class _Hook:
    """A weak reference to a bound method: its object may be collected."""

    def __init__(self, method: Callable[[], None]) -> None:
        self.method = WeakMethod(method)


_hooks: WeakSet[_Hook] = WeakSet()


def in_child(method: Callable[[], None]) -> object:
    """Call a bound method in every child that this process forks, as long as the returned hook is kept.

    Args:
        method: A bound method without arguments.

    Returns:
        The hook; keep it in an attribute of the method's object.
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


class ForkSafe:
    """Base class of objects that are reset in a forked child, where threads are gone and locks may be held for ever.

    A subclass sets all that a child must not share with its parent in `_reset_after_fork`. That is called when the
    object is made, too: a subclass calls ``super().__init__()`` once everything that it needs is set.

    Example:
        >>> import threading
        >>> class Counter(ForkSafe):
        ...     def _reset_after_fork(self) -> None:
        ...         self.lock = threading.Lock()
        >>> Counter().lock.acquire(blocking=False)
        True
    """

    def __init__(self) -> None:
        """Set what forked children set for themselves."""
        self._reset_after_fork()
        self._fork_hook = in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        raise NotImplementedError


def at_exit(action: Callable[[], None]) -> Callable[[], object]:
    """Run an action when this process ends, also in a child of `multiprocessing`, which does not run `atexit` actions.

    Args:
        action: The action; it may be run twice.

    Returns:
        A function that takes this back.

    Example:
        >>> take_back = at_exit(lambda: None)
        >>> _ = take_back()
    """
    atexit.register(action)
    processes = sys.modules.get("multiprocessing.util")
    finalizer = None if processes is None else processes.Finalize(None, action, exitpriority=0)

    def take_back() -> None:
        atexit.unregister(action)
        if finalizer is not None and finalizer.still_active():
            finalizer.cancel()

    return take_back
