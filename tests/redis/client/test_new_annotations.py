"""A function whose return annotation has changed: values of before are none of now."""

import pytest
from pydantic import BaseModel


class Product(BaseModel):
    id: int
    name: str = "a"


@pytest.mark.parametrize(("annotation", "value"), [(Product, Product(id=2)), (tuple[int, ...], (1,))])
def test_a_plain_value_is_no_value_of_a_new_annotation(make_warmer, annotation, value):
    def load(n: int) -> dict[str, int]:
        return {"id": 1}

    before = make_warmer().warmed("load:{n}", task_id="load", ttl=60)(load)
    assert before(1) == before(1) == {"id": 1}

    def load(n: int):
        return value

    load.__annotations__["return"] = annotation
    now = make_warmer().warmed("load:{n}", task_id="load", ttl=60)(load)
    assert now.get(1) is None
    for found in (now(1), now(1), now.get(1), now.many([1])[0]):
        assert (found, type(found)) == (value, type(value))
