"""Key templates: what they accept, how values stand in keys, and that different values never share one."""

import re
from dataclasses import dataclass
from datetime import date
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.errors import InvalidTaskError
from warmer.tasks.template import Template, is_plain_text


@dataclass
class Address:
    zip: str


@dataclass
class User:
    id: int
    address: Address


ANN = User(42, Address("10:117"))


@pytest.mark.parametrize(
    ("text", "arguments", "key"),
    [
        ("catalog", {}, "catalog"),
        ("set:{{a}}", {}, "set:{a}"),
        ("{a}:{{{b}", {"a": 1, "b": "{"}, "1:{%7B"),
        ("user:{user_id}", {"user_id": 42}, "user:42"),
        ("user:{user_id}", {"user_id": "42"}, "user:42"),
        ("user:{user_id}", {"user_id": "a:b%"}, "user:a%3Ab%25"),
        ("user:{user_id}", {"user_id": ""}, "user:"),
        ("user:{user_id}", {"user_id": "ann+x@y.z Zoë|"}, "user:ann+x@y.z Zoë|"),
        ("a-{x}", {"x": -5}, "a-%2D5"),
        ("a·{x}", {"x": "·"}, "a·%C2%B7"),
        ("user:{user.id}", {"user": ANN}, "user:42"),
        ("zip:{user.address.zip}", {"user": ANN}, "zip:10%3A117"),
        ("{a}:{b}:{a}", {"a": 1, "b": 2}, "1:2:1"),
        ("x:{x}", {"x": None}, "x:%jnull"),
        ("x:{x}", {"x": True}, "x:%jtrue"),
        ("x:{x}", {"x": 1.5}, "x:%j1.5"),
        ("x:{x}", {"x": ["a:b", "%"]}, 'x:%j["a%3Ab","%25"]'),
        ("x:{x}", {"x": date(2026, 11, 22)}, "x:2026-11-22"),
        ("x-{x}", {"x": date(2026, 11, 22)}, "x-2026%2D11%2D22"),
        ("x:{x}", {"x": UUID(int=1)}, "x:00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_stand_in_keys(text, arguments, key):
    assert Template.parse(text).key(arguments) == key


def test_what_cannot_be_mistaken_stands_as_it_is():
    template = Template.parse("{x}:{user.id}")
    arguments = {"x": True, "user": ANN}
    assert template.key(arguments, {"x": frozenset({bool})}) == "true:42"
    assert template.key(arguments, {"x": frozenset({bool}), "user.id": frozenset({str})}) == "true:%j42"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a}{b}", "put a separator such as ':' between fields"),
        ("{a}and{b}", "different arguments could make the same key"),
        ("{a:hash}{b}", "put a separator"),
        ("{a}%{b}", "put a separator"),
        ("user:{", "not a key template"),
        ("user:}", "write {{ and }} for literal braces"),
        ("user:{}", "plain names such as {user_id}, or attributes such as {user.id}, not {}"),
        ("user:{0}", "not {0}"),
        ("user:{user[id]}", "not {user[id]}"),
        ("user:{users[0].id}", "not {users[0].id}"),
        ("user:{user.}", "not {user.}"),
        ("user:{user.name()}", "not {user.name()}"),
        ("user:{user.__class__}", "public attributes only, not {user.__class__}"),
        ("user:{user._id}", "public attributes only"),
        ("user:{user_id!r}", "the only format of a template's field is {user_id:hash}, not {user_id!r}"),
        ("user:{user_id:>8}", "not {user_id:>8}"),
        ("user:{user_id:hash:hash}", "not {user_id:hash:hash}"),
        ("user:{user_id:{width}}", "not {user_id:{width}}"),
        ("a\nb", "control characters"),
        ("\ud800", "lone surrogates"),
    ],
)
def test_what_is_no_template_is_refused(text, words):
    with pytest.raises(InvalidTaskError, match=re.escape(words)):
        Template.parse(text)


def test_a_template_knows_its_fields_and_its_shape():
    template = Template.parse("{{a}}:{shop}:{user.id}:{query:hash}:{user.name}")
    assert template.fields == ("query", "shop", "user")
    assert template.shape == "{a}:{}:{}:{}:{}"
    assert Template.parse("catalog").fields == ()


def test_equal_texts_are_equal_templates():
    assert Template.parse("user:{user_id}") == Template.parse("user:{user_id}")
    assert Template.parse("user:{user_id}") != Template.parse("user:{uid}")


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("{a}", {}, "the key takes an argument 'a', got []"),
        ("{a.id}", {"a": {"id": 1}}, "the field {a.id} cannot be read"),
        ("{a.id}", {"a": None}, "the field {a.id} cannot be read"),
        ("{a.id}", {"a": SimpleNamespace(id="x\ny")}, "argument 'a.id' must be plain text without control characters"),
        ("{a.id}", {"a": SimpleNamespace(id=2**63)}, "argument 'a.id' must fit into 64 bits"),
        ("{a.id}", {"a": SimpleNamespace(id=float("nan"))}, "argument 'a.id' must be a finite number"),
        ("{a}", {"a": [float("inf")]}, "must be a finite number"),
        ("{a:hash}", {"a": "\ud800"}, "must be a value that JSON can hold"),
        ("{a:hash}", {"a": object()}, "must be a value that JSON can hold"),
        ("{a:hash}", {"a": {"b"}}, "argument 'a' must not hold sets, whose order differs between processes"),
        ("{a.ids}", {"a": SimpleNamespace(ids=[frozenset("b")])}, "argument 'a.ids' must not hold sets"),
        (
            "{a}",
            {"a": "x" * 513},
            "513 characters long; at most 512 are allowed. Let long values stand as a digest: {a:hash}",
        ),
    ],
)
def test_values_that_cannot_stand_in_a_key_are_refused(text, arguments, words):
    with pytest.raises(InvalidTaskError, match=re.escape(words)):
        Template.parse(text).key(arguments)


def test_a_key_of_512_characters_is_allowed():
    assert len(Template.parse("{a}").key({"a": "x" * 512})) == 512


def test_a_digest_is_of_the_canonical_json_of_any_text_or_structure():
    template = Template.parse("q:{query:hash}")
    digest = template.key({"query": "a\nb"})
    assert re.fullmatch(r"q:[0-9a-f]{32}", digest)
    assert template.key({"query": {"b": 1, "a": 2}}) == template.key({"query": {"a": 2, "b": 1}})
    assert template.key({"query": 42}) != template.key({"query": "42"})
    assert template.key({"query": "x" * 10_000}) != template.key({"query": "x" * 10_001})


def test_a_digest_is_the_same_in_every_process():
    assert Template.parse("{query:hash}").key({"query": "shoes"}) == "1ef82bd6e0e65c51df627e3bce085c5c"


def test_an_identity_is_typed_and_follows_the_fields():
    template = Template.parse("{b}:{a}:{user.id}:{q:hash}")
    arguments = {"a": "42", "b": 42, "user": ANN, "q": {"y": None, "x": 1.0}}
    assert template.identity(arguments) == ("42", '"42"', "42", '{"x":1.0,"y":null}')
    assert Template.parse("catalog").identity({}) == ()


texts = st.text(max_size=8).filter(is_plain_text) | st.text('%:;{}=jn0"2A3', max_size=6)
numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
scalars = texts | numbers | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(texts, scalars, max_size=3)
templates = st.sampled_from(
    ["{x}:{y}", "a:{x}:b:{y}", "{x}={y};", "%{x}:%j{y}", '{x}"{y}', "{x}:{y:hash}", "{x:hash}-{y}", "{{{x}}}{{{y}}}"]
)


@given(templates, values, values, values, values)
def test_different_arguments_never_share_a_key(text, first, second, third, fourth):
    template = Template.parse(text)
    only_texts = {"x": frozenset({str}), "y": frozenset({str})}
    one, other = {"x": first, "y": second}, {"x": third, "y": fourth}
    is_same = template.identity(one) == template.identity(other)
    assert (template.key(one, only_texts) == template.key(other, only_texts)) is is_same


@given(templates, values, values, values, values)
def test_without_types_only_a_number_and_its_digits_share_a_key(text, first, second, third, fourth):
    template = Template.parse(text)
    one, other = {"x": first, "y": second}, {"x": third, "y": fourth}
    if template.key(one) == template.key(other):
        unquoted = [tuple(part.strip('"') for part in template.identity(made)) for made in (one, other)]
        assert unquoted[0] == unquoted[1]


@given(texts, texts)
def test_attributes_stand_like_arguments(first, second):
    template = Template.parse("a:{user.x}:{user.inner.y}")
    user = SimpleNamespace(x=first, inner=SimpleNamespace(y=second))
    assert template.key({"user": user}) == Template.parse("a:{x}:{y}").key({"x": first, "y": second})
