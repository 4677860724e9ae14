"""Targets: one task with one set of arguments, and the text (ref) that names it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from warmer.errors import InvalidTaskError
from warmer.tasks.json_values import canonical_json

if TYPE_CHECKING:
    from warmer.tasks.task import WarmingTask

MAX_REF_BYTES = 8192

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

        For fields without annotation, 42 and ``"42"`` make the same key; their identities differ.
        """
        return self.task.template.identity(self.arguments)

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
