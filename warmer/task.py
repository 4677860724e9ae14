"""What an application declares: tasks, and the targets they stand for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Formatter
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from warmer.errors import InvalidTaskError

CRITICAL_PRIORITY = 50
"""Targets of this priority and above are critical, flagged or not."""

MAX_PRIORITY = 4096
"""The ready order packs priority and time into the 53 exact bits of a sorted set's score."""

MAX_REF_BYTES = 1024

_NOT_PLAIN = re.compile("[\x00-\x1f\ud800-\udfff]")  # a pattern, because every read checks its key

NO_FUNCTION = "warmer:no_function"

Arguments = Mapping[str, str | int]


def is_plain_text(text: str) -> bool:
    """Say whether a text can be a key: without control characters, and encodable.

    Example:
        >>> is_plain_text("user:42"), is_plain_text(chr(10))
        (True, False)
    """
    return _NOT_PLAIN.search(text) is None


def _usable_text(text: str) -> str:
    if not is_plain_text(text):
        raise ValueError("control characters and lone surrogates are not allowed")
    return text


def _usable_template(cache_key: str) -> str:
    parts = _parsed(cache_key)
    for _, field, format_spec, conversion in parts:
        if field is not None and (not field.isidentifier() or format_spec or conversion):
            raise ValueError(f"a template's fields are plain names such as {{user_id}}, not {{{field}}}")
    fields = [position for position, part in enumerate(parts) if part[1] is not None]
    for position in fields[1:]:
        if not _separators(parts[position][0]):
            raise ValueError("different arguments could make the same key; put a separator such as ':' between fields")
    return cache_key


def _separators(literal: str) -> set[str]:
    """Return the characters of a template's text that values must not contain as they are."""
    return {character for character in literal if not character.isalnum() and character != "%"}


def _parsed(cache_key: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(cache_key))
    except ValueError as error:
        raise ValueError(f"not a key template ({error}); write {{{{ and }}}} for literal braces") from None


def _usable_cron(schedule: str | None) -> str | None:
    if schedule is not None:
        try:
            CronSim(schedule, datetime.now(UTC))
        except CronSimError as error:
            raise ValueError(
                f"not a cron line ({error}); expected five fields such as '*/15 8-18 * * MON-FRI'"
            ) from None
    return schedule


def _usable_zone(timezone: str) -> str:
    try:
        ZoneInfo(timezone)
    except Exception:
        raise ValueError("not a time zone; expected a name such as 'UTC' or 'Europe/Berlin'") from None
    return timezone


class WarmingTask(BaseModel):
    """How to compute a value, under which cache key, for how long it is valid, how much it matters.

    Args:
        task_id: 1 to 128 characters out of letters, digits and ``_ . : / @ -``.
        name: What people call it; the id when empty.
        cache_key: The key, or a template such as ``"user:{user_id}"``, up to 512 characters.
        compute_fn: The function that computes the value, or its path ``"module:function"``; sync or async.
            A template's fields are passed as keyword arguments.
        ttl: Seconds for which a value is fresh, counted from the moment its computation began.
        tags: Words to find tasks by.
        priority: From -4096 to 4096, higher first; 50 and above are critical.
        schedule: A cron line at which to refresh as well; it can only bring a refresh forward.
        timezone: The zone in which the cron line is read.
        enabled: Whether the task is warmed at all.
        critical: Whether it is kept warm whatever its reads; with a key template, it only goes first.
        timeout_s: Seconds after which a computation by a worker counts as failed.

    Raises:
        InvalidTaskError: an argument cannot be used; the message names it.

    Example:
        >>> task = WarmingTask(task_id="catalog", name="Catalog", cache_key="catalog:products",
        ...                    compute_fn="shop.catalog:load", ttl=3600, priority=100)
        >>> task.is_critical
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    task_id: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:/@-]+$")
    name: Annotated[str, AfterValidator(_usable_text)] = Field("", max_length=200)
    cache_key: Annotated[str, AfterValidator(_usable_text), AfterValidator(_usable_template)] = Field(
        min_length=1, max_length=512
    )
    compute_fn: Callable[..., Any] | Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")]
    ttl: float = Field(3600.0, gt=0, le=315_360_000, allow_inf_nan=False)
    tags: frozenset[str] = frozenset()
    priority: int = Field(0, ge=-MAX_PRIORITY, le=MAX_PRIORITY)
    schedule: Annotated[str | None, AfterValidator(_usable_cron)] = None
    timezone: Annotated[str, AfterValidator(_usable_zone)] = "UTC"
    enabled: bool = True
    critical: bool = False
    timeout_s: float = Field(60.0, gt=0, le=86_400, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _explain_refusal(cls, data: Any, handler: ModelWrapValidatorHandler["WarmingTask"]) -> "WarmingTask":
        try:
            return handler(data)
        except ValidationError as error:
            raise InvalidTaskError(_explained(data, error)) from None

    @property
    def is_critical(self) -> bool:
        """Whether the task is kept warm whatever its reads."""
        return self.critical or self.priority >= CRITICAL_PRIORITY

    @property
    def is_always_warm(self) -> bool:
        """Whether it is refreshed whatever its reads: critical, with a plain key.

        Nobody knows how many targets a key template will have; even those of a critical task are kept only while they
        are read, so that yesterday's users do not fill the schedule for ever.
        """
        return self.is_critical and not self.fields

    @property
    def label(self) -> str:
        """What people call the task: its name, or its id."""
        return self.name or self.task_id

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the key template's fields, sorted; empty for a plain key."""
        return tuple(sorted({field for _, field, _, _ in _parsed(self.cache_key) if field is not None}))

    @property
    def key_shape(self) -> str:
        """The cache key with nameless fields: two templates that differ only in names make the same keys."""
        return self.cache_key.format(**dict.fromkeys(self.fields, "{}"))

    @property
    def compute_path(self) -> str:
        """Where the compute function lives, as ``"module:function"``."""
        if isinstance(self.compute_fn, str):
            return self.compute_fn
        function = getattr(self.compute_fn, "func", self.compute_fn)  # a functools.partial names its inner one
        return f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', repr(type(function)))}"

    def target(self, **arguments: str | int) -> "Target":
        """Return the target that this task stands for with these arguments.

        Args:
            **arguments: A value for each field of the key template.

        Raises:
            InvalidTaskError: an argument is missing, unknown or of another type than str or int.

        Example:
            >>> WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn="app:load"
            ...             ).target(user_id=42).cache_key
            'user:42'
        """
        if tuple(sorted(arguments)) != self.fields:
            raise InvalidTaskError(
                f"task {self.task_id!r} takes the arguments {list(self.fields)}, got {sorted(arguments)}"
            )
        for name, value in arguments.items():
            check_argument(name, value)
        return Target(self, arguments)

    def definition(self) -> bytes:
        """Return the task as Redis keeps it: canonical JSON; the function is only named, never run from there."""
        record = self.model_dump(mode="python", exclude={"compute_fn", "tags"})
        return orjson.dumps(
            {
                **record,
                "name": self.label,
                "tags": sorted(self.tags),
                "compute": self.compute_path,
                "critical": self.is_critical,
                "fields": ",".join(self.fields),
                "key_shape": self.key_shape,
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def from_definition(
        cls, record: Mapping[str, Any], compute_fn: Callable[..., Any] | str = NO_FUNCTION
    ) -> "WarmingTask":
        """Return the task that Redis describes, with a function of this process.

        Args:
            record: The definition, parsed.
            compute_fn: The function; what the definition names is never imported. Without one the task can be looked
                at and its keys made, but not run.
        """
        # What another version wrote beside our fields is left aside.
        described = {name: value for name, value in record.items() if name in cls.model_fields}
        return cls(**described, compute_fn=compute_fn)


@dataclass(frozen=True, slots=True)
class Target:
    """One task with one set of arguments: the unit that is claimed, computed and cached.

    Args:
        task: The task.
        arguments: A value for each field of its key template.

    Example:
        >>> task = WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn="app:load")
        >>> Target(task, {"user_id": 42}).ref
        'profile{"user_id":42}'
    """

    task: WarmingTask
    arguments: Arguments

    @property
    def ref(self) -> str:
        """The canonical text of this target."""
        return make_ref(self.task.task_id, self.arguments)

    @property
    def cache_key(self) -> str:
        """The key under which this target's value is cached.

        In arguments, ``%`` and the separators of the template are percent-encoded (``a:b`` in ``"user:{user_id}"``
        becomes ``user:a%3Ab``), so that different texts never share a key.
        """
        separators = set().union(*(_separators(literal) for literal, _, _, _ in _parsed(self.task.cache_key)))
        encoded = {name: _encoded(str(value), separators) for name, value in self.arguments.items()}
        return self.task.cache_key.format(**encoded)


def _encoded(value: str, separators: set[str]) -> str:
    return "".join(
        "".join(f"%{byte:02X}" for byte in character.encode())
        if character == "%" or character in separators
        else character
        for character in value
    )


def check_argument(name: str, value: object) -> None:
    """Refuse a value that cannot be an argument of a target.

    Raises:
        InvalidTaskError: it is neither a plain text nor a whole number of at most 64 bits.

    Example:
        >>> check_argument("user_id", 42)
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidTaskError(f"argument {name!r} must be a str or an int, got {type(value).__name__}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidTaskError(f"argument {name!r} must fit into 64 bits, got {value}")
    if isinstance(value, str) and not is_plain_text(value):
        raise InvalidTaskError(f"argument {name!r} must be plain text, got {value!a}")


def make_ref(task_id: str, arguments: Arguments) -> str:
    """Return the canonical text of a target: its task id, then its arguments as sorted compact JSON.

    Args:
        task_id: The task's id.
        arguments: Its arguments; nothing is appended when there are none.

    Raises:
        InvalidTaskError: the text would be longer than 1,024 bytes.

    Example:
        >>> make_ref("catalog", {})
        'catalog'
    """
    if not arguments:
        return task_id
    ref = task_id + orjson.dumps(dict(arguments), option=orjson.OPT_SORT_KEYS).decode()
    if len(ref.encode()) > MAX_REF_BYTES:
        raise InvalidTaskError(
            f"the arguments of task {task_id!r} take {len(ref.encode())} bytes as JSON; "
            f"at most {MAX_REF_BYTES} are allowed. Pass an id, not the thing itself."
        )
    return ref


def parse_ref(ref: str) -> tuple[str, dict[str, str | int]]:
    """Return the task id and the arguments that a target's canonical text names.

    Example:
        >>> parse_ref('profile{"user_id":42}')
        ('profile', {'user_id': 42})
    """
    task_id, brace, rest = ref.partition("{")
    return task_id, orjson.loads(brace + rest) if brace else {}


def _explained(data: Any, error: ValidationError) -> str:
    task_id = data.get("task_id") if isinstance(data, dict) else None
    problems = []
    for problem in error.errors(include_url=False):
        place = problem["loc"][0] if problem["loc"] else "task"
        problems.append(f"{place}: {problem['msg']}, got {_shortened(problem['input'])}")
    return f"task {_shortened(task_id)} refused: " + "; ".join(dict.fromkeys(problems))


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
