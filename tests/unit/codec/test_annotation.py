"""What is known of a function's return type, and when it is unknown."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel

from warmer.codec.annotation import UNKNOWN, rebuilder_of, return_annotation

if TYPE_CHECKING:
    from fractions import Fraction


class Product(BaseModel):
    name: str


def plain() -> dict[int, str]: ...
async def asynchronous() -> list[Product]: ...
def promising() -> Awaitable[tuple[int, ...]]: ...
def coroutine() -> Coroutine[Any, Any, set[int]]: ...
def nothing() -> None: ...
def with_extras() -> Annotated[int, "a note"]: ...
def without(): ...
def unresolvable() -> Fraction: ...
def unresolvable_parameter(amount: Fraction) -> Product: ...


def decorated_by(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


class Loader:
    def method(self) -> set[str]: ...

    @classmethod
    def of_class(cls) -> frozenset[str]: ...

    @staticmethod
    def static() -> list[str]: ...

    def __call__(self) -> tuple[Product, ...]: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plain, dict[int, str]),
        (asynchronous, list[Product]),
        (promising, tuple[int, ...]),
        (coroutine, set[int]),
        (nothing, type(None)),
        (with_extras, Annotated[int, "a note"]),
        (unresolvable_parameter, Product),
        (functools.partial(functools.partial(plain)), dict[int, str]),
        (decorated_by(asynchronous), list[Product]),
        (functools.cache(plain), dict[int, str]),
        (Loader().method, set[str]),
        (Loader.of_class, frozenset[str]),
        (Loader.static, list[str]),
        (Loader(), tuple[Product, ...]),
        (Product, Product),
    ],
)
def test_the_annotation_is_found_wherever_the_function_keeps_it(function, expected):
    assert return_annotation(function) == expected


@pytest.mark.parametrize("function", [without, unresolvable, lambda: 1, len, functools.partial(len), None])
def test_a_missing_or_unresolvable_annotation_is_unknown(function):
    assert return_annotation(function) is UNKNOWN


def test_an_annotation_that_pydantic_knows_has_an_adapter():
    assert rebuilder_of(list[Product]).adapter is not None
    assert "list[" in rebuilder_of(list[Product]).advice


@pytest.mark.parametrize(
    "annotation",
    [Loader, 5, list[Loader], Annotated[int, []], type("Late", (BaseModel,), {"__annotations__": {"a": "No"}})],
)
def test_an_annotation_that_pydantic_does_not_know_has_none_and_is_named(annotation):
    found = rebuilder_of(annotation)
    assert found.adapter is None
    assert found.advice.startswith("pydantic cannot rebuild the return annotation ")
    assert "arbitrary_types_allowed" not in found.advice


def test_adapters_are_built_once_for_each_annotation_and_order_of_its_union():
    assert rebuilder_of(list[Product]).adapter is rebuilder_of(list[Product]).adapter
    assert rebuilder_of(int | str).adapter is not rebuilder_of(str | int).adapter
