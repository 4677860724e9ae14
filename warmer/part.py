"""Parts of an object that are made at first use, once."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

Made = TypeVar("Made")


class part(cached_property[Made]):  # noqa: N801  # used like cached_property
    """A cached property that is made only once, however many threads come at the same time.

    The object has a re-entrant lock in `_making`. Once made, a part is found without it.
    """

    if not TYPE_CHECKING:  # the base class has the very types that are wanted

        def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
            """Make it under the lock."""
            if instance is None:
                return self
            with instance._making:
                return super().__get__(instance, owner)
