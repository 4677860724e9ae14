"""Cache options of a task or call: ttl, stale ttl, codec, time-outs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from warmer.codec import Codec
from warmer.codec.cached_error import lifetime_s
from warmer.settings import Settings
from warmer.tasks.loading import late_function_of
from warmer.tasks.task import WarmingTask

DEFAULT_JITTER: float = WarmingTask.model_fields["jitter"].default


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Cache options of one task, or of one call by key.

    Args:
        codec: Turns values into bytes and back.
        ttl_s: Seconds for which a value is fresh.
        stale_ttl_s: Seconds for which it is kept beyond that.
        refresh_ahead_s: Seconds before the end of freshness from which on a read has it refreshed.
        negative_ttl_s: Seconds for which a None is fresh; None for `ttl_s`.
        cache_errors: Seconds for which exceptions of the function are cached, by class.
        jitter: The largest part by which freshness is shortened.
        wait_s: Seconds for which a reader waits for another's computation.
        after_wait: What it does after that.
        timeout_s: Seconds that a computation may take; None for ever.
        limit: Name of the limit that protects the source of the values, if there is one.
        leaves_thread: Whether a sync function that a reader calls is abandoned at its time-out, too.
    """

    codec: Codec
    ttl_s: float
    wait_s: float
    stale_ttl_s: float = 0.0
    refresh_ahead_s: float = 0.0
    negative_ttl_s: float | None = None
    cache_errors: Mapping[type[Exception], float] = field(default_factory=dict)
    jitter: float = DEFAULT_JITTER
    after_wait: Literal["compute", "stale", "raise"] = "compute"
    timeout_s: float | None = None
    limit: str | None = None
    leaves_thread: bool = False

    @classmethod
    def of_task(cls, task: WarmingTask, settings: Settings) -> "CacheOptions":
        """Return a task's options; values are rebuilt as the return annotation of its function.

        Args:
            task: The task.
            settings: Defaults.

        Raises:
            InvalidTaskError: the codec cannot be used.
        """
        return cls(
            codec=Codec.of(
                late_function_of(task),
                kind=task.codec,
                compress_over_bytes=task.compress_over_bytes,
                max_value_bytes=task.max_value_bytes or settings.max_value_bytes,
                signing_key=settings.signing_key(),
            ),
            ttl_s=task.ttl,
            wait_s=settings.lease_wait_s if task.wait_s is None else task.wait_s,
            stale_ttl_s=task.stale_ttl,
            refresh_ahead_s=task.refresh_ahead,
            negative_ttl_s=task.negative_ttl,
            cache_errors=task.cache_errors,
            jitter=task.jitter,
            after_wait=task.after_wait,
            timeout_s=task.timeout_s,
            limit=task.limit,
            # Users' functions expect the thread of their request, its database connection for one: they leave it only
            # where a time-out was asked for.
            leaves_thread="timeout_s" in task.model_fields_set,
        )

    @classmethod
    def of_key(cls, function: Callable[..., Any] | None, ttl_s: float, settings: Settings) -> "CacheOptions":
        """Return the options of a value that is cached by its key alone.

        Args:
            function: What computes it, if anything does.
            ttl_s: Seconds for which it is fresh.
            settings: Defaults for everything else.
        """
        codec = Codec.of(
            function or _unknown, max_value_bytes=settings.max_value_bytes, signing_key=settings.signing_key()
        )
        return cls(codec=codec, ttl_s=ttl_s, wait_s=settings.lease_wait_s)

    def set_for(self, ttl_s: float) -> "CacheOptions":
        """Return the same options for a value that is set by hand: a None is fresh for as long as any value."""
        return replace(self, ttl_s=ttl_s, negative_ttl_s=None)

    def error_fresh_for_ms(self, error: BaseException) -> int | None:
        """Return for how many ms an exception is cached; None if it is not."""
        ttl_s = lifetime_s(error, self.cache_errors)
        return None if ttl_s is None else round(1000 * ttl_s)


def _unknown():  # type: ignore[no-untyped-def]  # nothing is known of what it returns
    raise NotImplementedError


class TaskCacheOptions:
    """The options of each task, made once.

    Args:
        settings: Defaults.
    """

    def __init__(self, settings: Settings) -> None:
        """Start without any."""
        self._settings = settings
        self._known: dict[str, tuple[WarmingTask, CacheOptions]] = {}

    def of(self, task: WarmingTask) -> CacheOptions:
        """Return a task's options.

        Raises:
            InvalidTaskError: its codec cannot be used.
        """
        known = self._known.get(task.task_id)
        if known is not None and known[0] is task:
            return known[1]
        options = CacheOptions.of_task(task, self._settings)
        self._known[task.task_id] = task, options
        return options

    def of_call(self, owner: WarmingTask | None, function: Callable[..., Any], ttl_s: float) -> CacheOptions:
        """Return the options of a call by key that brings its own function and ttl.

        Args:
            owner: The task whose key it is, if there is one: all but the ttl is taken from it.
            function: What computes the value.
            ttl_s: For how long it is fresh.

        Raises:
            InvalidTaskError: the task's codec cannot be used.
        """
        if owner is None:
            return CacheOptions.of_key(function, ttl_s, self._settings)
        return replace(self.of(owner), ttl_s=ttl_s)
