"""On which terms a value is cached: for how long, as what, and what readers do while it is computed."""

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
    """The terms of one task, or of one call by key.

    Args:
        codec: Turns values into bytes and back.
        ttl_s: For how long a value is fresh.
        stale_ttl_s: For how long it is kept beyond that.
        refresh_ahead_s: How long before the end of freshness a read has it refreshed.
        negative_ttl_s: For how long a None is fresh; None for `ttl_s`.
        cache_errors: For how long exceptions of the function are cached, by class.
        jitter: By up to which part freshness is shortened.
        wait_s: How long a reader waits for another's computation.
        after_wait: What it does then.
        timeout_s: How long a computation may take; None for ever.
        limit: The limit that protects what computations ask, if there is one.
        leaves_thread: Whether a sync function, too, is left behind at its time-out, when a reader calls it.
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
        """Return a task's terms; the return annotation of its function says what values are rebuilt as.

        Args:
            task: The task.
            settings: What holds where the task says nothing.

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
        """Return the terms of a value that is cached by its key alone.

        Args:
            function: What computes it, if anything does.
            ttl_s: For how long it is fresh.
            settings: What holds for everything else.
        """
        codec = Codec.of(
            function or _unknown, max_value_bytes=settings.max_value_bytes, signing_key=settings.signing_key()
        )
        return cls(codec=codec, ttl_s=ttl_s, wait_s=settings.lease_wait_s)

    def set_for(self, ttl_s: float) -> "CacheOptions":
        """Return the same terms for a value that is set by hand: also a None is fresh for just so long."""
        return replace(self, ttl_s=ttl_s, negative_ttl_s=None)

    def error_fresh_for_ms(self, error: BaseException) -> int | None:
        """Return for how long an exception is cached; None if it is not."""
        ttl_s = lifetime_s(error, self.cache_errors)
        return None if ttl_s is None else round(1000 * ttl_s)


def _unknown():  # type: ignore[no-untyped-def]  # nothing is known of what it returns
    raise NotImplementedError


class TaskCacheOptions:
    """The terms of each task, worked out once.

    Args:
        settings: What holds where a task says nothing.
    """

    def __init__(self, settings: Settings) -> None:
        """Start without any."""
        self._settings = settings
        self._known: dict[str, tuple[WarmingTask, CacheOptions]] = {}

    def of(self, task: WarmingTask) -> CacheOptions:
        """Return a task's terms.

        Raises:
            InvalidTaskError: its codec cannot be used.
        """
        known = self._known.get(task.task_id)
        if known is not None and known[0] is task:
            return known[1]
        terms = CacheOptions.of_task(task, self._settings)
        self._known[task.task_id] = task, terms
        return terms

    def of_call(self, owner: WarmingTask | None, function: Callable[..., Any], ttl_s: float) -> CacheOptions:
        """Return the terms of a call by key that brings its own function and ttl.

        Args:
            owner: The task whose key it is, if there is one: all but the ttl is as it says.
            function: What computes the value.
            ttl_s: For how long it is fresh.

        Raises:
            InvalidTaskError: the task's codec cannot be used.
        """
        if owner is None:
            return CacheOptions.of_key(function, ttl_s, self._settings)
        return replace(self.of(owner), ttl_s=ttl_s)
