"""Tasks and targets: what is accepted, and how each refusal reads."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer import InvalidTaskError, WarmerError, WarmingTask
from warmer.task import is_plain_text, make_ref, parse_ref


def task(**values: object) -> WarmingTask:
    return WarmingTask(**{"task_id": "t", "cache_key": "k", "compute_fn": "module:function", **values})


def test_the_document_s_task_is_accepted_with_its_defaults():
    made = WarmingTask(
        task_id="catalog", name="Product Catalog", cache_key="catalog:products", compute_fn=lambda: 1, priority=100
    )
    assert (made.ttl, made.enabled, made.schedule, made.tags, made.critical) == (3600, True, None, frozenset(), False)
    assert made.is_critical


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task_id": ""}, "task_id: String should have at least 1 character, got ''"),
        ({"task_id": "x" * 129}, "task_id: String should have at most 128 characters"),
        ({"task_id": "with space"}, "task_id: String should match pattern"),
        ({"task_id": "brace{"}, "task_id: String should match pattern"),
        ({"task_id": None}, "task_id: Input should be a valid string, got None"),
        ({"cache_key": ""}, "cache_key: String should have at least 1 character"),
        ({"cache_key": "x" * 513}, "cache_key: String should have at most 512 characters"),
        ({"cache_key": "a\nb"}, "cache_key: Value error, control characters and lone surrogates are not allowed"),
        ({"cache_key": "\ud800"}, "cache_key:"),
        ({"cache_key": "{a}{b}"}, "different arguments could make the same key"),
        ({"cache_key": "{a}and{b}"}, "put a separator such as ':' between fields"),
        ({"cache_key": "user:{0}"}, "plain names such as {user_id}, not {0}"),
        ({"cache_key": "user:{user.id}"}, "plain names such as {user_id}, not {user.id}"),
        ({"cache_key": "user:{"}, "not a key template"),
        ({"ttl": 0}, "ttl: Input should be greater than 0, got 0"),
        ({"ttl": -5}, "ttl: Input should be greater than 0, got -5"),
        ({"ttl": float("nan")}, "ttl: Input should be"),
        ({"ttl": float("inf")}, "ttl: Input should be"),
        ({"ttl": "soon"}, "ttl: Input should be a valid number"),
        ({"schedule": "every day"}, "schedule: Value error, not a cron line (Wrong number of fields)"),
        ({"schedule": "99 * * * *"}, "schedule: Value error, not a cron line (Bad minute)"),
        ({"timezone": "Mars/Olympus"}, "timezone: Value error, not a time zone"),
        ({"priority": 5000}, "priority: Input should be less than or equal to 4096"),
        ({"priority": 1.5}, "priority: Input should be a valid integer"),
        ({"timeout_s": 0}, "timeout_s: Input should be greater than 0"),
        ({"tags": {object()}}, "tags: Input should be a valid string"),
        ({"tags": [1]}, "tags: Input should be a valid string, got 1"),
        ({"compute_fn": 42}, "compute_fn: Input should be callable, got 42"),
        ({"compute_fn": "no colon"}, "compute_fn: String should match pattern"),
        ({"tll": 5}, "tll: Extra inputs are not permitted"),
    ],
)
def test_bad_input_gets_one_clear_error(values, words):
    with pytest.raises(InvalidTaskError) as refused:
        task(**values)
    assert words in str(refused.value)
    assert isinstance(refused.value, WarmerError)


def test_a_missing_field_is_named():
    with pytest.raises(InvalidTaskError, match="cache_key: Field required"):
        WarmingTask(task_id="t", compute_fn="module:function")


@pytest.mark.parametrize(("priority", "critical"), [(49, False), (50, True), (100, True), (-1, False)])
def test_priority_50_and_above_is_critical(priority, critical):
    assert task(priority=priority).is_critical is critical


def test_a_target_is_a_task_with_arguments():
    target = task(task_id="cart", cache_key="cart:{user_id}:{shop}").target(user_id=42, shop="north")
    assert target.ref == 'cart{"shop":"north","user_id":42}'
    assert target.cache_key == "cart:42:north"


def test_literal_braces_are_doubled():
    assert task(cache_key="set:{{a}}").target().cache_key == "set:{a}"
    assert task(cache_key="set:{{a}}").fields == ()


@pytest.mark.parametrize("arguments", [{}, {"user_id": 1, "more": 2}, {"other": 1}])
def test_arguments_must_fit_the_template(arguments):
    with pytest.raises(InvalidTaskError, match=r"takes the arguments \['user_id'\]"):
        task(cache_key="user:{user_id}").target(**arguments)


@pytest.mark.parametrize("text", ["ann+x@y.z", "a b", "Zoë", "x|y"])
def test_ordinary_texts_stand_in_keys_as_they_are(text):
    assert task(cache_key="user:{user_id}").target(user_id=text).cache_key == f"user:{text}"


def test_separators_in_texts_are_encoded():
    assert task(cache_key="user:{user_id}").target(user_id="a:b%").cache_key == "user:a%3Ab%25"


@pytest.mark.parametrize("value", [None, 1.5, True, ["x"], object(), 2**70, "\ud800", "a\nb"])
def test_arguments_are_text_or_whole_numbers(value):
    with pytest.raises(InvalidTaskError, match="must"):
        task(cache_key="user:{user_id}").target(user_id=value)


def test_arguments_too_long_for_a_ref_are_refused():
    with pytest.raises(InvalidTaskError, match="Pass an id, not the thing itself"):
        task(cache_key="q:{query}").target(query="x" * 2000).ref  # noqa: B018


arguments = st.dictionaries(
    st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True),
    st.integers(-(2**53), 2**53) | st.text(max_size=20).filter(lambda text: text.isprintable()),
    max_size=4,
)


@given(arguments)
def test_refs_round_trip(given_arguments):
    assert parse_ref(make_ref("some.task", given_arguments)) == ("some.task", given_arguments)


texts = st.text(max_size=12).filter(is_plain_text)


@given(texts, texts, texts, texts)
def test_different_texts_never_share_a_key(first, second, third, fourth):
    made = task(cache_key="a:{x}:b:{y}")
    same_arguments = (first, second) == (third, fourth)
    one, other = made.target(x=first, y=second), made.target(x=third, y=fourth)
    assert (one.cache_key == other.cache_key) is same_arguments


def test_a_definition_names_the_function_and_comes_back_without_it():
    made = task(tags={"b", "a"}, priority=60, schedule="0 6 * * *", timezone="Europe/Berlin")
    record = orjson.loads(made.definition())
    assert record["compute"] == "module:function"
    assert record["tags"] == ["a", "b"]
    back = WarmingTask.from_definition(record)
    assert back.definition().replace(b"warmer:no_function", b"module:function") == made.definition()


def test_equal_tasks_have_equal_definitions():
    assert task(tags={"x", "y"}).definition() == task(tags={"y", "x"}).definition()
    assert task(ttl=60).definition() == task(ttl=60.0).definition()
