"""The tasks that this process knows: its own functions, by task id."""

import importlib
import re
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from warmer.errors import InvalidTaskError, NotImportableError
from warmer.tasks.task import WarmingTask, check_batch_function
from warmer.tasks.template import Template


class Displaced(NamedTuple):
    """What a newly known task has displaced.

    Args:
        task: The one that had the same id, if any.
        cache_key: Its plain cache key; "" for a template.
        key_owner: The id of the one that had the same cache key, if any.
    """

    task: WarmingTask | None
    cache_key: str
    key_owner: str | None


class Registry:
    """The tasks that this process registered itself; the only source of code that it runs.

    Example:
        >>> registry = Registry()
        >>> _ = registry.add(WarmingTask(task_id="catalog", cache_key="catalog", compute_fn="shop:load"))
        >>> [task.task_id for task in registry.tasks()]
        ['catalog']
    """

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._tasks: dict[str, WarmingTask] = {}
        self._id_by_key: dict[str, str] = {}
        self._resolved: dict[str, tuple[str | bytes, WarmingTask]] = {}

    def add(self, task: WarmingTask) -> Displaced:
        """Know a task, in the place of one with the same id; returns what it displaced, for `restore`."""
        with self._lock:
            cache_key = "" if task.fields else task.target().cache_key
            displaced = Displaced(self._tasks.get(task.task_id), cache_key, self._id_by_key.get(cache_key))
            self._forget(task.task_id)
            self._know(task)
            return displaced

    def restore(self, task_id: str, displaced: Displaced) -> None:
        """Forget a task that Redis refused, and know again what it had displaced."""
        with self._lock:
            self._forget(task_id)
            if displaced.task is not None:
                self._know(displaced.task)
            if displaced.key_owner in self._tasks:
                self._id_by_key[displaced.cache_key] = displaced.key_owner

    def remove(self, task_id: str) -> None:
        """Forget a task."""
        with self._lock:
            self._forget(task_id)

    def tasks(self) -> list[WarmingTask]:
        """Return all tasks, in the order in which they were added."""
        with self._lock:
            return list(self._tasks.values())

    def get(self, task_id: str) -> WarmingTask | None:
        """Return the task with this id, if this process knows it."""
        return self._tasks.get(task_id)

    def owner(self, cache_key: str) -> WarmingTask | None:
        """Return the enabled task with this plain cache key, if this process knows it."""
        task_id = self._id_by_key.get(cache_key)
        return None if task_id is None else self._tasks.get(task_id)

    def maker(self, cache_key: str) -> WarmingTask | None:
        """Return the task whose key this is, or whose template alone makes such keys; None if there is none."""
        owner = self.owner(cache_key)
        if owner is not None:
            return owner
        makers = [task for task in self.tasks() if could_make(task.template, cache_key)]
        return makers[0] if len(makers) == 1 else None

    def resolve(self, definition: str | bytes) -> WarmingTask | None:
        """Return the task that a definition from Redis describes, with this process's own functions.

        Everything but the functions is taken from the definition, so that a changed ttl takes effect at once. They are
        only ever those that this process registered, under the same id and the same names.

        Args:
            definition: The definition, as JSON.

        Returns:
            The task; None if this process does not know it.

        Raises:
            InvalidTaskError: the definition is none that this version understands.
        """
        record: dict[str, Any] = orjson.loads(definition)
        task_id = record["task_id"]
        known = self._tasks.get(task_id)
        if known is None or not _names_functions_of(record, known):
            return None
        before = self._resolved.get(task_id)
        if before is not None and before[0] == definition:
            return before[1]
        task = WarmingTask.from_definition(record, known.compute_fn, known.cache_errors, known.compute_many_fn)
        self._resolved[task_id] = (definition, task)
        return task

    def _know(self, task: WarmingTask) -> None:
        self._tasks[task.task_id] = task
        if task.enabled and not task.fields:
            self._id_by_key[task.target().cache_key] = task.task_id

    def _forget(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)
        self._resolved.pop(task_id, None)
        for key in [key for key, owner in self._id_by_key.items() if owner == task_id]:
            del self._id_by_key[key]


def _names_functions_of(record: Mapping[str, Any], task: WarmingTask) -> bool:
    named = record["compute"], record.get("compute_many")
    return named == (task.compute_path, task.compute_many_path)


def could_make(template: Template, cache_key: str) -> bool:
    """Say whether a template makes such keys: its own separators never stand in the values between them.

    Example:
        >>> template = Template.parse("product:{product_id}")
        >>> could_make(template, "product:42"), could_make(template, "product:42:reviews")
        (True, False)
    """
    return _pattern_of(template).fullmatch(cache_key) is not None


@lru_cache(maxsize=1024)
def _pattern_of(template: Template) -> re.Pattern[str]:
    separators = {character for literal in template.literals for character in literal if not character.isalnum()}
    excluded = re.escape("".join(separators - {"%"}))
    return re.compile((f"[^{excluded}]*" if excluded else ".*").join(map(re.escape, template.literals)))


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
