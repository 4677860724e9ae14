"""A task: how to compute a value, its cache key, for how long it is valid, and how much it matters."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from warmer.errors import InvalidTaskError, shortened
from warmer.tasks.field_types import MAX_TTL_S, CronLine, FunctionOrPath, KeyTemplate, PlainText, Seconds, TimeZone
from warmer.tasks.functions import check_batch_function, check_returns, path_of
from warmer.tasks.parameters import Parameters
from warmer.tasks.target import Target, TargetMemo, parse_ref
from warmer.tasks.template import Template
from warmer.tasks.validation import check_one_budget, explained

CRITICAL_PRIORITY = 50
"""Tasks of this priority and above are critical, flagged or not."""

MAX_PRIORITY = 4096
"""The fair queue packs a priority and a round-robin position into the 53 exact bits of a sorted set's score."""

NO_FUNCTION = "warmer:no_function"


class WarmingTask(BaseModel):
    """A task: how to compute a value, its cache key, for how long it is fresh, and its priority.

    Args:
        task_id: 1 to 128 characters out of letters, digits and ``_ . : / @ -``.
        name: A name for people; the id when empty.
        cache_key: The key, or a template such as ``"user:{user_id}"``, up to 512 characters. Fields are parameters of
            the function or their attributes (``{user.id}``); ``{query:hash}`` puts a digest of a long value
            into the key, while the target's ref holds the whole value, of up to 8,192 bytes as JSON. Every parameter
            without a default must be a field.
        compute_fn: The function that computes the value, or its path ``"module:function"``; sync or async, no
            generator. Its arguments are validated by its annotations, and passed by name, as they come back from JSON:
            1.0 for a 1 in a dataclass's field of type float, dicts with sorted keys. A value that would come back as
            another one is refused, for example a datetime in a time zone with daylight saving time.
        compute_many_fn: The function that computes many values at once, or its path; only for a cache_key with fields.
            It is called with one list, by position, and returns a dict. For a key of one field the list holds that
            field's values, and the dict is keyed by them; for more it holds tuples, in the order of the parameters of
            `compute_fn`, and the dict is keyed by those. A value that is missing in the dict is None; other keys are
            ignored. If the function raises, each half of the list is tried, so that only the values that fail are lost.
        batch_size: With `compute_many_fn`, the most values that one call computes, from 1 to 1000.
        batch_wait_s: Seconds for which a worker waits for a batch to fill; 0 computes the targets that are ready.
        ttl: Seconds for which a value is fresh, from the start of its computation.
        stale_ttl: Seconds after the ttl for which a value is kept: it may be served while one refresh runs, or when a
            computation fails.
        refresh_ahead: Seconds before the end of the ttl from which on a read starts one refresh in the background; less
            than the ttl.
        negative_ttl: Seconds for which a None is fresh; the ttl when not given.
        cache_errors: Exceptions of the function that are cached, each with its ttl in seconds.
        jitter: The part, from 0 to 0.5, by which a ttl is shortened at most, depending on the key, so that values
            computed together do not expire together.
        wait_s: Seconds for which a reader waits for another's computation; the setting lease_wait_s when not given.
        after_wait: The reader's action after that: it computes the value, takes a stale one, or raises
            WaitTimeoutError.
        codec: The format of stored values: "json", "msgpack", "bytes", or "pickle", signed. JSON and msgpack rebuild
            values by the function's return annotation; after that was changed, cached values are computed again.
        compress_over_bytes: Values of more bytes than this are compressed; none when not given.
        max_value_bytes: The most bytes of a stored value; the setting of that name when not given.
        tags: Words to find tasks by; they may have fields of the key, as in ``"product:{product_id}"``.
        priority: From -4096 to 4096, higher first; 50 and above are critical.
        cron: A cron line at which the value is refreshed as well; it can only make a refresh earlier.
        timezone: The time zone of the cron line.
        enabled: Whether the task is warmed at all.
        critical: Whether it is kept warm whatever its reads; a task with a key template is only computed first.
        extra_compute: This task's own budget: the compute that warming may spend beyond the baseline, a plain ttl
            cache, as a part of what the baseline spends. The fleet's budget applies when none of these three is given.
        target_hit_ratio: Instead of it: the part of this task's reads that should hit, for the least compute.
        budget_s_per_minute: Instead of it: compute seconds in each minute that warming this task may spend.
        timeout_s: Seconds after which a computation by a worker counts as failed.
        limit: Name of the limit that protects the backend of the function, as in ``configure(limits={...})``.
        isolation: Where a worker runs the function: in a "thread", or in a "process" of its own, for functions that
            keep a processor busy or may crash. That process imports the function, so it must be importable.

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
    name: PlainText = Field(default="", max_length=200)
    cache_key: KeyTemplate = Field(min_length=1, max_length=512)
    compute_fn: FunctionOrPath
    compute_many_fn: FunctionOrPath | None = None
    batch_size: int = Field(default=100, ge=1, le=1000)
    batch_wait_s: float = Field(default=0.05, ge=0, le=60, allow_inf_nan=False)
    ttl: float = Field(default=3600.0, gt=0, le=MAX_TTL_S, allow_inf_nan=False)
    stale_ttl: float = Field(default=0.0, ge=0, le=MAX_TTL_S, allow_inf_nan=False)
    refresh_ahead: float = Field(default=0.0, ge=0, le=MAX_TTL_S, allow_inf_nan=False)
    negative_ttl: float | None = Field(default=None, gt=0, le=MAX_TTL_S, allow_inf_nan=False)
    cache_errors: Annotated[Mapping[type[Exception], Seconds], AfterValidator(MappingProxyType)] = Field(
        default_factory=lambda: MappingProxyType({})
    )
    jitter: float = Field(default=0.05, ge=0, le=0.5, allow_inf_nan=False)
    wait_s: float | None = Field(default=None, ge=0, le=86_400, allow_inf_nan=False)
    after_wait: Literal["compute", "stale", "raise"] = "compute"
    codec: Literal["json", "msgpack", "bytes", "pickle"] = "json"
    compress_over_bytes: int | None = Field(default=None, ge=0)
    max_value_bytes: int | None = Field(default=None, ge=1)
    tags: frozenset[KeyTemplate] = frozenset()
    priority: int = Field(default=0, ge=-MAX_PRIORITY, le=MAX_PRIORITY)
    cron: CronLine | None = None
    timezone: TimeZone = "UTC"
    enabled: bool = True
    critical: bool = False
    extra_compute: float | None = Field(default=None, gt=0, le=100, allow_inf_nan=False)
    target_hit_ratio: float | None = Field(default=None, gt=0, lt=1, allow_inf_nan=False)
    budget_s_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    timeout_s: float = Field(default=60.0, gt=0, le=86_400, allow_inf_nan=False)
    limit: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")
    isolation: Literal["thread", "process"] = "thread"

    _described: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    """The parameters of a function that this process does not know, as its definition describes them."""

    @model_validator(mode="wrap")
    @classmethod
    def _explain_refusal(cls, data: Any, handler: ModelWrapValidatorHandler["WarmingTask"]) -> "WarmingTask":
        try:
            task = handler(data)
        except ValidationError as error:
            raise InvalidTaskError(f"task {_task_id_in(data)} refused: {explained(error)}") from None
        try:
            task._check_as_a_whole()
        except InvalidTaskError as error:
            raise InvalidTaskError(f"task {task.task_id!r} refused: {error}") from None
        return task

    def _check_as_a_whole(self) -> None:
        check_returns(self.compute_fn)
        self._check_batches()
        self._check_budget()
        if self.refresh_ahead >= self.ttl:
            raise InvalidTaskError(
                f"refresh_ahead must be less than the ttl of {self.ttl:g} s, got {self.refresh_ahead:g}"
            )
        for template in self.tag_templates:
            if unknown := [name for name in template.fields if name not in self.fields]:
                raise InvalidTaskError(
                    f"the tag {template.text!r} has the fields {unknown}, the cache_key has only {list(self.fields)}"
                )
        _ = self.parameters  # refuses a function and a key that do not fit

    def _check_budget(self) -> None:
        try:
            check_one_budget(self.extra_compute, self.target_hit_ratio, self.budget_s_per_minute)
        except ValueError as error:
            raise InvalidTaskError(str(error)) from None

    def _check_batches(self) -> None:
        if self.compute_many_fn is None:
            return
        if not self.fields:
            raise InvalidTaskError(
                f"compute_many_fn computes the values of many keys, but {self.cache_key!r} is only one; give the "
                "cache_key a field, as in 'product:{product_id}', or leave it to compute_fn"
            )
        check_batch_function(self.compute_many_fn)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed, validated like any task."""
        copied = type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | dict(update or {}))
        copied._describe_parameters(self._described)
        return copied

    def __deepcopy__(self, memo: Any = None) -> Self:
        return self  # it is immutable

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return _restored, (type(self), fields | {"cache_errors": dict(self.cache_errors)}, dict(self._described))

    def __hash__(self) -> int:
        return hash((self.task_id, self.cache_key, self.compute_path))

    @property
    def is_critical(self) -> bool:
        """Whether the task is kept warm whatever its reads."""
        return self.critical or self.priority >= CRITICAL_PRIORITY

    @property
    def is_always_warm(self) -> bool:
        """Whether it is refreshed whatever its reads: critical, with a plain key.

        A key template may have any number of targets; even those of a critical task are kept warm only while they are
        read, so that yesterday's users do not fill the schedule forever.
        """
        return self.is_critical and not self.fields

    @property
    def has_own_budget(self) -> bool:
        """Whether it has a budget, and so an account, of its own."""
        return any(
            budget is not None for budget in (self.extra_compute, self.target_hit_ratio, self.budget_s_per_minute)
        )

    @property
    def label(self) -> str:
        """The name of the task for people, or its id."""
        return self.name or self.task_id

    @cached_property
    def template(self) -> Template:
        """The cache key's template."""
        return Template.parse(self.cache_key)

    @cached_property
    def parameters(self) -> Parameters:
        """The function's parameters; untyped if it is given by its path, unless a definition describes them."""
        templates = [self.template, *self.tag_templates]
        known = None if isinstance(self.compute_fn, str) else Parameters.of(self.compute_fn, templates)
        if known is not None and known.is_typed:
            return known
        return Parameters.described(
            self._described.get("parameters", {}),
            self._described.get("defaults", {}),
            templates,
            self._described.get("positional", ()),
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the arguments that the key template takes, sorted; empty for a plain key."""
        return self.template.fields

    @property
    def key_shape(self) -> str:
        """The cache key with nameless fields: two templates that differ only in names make the same keys."""
        return self.template.shape

    @property
    def compute_path(self) -> str:
        """The path of the compute function, as ``"module:function"``."""
        return path_of(self.compute_fn)

    @property
    def compute_many_path(self) -> str | None:
        """The path of the function that computes many values at once, as ``"module:function"``; None without one."""
        return None if self.compute_many_fn is None else path_of(self.compute_many_fn)

    def target(self, /, **arguments: Any) -> Target:
        """Return the target of this task with these arguments.

        Args:
            **arguments: A value for each field of the key template; parameters with a default can be left out.

        Raises:
            InvalidTaskError: an argument is missing, unknown or of no type that its parameter takes.

        Example:
            >>> WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn="app:load"
            ...             ).target(user_id=42).cache_key
            'user:42'
        """
        return self.target_of_call((), arguments)

    def target_of_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Target:
        """Return the target of a call of the function; a call that was seen before is quick.

        Args:
            args: The call's positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            InvalidTaskError: an argument is missing, unknown or of no type that its parameter takes.

        Example:
            >>> def load(user_id: int): ...
            >>> task = WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn=load)
            >>> task.target_of_call(("42",), {}).ref
            'profile{"user_id":42}'
        """
        return self._targets.of_call(args, kwargs)

    def key_of(self, /, *args: Any, **kwargs: Any) -> str:
        """Return the cache key of a call of the function.

        Args:
            *args: The call's positional arguments.
            **kwargs: Its keyword arguments.

        Raises:
            InvalidTaskError: an argument is missing, unknown or of no type that its parameter takes.

        Example:
            >>> def load(user_id: int): ...
            >>> WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn=load).key_of(42)
            'user:42'
        """
        return self.target_of_call(args, kwargs).cache_key

    def target_of_ref(self, ref: str) -> Target:
        """Return the target with this ref; its arguments are rebuilt by the function's annotations.

        Args:
            ref: What `Target.ref` returned, here or in another process.

        Raises:
            InvalidTaskError: it names another task, or its arguments do not fit this one.

        Example:
            >>> task = WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn="app:load")
            >>> task.target_of_ref('profile{"user_id":42}').cache_key
            'user:42'
        """
        task_id, natives = parse_ref(ref)
        if task_id != self.task_id:
            raise InvalidTaskError(f"a target of task {self.task_id!r} was expected, got {shortened(repr(ref))}")
        return self.target_of_json(natives)

    def target_of_json(self, natives: Mapping[str, Any]) -> Target:
        """Return the target with these arguments, rebuilt by the function's annotations.

        Args:
            natives: The arguments as JSON holds them.

        Raises:
            InvalidTaskError: they do not fit this task.

        Example:
            >>> task = WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn="app:load")
            >>> task.target_of_json({"user_id": 42}).arguments
            {'user_id': 42}
        """
        try:
            return Target(self, self.parameters.load(natives))
        except InvalidTaskError as error:
            raise InvalidTaskError(f"task {self.task_id!r}: {error}") from None

    def definition(self) -> bytes:
        """Return the task as Redis keeps it: canonical JSON, with functions by name only."""
        record = self.model_dump(mode="python", exclude={"compute_fn", "compute_many_fn", "tags", "cache_errors"})
        return orjson.dumps(
            {
                **record,
                "name": self.label,
                "tags": sorted(self.tags),
                "cache_errors": {
                    f"{error.__module__}.{error.__qualname__}": seconds for error, seconds in self.cache_errors.items()
                },
                "compute": self.compute_path,
                "compute_many": self.compute_many_path,
                "critical": self.is_critical,
                "fields": ",".join(self.fields),
                "key_shape": self.key_shape,
                "parameters": self.parameters.kinds,
                "positional": self.parameters.positional,
                "defaults": self.parameters.defaults,
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def from_definition(
        cls,
        record: Mapping[str, Any],
        compute_fn: Callable[..., Any] | str = NO_FUNCTION,
        cache_errors: Mapping[type[Exception], float] = MappingProxyType({}),
        compute_many_fn: Callable[..., Any] | str | None = None,
    ) -> "WarmingTask":
        """Return the task that Redis describes, with functions of this process.

        Args:
            record: The definition, parsed.
            compute_fn: The function; a name in the definition is never imported. Without a function the task shows its
                fields and makes keys, but cannot be computed.
            cache_errors: The exceptions that are cached; a name in the definition is never imported.
            compute_many_fn: The function that computes many values at once; without one, each is computed alone.

        Raises:
            InvalidTaskError: this version does not understand the definition, or it does not fit the function.
        """
        # Fields that another version has written are ignored.
        described = {name: value for name, value in record.items() if name in cls.model_fields}
        own = {"compute_fn": compute_fn, "compute_many_fn": compute_many_fn, "cache_errors": cache_errors}
        task = cls(**described | own)
        task._describe_parameters({name: record.get(name, {}) for name in ("parameters", "defaults", "positional")})
        return task

    def _describe_parameters(self, described: Mapping[str, Any]) -> None:
        """Use the definition's description of the parameters if the function has no annotations."""
        if not self.parameters.is_typed:
            self._described = described
            del self.__dict__["parameters"]
            _ = self.parameters  # refuses defaults that do not fit

    @cached_property
    def tag_templates(self) -> tuple[Template, ...]:
        """The templates of the tags, sorted."""
        return tuple(map(Template.parse, sorted(self.tags)))

    @cached_property
    def _targets(self) -> TargetMemo:
        return TargetMemo(self)


def _restored(cls: type[WarmingTask], fields: dict[str, Any], described: dict[str, Any]) -> WarmingTask:
    task = cls(**fields)
    task._describe_parameters(described)
    return task


def _task_id_in(data: Any) -> str:
    return shortened(repr(data.get("task_id") if isinstance(data, dict) else None))
