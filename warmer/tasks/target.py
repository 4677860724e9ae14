"""Targets: one task with one set of arguments, the text (ref) that names it, and a memo of those of calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from warmer.errors import InvalidTaskError
from warmer.tasks.template import canonical_json

if TYPE_CHECKING:
    from warmer.tasks.task import WarmingTask

MAX_REF_BYTES = 8192
MAX_REMEMBERED_CALLS: Final = 2048
MAX_REMEMBERED_CHARACTERS: Final = 200

_UNAMBIGUOUS_TYPES: Final = (str, int, bool, type(None), UUID, date)
"""Types whose values are equal only if they are the same argument; 0.0 and -0.0 are not, nor are equal datetimes."""

_IMMUTABLE_TYPES: Final = (*_UNAMBIGUOUS_TYPES, float, datetime, time, timedelta, Decimal, bytes)
"""Types whose values a function cannot change, so that many calls may share them."""

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """One task with one set of arguments: the unit that is claimed, computed and cached.

    Args:
        task: The task.
        arguments: A value for each argument of its key template, as the function takes them.

    Example:
        >>> from warmer import WarmingTask
        >>> task = WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn="app:load")
        >>> Target(task, {"user_id": 42}).ref
        'profile{"user_id":42}'
    """

    task: "WarmingTask"
    arguments: Arguments

    @cached_property
    def ref(self) -> str:
        """The canonical text of this target: its task id, then its arguments as sorted compact JSON.

        Raises:
            InvalidTaskError: it would be longer than 8,192 bytes.
        """
        return make_ref(self.task.task_id, self.task.parameters.dump(self.arguments))

    @cached_property
    def cache_key(self) -> str:
        """The key under which this target's value is cached; `Template` says how arguments stand in it.

        Raises:
            InvalidTaskError: an argument cannot stand in a key, or it would be longer than 512 characters.
        """
        return self.task.template.key(self.arguments, self.task.parameters.plain)

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """Distinguishes this target from others of its task with the same key.

        For fields without annotation, 42 and ``"42"`` make the same key; their identities differ. Where a key has only
        an attribute of an argument, all arguments with this attribute are the same.
        """
        template = self.task.template
        return template.identity(self.arguments) if template.has_attributes else (self.ref,)

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The task's tags for these arguments, sorted."""
        templates, plain = self.task.tag_templates, self.task.parameters.plain
        return tuple(sorted(template.key(self.arguments, plain) for template in templates))


def make_ref(task_id: str, arguments: Arguments) -> str:
    """Return the canonical text of a target: its task id, then its arguments as sorted compact JSON.

    Args:
        task_id: The task's id.
        arguments: Its arguments, as JSON holds them; nothing is appended when there are none.

    Raises:
        InvalidTaskError: the text would be longer than 8,192 bytes, or JSON cannot hold an argument.

    Example:
        >>> make_ref("catalog", {})
        'catalog'
    """
    if not arguments:
        return task_id
    ref = task_id + canonical_json("arguments", dict(arguments))
    if len(ref.encode()) > MAX_REF_BYTES:
        raise InvalidTaskError(
            f"the arguments of task {task_id!r} take {len(ref.encode())} bytes as JSON; "
            f"at most {MAX_REF_BYTES} are allowed. Pass an id, not the thing itself."
        )
    return ref


def task_id_of(ref: str) -> str:
    """Return the id of the task that a target belongs to.

    Example:
        >>> task_id_of('profile{"user_id":42}'), task_id_of("catalog")
        ('profile', 'catalog')
    """
    return ref.partition("{")[0]


def parse_ref(ref: str) -> tuple[str, dict[str, Any]]:
    """Return the task id and the arguments, as JSON holds them, that a target's canonical text names.

    Example:
        >>> parse_ref('profile{"user_id":42}')
        ('profile', {'user_id': 42})
    """
    task_id, brace, rest = ref.partition("{")
    return task_id, orjson.loads(brace + rest) if brace else {}


class TargetMemo:
    """Memo of the targets of a task's calls: a call with the arguments of an earlier one makes no new target.

    A task keeps one, so that the memo goes when the task goes.

    Args:
        task: The task.
    """

    def __init__(self, task: "WarmingTask") -> None:
        """Start without any."""
        self._task = task
        self.remembered = lru_cache(maxsize=MAX_REMEMBERED_CALLS, typed=True)(self._remember)

    def of_call(self, args: Sequence[Any], kwargs: Arguments) -> Target:
        """Return the target of a call; see `WarmingTask.target_of_call`."""
        try:
            return self.remembered(*args, **kwargs)
        except _NotRememberedError as error:
            known = error.target
        except TypeError:  # an argument has no hash
            known = None
        return known or self._make(args, kwargs)

    def _remember(self, *args: Any, **kwargs: Any) -> Target:
        if not all(map(_is_unambiguous, (*args, *kwargs.values()))):
            raise _NotRememberedError
        target = self._make(args, kwargs)
        if not all(map(_is_immutable, target.arguments.values())):
            raise _NotRememberedError(target)
        return target

    def _make(self, args: Sequence[Any], kwargs: Arguments) -> Target:
        try:
            return Target(self._task, self._task.parameters.bind(args, kwargs))
        except InvalidTaskError as error:
            raise InvalidTaskError(f"task {self._task.task_id!r}: {error}") from None


class _NotRememberedError(Exception):
    """A call whose target is not kept: equal arguments may differ, or the function may change them.

    Args:
        target: Its target, if it was made before this was known.
    """

    def __init__(self, target: Target | None = None) -> None:
        """Keep the target."""
        super().__init__()
        self.target = target


def _is_unambiguous(value: Any) -> bool:
    is_long = type(value) is str and len(value) > MAX_REMEMBERED_CHARACTERS
    return type(value) in _UNAMBIGUOUS_TYPES and not is_long


def _is_immutable(value: Any) -> bool:
    return type(value) in _IMMUTABLE_TYPES or isinstance(value, Enum)
