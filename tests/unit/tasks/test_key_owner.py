"""Which template a key could come from: every key that a template makes is known as its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.tasks.template import Template

TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=30)
VALUES = (
    TEXTS
    | st.integers(-(2**63), 2**63 - 1)
    | st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
)
TEMPLATES = ["product:{a}", "{a}", "p{a}", "{a}-{b}", "a^{a}]\\{b}[z-x].{c}", "é:{a}/{b}%", "{{{a}}}", "{a:hash}:{b}"]


@pytest.mark.parametrize("text", TEMPLATES)
@given(a=VALUES, b=VALUES, c=VALUES)
def test_a_template_knows_the_keys_that_it_makes(text, a, b, c):
    arguments = {"a": a, "b": b, "c": c}
    template = Template.parse(text)
    assert template.could_make(template.key(arguments))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("product:{a}", "product"),
        ("product:{a}", "products:1"),
        ("product:{a}", "product:1:reviews"),
        ("product:{a}:reviews", "product:1"),
        ("{a}-{b}", "a-b-c"),
        ("plain", "plain2"),
    ],
)
def test_a_template_makes_no_other_keys(text, key):
    assert not Template.parse(text).could_make(key)
