"""Memo of the targets of calls: a warmed function that is called again with the same arguments makes no new one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from warmer.tasks.target import Target

MAX_REMEMBERED_CALLS: Final = 2048
MAX_REMEMBERED_CHARACTERS: Final = 200

_UNAMBIGUOUS_TYPES: Final = (str, int, bool, type(None), UUID, date)
"""Types whose values are equal only if they are the same argument; 0.0 and -0.0 are not, nor are equal datetimes."""

_IMMUTABLE_TYPES: Final = (*_UNAMBIGUOUS_TYPES, float, datetime, time, timedelta, Decimal, bytes)
"""Types whose values a function cannot change, so that many calls may share them."""


class NotRememberedError(Exception):
    """A call whose target is not kept: equal arguments may differ, or the function may change them.

    Args:
        target: Its target, if it was made before this was known.
    """

    def __init__(self, target: Target | None = None) -> None:
        """Keep the target."""
        super().__init__()
        self.target = target


def remembering(make: Callable[[Sequence[Any], Mapping[str, Any]], Target]) -> Callable[..., Target]:
    """Return a function that returns the target of a call, and remembers the latest of them.

    It raises `NotRememberedError` for a call that must not be remembered, and TypeError if an argument has no hash. A
    task keeps one, so that the memo goes when the task goes.

    Args:
        make: Returns the target of a call's positional and keyword arguments.
    """

    @lru_cache(maxsize=MAX_REMEMBERED_CALLS, typed=True)
    def remembered(*args: Any, **kwargs: Any) -> Target:
        if not all(map(_is_unambiguous, (*args, *kwargs.values()))):
            raise NotRememberedError
        target = make(args, kwargs)
        if not all(map(_is_immutable, target.arguments.values())):
            raise NotRememberedError(target)
        return target

    return remembered


def _is_unambiguous(value: Any) -> bool:
    is_long = type(value) is str and len(value) > MAX_REMEMBERED_CHARACTERS
    return type(value) in _UNAMBIGUOUS_TYPES and not is_long


def _is_immutable(value: Any) -> bool:
    return type(value) in _IMMUTABLE_TYPES or isinstance(value, Enum)
