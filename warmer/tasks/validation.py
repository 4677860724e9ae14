"""Checks of the arguments of public calls, and what messages say of values that were refused."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

from warmer.errors import InvalidTaskError, shortened
from warmer.tasks.field_types import MAX_TTL_S
from warmer.tasks.template import is_plain_text


def check_key(key: str) -> str:
    """Return the key, or refuse one that cannot be used.

    Raises:
        InvalidTaskError: the key is not a plain text of 1 to 512 characters.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= 512 or not is_plain_text(key):
        raise InvalidTaskError(f"a cache key must be a plain text of 1 to 512 characters, got {ascii(key)[:80]}")
    return key


def check_keys(keys: Iterable[str]) -> list[str]:
    """Return the keys, each once, or refuse those that cannot be used.

    Raises:
        InvalidTaskError: one cannot be used, or they are no collection of keys.
    """
    if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
        raise InvalidTaskError(f"expected a list of cache keys, got {type(keys).__name__} {keys!r:.60}")
    return list(map(check_key, dict.fromkeys(keys)))


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
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or not 0 < ttl_s <= MAX_TTL_S:
        raise InvalidTaskError(f"ttl must be a number of seconds above 0 (at most ten years), got {ttl_s!r}")
    return ttl_s


def check_one_budget(
    extra_compute: float | None, target_hit_ratio: float | None, budget_s_per_minute: float | None
) -> None:
    """Refuse more than one budget: all three set how much warming may spend.

    Raises:
        ValueError: more than one is given.

    Example:
        >>> check_one_budget(0.25, None, None)
        >>> try:
        ...     check_one_budget(0.25, 0.99, None)
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


class Problem(NamedTuple):
    """One value that pydantic refused.

    Args:
        field: The field that it was given for; "" if the object was refused as a whole.
        message: The reason.
        given: The value.
        kind: Pydantic's name of the problem.
    """

    field: str
    message: str
    given: Any
    kind: str


def problems_of(error: ValidationError) -> Iterator[Problem]:
    """Yield what pydantic refused, in the order of the fields."""
    for problem in error.errors(include_url=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        yield Problem(field, problem["msg"].removeprefix("Value error, "), problem["input"], problem["type"])


def explained(error: ValidationError) -> str:
    """Return what pydantic refused as one line: each field, the reason and the value that was given.

    Example:
        >>> from pydantic import TypeAdapter
        >>> try:
        ...     TypeAdapter(int).validate_python("many")
        ... except ValidationError as error:
        ...     print(explained(error))
        Input should be a valid integer, unable to parse string as an integer, got 'many'
    """
    lines = (
        f"{f'{problem.field}: ' if problem.field else ''}{problem.message}, got {shortened(repr(problem.given))}"
        for problem in problems_of(error)
    )
    return "; ".join(dict.fromkeys(lines))
