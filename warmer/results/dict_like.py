"""Base of all results: a frozen model whose fields can also be read as items of a dict."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict


class DictLike(BaseModel):
    """A model whose fields can also be read as items.

    Example:
        >>> class Found(DictLike):
        ...     hits: int
        >>> Found(hits=42)["hits"]
        42
    """

    model_config = ConfigDict(frozen=True)

    def __getitem__(self, name: str) -> Any:
        """Return a field by name.

        Raises:
            KeyError: there is no such field.
        """
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        """Return whether there is a field with this name."""
        return name in type(self).model_fields

    def __len__(self) -> int:
        """Return the number of fields."""
        return len(type(self).model_fields)

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # as a dict iterates, over the names
        """Iterate over the names of the fields."""
        return iter(type(self).model_fields)

    def keys(self) -> list[str]:
        """Return the names of the fields."""
        return list(type(self).model_fields)

    def values(self) -> list[Any]:
        """Return the values of the fields."""
        return [getattr(self, name) for name in type(self).model_fields]

    def items(self) -> list[tuple[str, Any]]:
        """Return the fields as pairs of name and value."""
        return list(zip(self.keys(), self.values(), strict=True))

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field by name, or the default when there is none."""
        return getattr(self, name) if name in type(self).model_fields else default
