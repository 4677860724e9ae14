"""Items of a bulk run: each is the arguments of one target."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from warmer.errors import InvalidTaskError
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask

MAX_LABEL_CHARACTERS = 80


def call_arguments(item: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the positional and the keyword arguments that an item stands for.

    Args:
        item: A mapping of arguments, a tuple of them, or a single one.

    Example:
        >>> call_arguments({"user_id": 42}), call_arguments((42, "south")), call_arguments(42)
        (((), {'user_id': 42}), ((42, 'south'), {}), ((42,), {}))
    """
    if isinstance(item, Mapping):
        return (), item
    if isinstance(item, tuple):
        return item, {}
    return (item,), {}


def refs_of(task: WarmingTask) -> Callable[[Any], str]:
    """Return a function that returns the canonical text of an item's target.

    It raises an item that is an `InvalidTaskError`: that is how a reader of files reports a line it cannot read.

    Args:
        task: The task of all items.

    Example:
        >>> refs_of(WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn="app:load"))(42)
        'profile{"user_id":42}'
    """
    only = _only_parameter(task)

    def ref_of(item: Any) -> str:
        if isinstance(item, InvalidTaskError):
            raise item
        args, kwargs = call_arguments(item)
        if only is not None and args and not args[1:]:
            args, kwargs = (), {only: next(iter(args))}
        # Not through the memo of the task: very many items would push out the targets of readers.
        target = Target(task, task.parameters.bind(args, kwargs))
        _ = target.cache_key  # refused here rather than by a worker
        return target.ref

    return ref_of


def _only_parameter(task: WarmingTask) -> str | None:
    """Return the only parameter that must be given, if the function is not known and so its order is not."""
    if not isinstance(task.compute_fn, str):
        return None
    parameters = task.parameters
    names = [name for name in parameters.by_name if name not in parameters.defaults] or list(parameters.by_name)
    return names[0] if len(names) == 1 else None


def labelled(number: int, item: Any) -> str:
    """Return a label for an item that has no target, for messages.

    Args:
        number: Its number in the iterable, from 1.
        item: The item.

    Example:
        >>> labelled(3, {"usr_id": 42})
        "item 3: {'usr_id': 42}"
    """
    if isinstance(item, InvalidTaskError):
        return f"item {number}"
    try:
        text = repr(item)
    except Exception:
        text = f"a {type(item).__name__}"
    return f"item {number}: {text if len(text) <= MAX_LABEL_CHARACTERS else text[:MAX_LABEL_CHARACTERS] + '…'}"


def check_items(items: Iterable[Any]) -> Iterable[Any]:
    """Return the iterable of arguments, checked.

    Raises:
        InvalidTaskError: it is not an iterable, or a str, bytes or dict, which stand for one item.
    """
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise InvalidTaskError(
            "warm_many takes an iterable with an item for each target (a dict of arguments, a tuple of them, or a "
            f"single one), got {type(items).__name__} {items!r:.60}; for one target use warm(...)"
        )
    return items


def check_in_flight(in_flight: int) -> int:
    """Return the bound of outstanding items, checked.

    Raises:
        InvalidTaskError: it is not a whole number of 1 or more.
    """
    if isinstance(in_flight, bool) or not isinstance(in_flight, int) or in_flight < 1:
        raise InvalidTaskError(f"in_flight must be a whole number of targets of 1 or more, got {in_flight!r}")
    return in_flight
