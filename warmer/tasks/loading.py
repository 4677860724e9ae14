"""Loads the functions of a task by their paths, and checks that workers can import them."""

import importlib
from collections.abc import Callable
from typing import Any

from warmer.errors import InvalidTaskError, NotImportableError
from warmer.tasks.functions import check_batch_function
from warmer.tasks.task import WarmingTask


def load(path: str, name: str = "compute_fn") -> Callable[..., Any]:
    """Import a function by its path.

    Args:
        path: ``"module:function"``; the function may be an attribute of a class.
        name: What it was given as, for the message.

    Raises:
        NotImportableError: there is no such module or function, or it cannot be called.

    Example:
        >>> load("math:sqrt")(9)
        3.0
    """
    module_name, _, attributes = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise NotImportableError(
            f"{name} {path!r} cannot be imported ({error}); expected 'module:function' that exists on sys.path"
        ) from error
    if not callable(found):
        raise NotImportableError(f"{name} {path!r} is a {type(found).__name__}, expected a function")
    return found  # type: ignore[no-any-return]


def function_of(task: WarmingTask) -> Callable[..., Any]:
    """Return the function that computes a task's value, imported if it is given by its path.

    Raises:
        NotImportableError: the path leads nowhere.
    """
    return _unwarmed(load(task.compute_fn) if isinstance(task.compute_fn, str) else task.compute_fn)


def batch_function_of(task: WarmingTask) -> Callable[..., Any]:
    """Return the function that computes many of a task's values, imported if it is given by its path.

    Raises:
        NotImportableError: the path leads nowhere.
        InvalidTaskError: it cannot compute many values at once, or the task has none.
    """
    given = task.compute_many_fn
    if given is None:
        raise InvalidTaskError(f"task {task.task_id!r} computes one value at a time: it has no compute_many_fn")
    function = _unwarmed(load(given, "compute_many_fn") if isinstance(given, str) else given)
    check_batch_function(function)  # one that was given by its path is known only now
    return function


def _unwarmed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a warmed function computes, which itself would read its own warm value."""
    return getattr(function, "warmed_function", function)


def late_function_of(task: WarmingTask) -> Callable[..., Any]:
    """Return the function that computes a task's value; one that cannot be imported says so when it is called."""
    try:
        return function_of(task)
    except NotImportableError as error:
        refusal = error

    def refuse(**arguments: Any) -> Any:
        raise refusal.with_traceback(None)  # or it would keep the frames of every call

    return refuse


def check_importable(task: WarmingTask) -> None:
    """Refuse a task whose functions other processes could not import: workers, or those that they start.

    Raises:
        NotImportableError: a function is a lambda, local, in ``__main__``, or not what its path leads to.
    """
    _check_importable(task, "compute_fn", task.compute_fn, task.compute_path)
    if task.compute_many_fn is not None and task.compute_many_path is not None:
        _check_importable(task, "compute_many_fn", task.compute_many_fn, task.compute_many_path)


def _check_importable(task: WarmingTask, name: str, given: Callable[..., Any] | str, path: str) -> None:
    module_name, _, function_name = path.partition(":")
    who, way_out = _who_imports(task)
    if "<lambda>" in function_name or "<locals>" in function_name:
        kind = "a lambda" if "<lambda>" in function_name else "a local function"
        raise NotImportableError(
            f"task {task.task_id!r}: {name} is {kind} ({path}), which {who} cannot import; {way_out}"
        )
    if module_name == "__main__":
        raise NotImportableError(
            f"task {task.task_id!r}: {name} {function_name!r} lives in the script that was started (__main__), which "
            f"{who} cannot import; {way_out}"
        )
    found = load(path, name)
    if callable(given) and not _is_same(found, given):
        raise NotImportableError(
            f"task {task.task_id!r}: {path} leads to another object than the {name} given (a partial, an "
            f"instance or a decorated function?), so {who} would run something else; {way_out}"
        )


def _who_imports(task: WarmingTask) -> tuple[str, str]:
    """Return who imports a task's functions, and what to do where they cannot."""
    to_a_module = "move it to the top level of a module that workers import"
    if task.isolation == "process":
        return "the processes of isolation='process'", f"{to_a_module}, or compute in threads (isolation='thread')"
    return "workers", f"{to_a_module}, or warm in this process (WARMER_EMBEDDED=1)"


def _is_same(found: Any, given: Any) -> bool:
    return found is given or found == given or getattr(found, "warmed_function", None) is given
