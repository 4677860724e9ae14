"""What calls by key may be given; what cannot be used is refused at the edge."""

from collections.abc import Callable, Iterable
from typing import Any

from warmer.errors import InvalidTaskError
from warmer.tasks.task import is_plain_text


def check_key(cache_key: str) -> str:
    """Return the key, or refuse one that cannot be used.

    Raises:
        InvalidTaskError: the key is not a plain text of 1 to 512 characters.
    """
    if not isinstance(cache_key, str) or not 1 <= len(cache_key) <= 512 or not is_plain_text(cache_key):
        raise InvalidTaskError(f"a cache key must be a plain text of 1 to 512 characters, got {ascii(cache_key)[:80]}")
    return cache_key


def check_keys(cache_keys: Iterable[str]) -> list[str]:
    """Return the keys, each once, or refuse those that cannot be used.

    Raises:
        InvalidTaskError: one cannot be used, or they are no collection of keys.
    """
    if isinstance(cache_keys, str | bytes) or not isinstance(cache_keys, Iterable):
        raise InvalidTaskError(f"expected a list of cache keys, got {type(cache_keys).__name__} {cache_keys!r:.60}")
    return list(map(check_key, dict.fromkeys(cache_keys)))


def check_function(function: Callable[[], Any]) -> Callable[[], Any]:
    """Return the function, or refuse what cannot be called.

    Raises:
        InvalidTaskError: it is no function.
    """
    if not callable(function):
        raise InvalidTaskError(f"compute_fn must be a function, got {type(function).__name__} {function!r:.60}")
    return function


def check_ttl(ttl_s: float) -> float:
    """Return the ttl, or refuse one that cannot be used.

    Raises:
        InvalidTaskError: the ttl is not a number of seconds above 0.
    """
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or not 0 < ttl_s <= 315_360_000:
        raise InvalidTaskError(f"ttl must be a number of seconds above 0 (at most ten years), got {ttl_s!r}")
    return ttl_s


def check_knobs(extra_compute: float | None, target_hit_ratio: float | None, budget_s_per_minute: float | None) -> None:
    """Refuse more than one knob: they would pull at the same price.

    Raises:
        ValueError: more than one is given.

    Example:
        >>> check_knobs(0.25, None, None)
        >>> try:
        ...     check_knobs(0.25, 0.99, None)
        ... except ValueError as error:
        ...     print(str(error).rpartition("; ")[2])
        leave out all but one
    """
    given = {
        "extra_compute": extra_compute,
        "target_hit_ratio": target_hit_ratio,
        "budget_s_per_minute": budget_s_per_minute,
    }
    set_ones = [f"{name}={value:g}" for name, value in given.items() if value is not None]
    if len(set_ones) > 1:
        raise ValueError(
            "expected one of extra_compute, target_hit_ratio and budget_s_per_minute, got "
            f"{' and '.join(set_ones)}; leave out all but one"
        )
