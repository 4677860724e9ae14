"""Tasks and targets: what is accepted, and how each refusal reads."""

import copy
import enum
import gc
import pickle
import weakref
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial, wraps
from typing import Annotated
from uuid import UUID

import orjson
import pytest
from hypothesis import strategies as st
from pydantic import BeforeValidator

from warmer import InvalidTaskError, WarmerError, WarmingTask


class Colour(enum.Enum):
    RED = "red"


def task(**values: object) -> WarmingTask:
    return WarmingTask(**{"task_id": "t", "cache_key": "k", "compute_fn": "module:function", **values})


def test_the_document_s_task_is_accepted_with_its_defaults():
    made = WarmingTask(
        task_id="catalog", name="Product Catalog", cache_key="catalog:products", compute_fn=lambda: 1, priority=100
    )
    assert (made.ttl, made.enabled, made.cron, made.tags, made.critical) == (3600, True, None, frozenset(), False)
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
        ({"cache_key": "a\nb"}, "cache_key: control characters and lone surrogates are not allowed"),
        ({"cache_key": "\ud800"}, "cache_key:"),
        ({"cache_key": "{a}{b}"}, "different arguments could make the same key"),
        ({"cache_key": "{a}and{b}"}, "put a separator such as ':' between fields"),
        ({"cache_key": "user:{0}"}, "cache_key: a template's fields are plain names such as {user_id}"),
        ({"cache_key": "user:{"}, "not a key template"),
        ({"ttl": 0}, "ttl: Input should be greater than 0, got 0"),
        ({"ttl": -5}, "ttl: Input should be greater than 0, got -5"),
        ({"ttl": float("nan")}, "ttl: Input should be"),
        ({"ttl": float("inf")}, "ttl: Input should be"),
        ({"ttl": "soon"}, "ttl: Input should be a valid number"),
        ({"cron": "every day"}, "cron: not a cron line (Wrong number of fields)"),
        ({"cron": "99 * * * *"}, "cron: not a cron line (Bad minute)"),
        ({"timezone": "Mars/Olympus"}, "timezone: not a time zone"),
        ({"priority": 5000}, "priority: Input should be less than or equal to 4096"),
        ({"priority": 1.5}, "priority: Input should be a valid integer"),
        ({"timeout_s": 0}, "timeout_s: Input should be greater than 0"),
        ({"tags": {object()}}, "tags: Input should be a valid string"),
        ({"tags": [1]}, "tags: Input should be a valid string, got 1"),
        ({"tags": ["a{"]}, "tags: not a key template"),
        (
            {"tags": ["user:{user_id}"]},
            "the tag 'user:{user_id}' has the fields ['user_id'], the cache_key has only []",
        ),
        ({"stale_ttl": -1}, "stale_ttl: Input should be greater than or equal to 0, got -1"),
        ({"stale_ttl": float("inf")}, "stale_ttl: Input should be"),
        ({"refresh_ahead": -1}, "refresh_ahead: Input should be greater than or equal to 0"),
        ({"refresh_ahead": 60, "ttl": 60}, "'t' refused: refresh_ahead must be less than the ttl of 60 s, got 60"),
        ({"negative_ttl": 0}, "negative_ttl: Input should be greater than 0"),
        ({"cache_errors": {ValueError: 0}}, "cache_errors: Input should be greater than 0"),
        ({"cache_errors": {KeyboardInterrupt: 5}}, "cache_errors: Input should be a subclass of Exception"),
        ({"cache_errors": {"ValueError": 5}}, "cache_errors: Input should be a subclass of Exception"),
        ({"jitter": 0.6}, "jitter: Input should be less than or equal to 0.5"),
        ({"jitter": -0.1}, "jitter: Input should be greater than or equal to 0"),
        ({"wait_s": -1}, "wait_s: Input should be greater than or equal to 0"),
        ({"after_wait": "give up"}, "after_wait: Input should be 'compute', 'stale' or 'raise', got 'give up'"),
        ({"codec": "yaml"}, "codec: Input should be 'json', 'msgpack', 'bytes' or 'pickle', got 'yaml'"),
        ({"compress_over_bytes": -1}, "compress_over_bytes: Input should be greater than or equal to 0"),
        ({"max_value_bytes": 0}, "max_value_bytes: Input should be greater than or equal to 1"),
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


@pytest.mark.parametrize("value", [["x"], object(), 2**70, "\ud800", "a\nb", float("nan"), float("inf"), b"x"])
def test_what_could_not_come_back_from_json_is_no_argument(value):
    with pytest.raises(InvalidTaskError, match="task 't': argument 'user_id' must"):
        task(cache_key="user:{user_id}").target(user_id=value)


def test_arguments_too_long_for_a_ref_are_refused():
    with pytest.raises(InvalidTaskError, match="Pass an id, not the thing itself"):
        task(cache_key="q:{query:hash}").target(query="x" * 9000).ref  # noqa: B018


def test_keys_too_long_name_the_way_out():
    target = task(cache_key="q:{page}:{query}").target(query="x" * 600, page=1)
    with pytest.raises(InvalidTaskError, match=r"604 characters long; at most 512 .* \{query:hash\}"):
        target.cache_key  # noqa: B018


arguments = st.dictionaries(
    st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True),
    st.integers(-(2**53), 2**53) | st.text(max_size=20).filter(lambda text: text.isprintable()),
    max_size=4,
)


def test_a_definition_names_the_function_and_comes_back_without_it():
    made = task(tags={"b", "a"}, priority=60, cron="0 6 * * *", timezone="Europe/Berlin")
    record = orjson.loads(made.definition())
    assert record["compute"] == "module:function"
    assert record["tags"] == ["a", "b"]
    back = WarmingTask.from_definition(record)
    assert back.definition().replace(b"warmer:no_function", b"module:function") == made.definition()


def test_equal_tasks_have_equal_definitions():
    assert task(tags={"x", "y"}).definition() == task(tags={"y", "x"}).definition()
    assert task(ttl=60).definition() == task(ttl=60.0).definition()


def load_user(user_id: int, lang: str = "en") -> None: ...


def load_report(day: date, zone: datetime | None = None) -> None: ...


def user_task(**values: object) -> WarmingTask:
    return task(**{"task_id": "profile", "cache_key": "user:{user_id}:{lang}", "compute_fn": load_user, **values})


def test_calls_that_mean_the_same_are_the_same_target():
    made = user_task()
    refs = {
        made.target_of_call((42,), {}).ref,
        made.target_of_call(("42", "en"), {}).ref,
        made.target_of_call((), {"lang": "en", "user_id": 42}).ref,
        made.target(user_id="42").ref,
        made.target_of_json({"user_id": 42, "lang": "en"}).ref,
    }
    assert refs == {'profile{"lang":"en","user_id":42}'}
    assert made.key_of("42") == "user:42:en"


def test_a_ref_leads_back_to_its_target():
    made = task(cache_key="report:{day}:{zone}", compute_fn=load_report)
    target = made.target(day=date(2026, 11, 22), zone=datetime(2026, 11, 22, tzinfo=timezone(timedelta(hours=2))))
    assert target.ref == 't{"day":"2026-11-22","zone":"2026-11-22T00:00:00+02:00"}'
    back = made.target_of_ref(target.ref)
    assert (back.ref, back.cache_key, back.arguments) == (target.ref, target.cache_key, target.arguments)
    assert target.cache_key == "report:2026-11-22:2026-11-22T00%3A00%3A00+02%3A00"


@pytest.mark.parametrize("ref", ["other", 'other{"user_id":1}', "profile", 'profile{"user_id":"x"}', 'profile{"id":1}'])
def test_a_ref_of_something_else_is_refused(ref):
    with pytest.raises(InvalidTaskError, match="profile"):
        user_task().target_of_ref(ref)


def test_a_target_knows_its_tags():
    made = user_task(tags={"users", "user:{user_id}", "lang:{lang}"})
    assert made.target(user_id=42, lang="a:b").tags == ("lang:a%3Ab", "user:42", "users")
    assert task(tags={"a", "b"}).target().tags == ("a", "b")


def test_one_key_of_an_unannotated_argument_has_two_identities():
    made = task(cache_key="user:{user_id}")
    number, text = made.target(user_id=42), made.target(user_id="42")
    assert number.cache_key == text.cache_key == "user:42"
    assert number.identity != text.identity


def test_a_call_met_before_is_bound_once():
    made = user_task()
    assert made.target_of_call((42,), {}) is made.target_of_call((42,), {})
    assert made.target_of_call(("42",), {}) is not made.target_of_call((42,), {})


class Point:
    """Compares equal to everything, as if to be mistaken for it."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("42")


def test_values_that_are_equal_without_being_the_same_are_never_mistaken():
    made = task(cache_key="x:{x}")
    pairs = [(0.0, -0.0), (1, True), (0, False), (1, 1.0), ("1", 1)]
    for first, second in pairs:
        assert made.target_of_call((), {"x": first}).ref != made.target_of_call((), {"x": second}).ref
    made.key_of(x="42")
    with pytest.raises(InvalidTaskError, match="got Point"):
        made.key_of(x=Point())

    def prices(at: datetime, price: Decimal) -> None: ...

    made = task(cache_key="x:{at}:{price}", compute_fn=prices)
    utc, berlin = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert utc == berlin
    assert made.key_of(utc, Decimal("1.0")) != made.key_of(berlin, Decimal("1.0"))
    assert made.key_of(utc, Decimal("1.0")) != made.key_of(utc, Decimal("1.00"))


def test_calls_are_remembered_within_bounds_and_only_as_long_as_their_task():
    made = user_task()
    for number in range(5000):
        made.key_of(number)
    assert made._targets.remembered.cache_info().currsize == 2048
    made.key_of(user_id=UUID(int=0).int, lang="x" * 201)
    assert made._targets.remembered.cache_info().currsize == 2048
    watched = weakref.ref(made)
    del made
    gc.collect()
    assert watched() is None


def _split(ids: str | list[int]) -> list[object]:
    return list(ids.split(",") if isinstance(ids, str) else ids)


def test_what_a_function_may_change_is_not_shared_between_calls():
    def load(ids: Annotated[list[int], BeforeValidator(_split)], more: list[int] = [1]): ...  # noqa: B006

    made = task(cache_key="x:{ids:hash}:{more:hash}", compute_fn=load)
    for _ in range(2):
        target = made.target_of_call(("1,2",), {})
        assert target.arguments == {"ids": [1, 2], "more": [1]}
        target.arguments["ids"].append(3)
        target.arguments["more"].append(3)
    assert made._targets.remembered.cache_info().currsize == 0


def test_what_is_made_of_a_call_s_texts_is_remembered_if_nobody_can_change_it():
    def load(price: Decimal, at: datetime, share: float, colour: Colour): ...

    made = task(cache_key="x:{price}:{at}:{share}:{colour}", compute_fn=load)
    call = ("1.5", "2026-01-01T00:00:00Z", 1, "red")
    assert made.target_of_call(call, {}) is made.target_of_call(call, {})


def test_arguments_that_are_not_remembered_are_bound_once(monkeypatch):
    made, bound = user_task(), []
    bind = type(made.parameters).bind
    monkeypatch.setattr(type(made.parameters), "bind", lambda *given: bound.append(given) or bind(*given))
    for argument in ("1", [1], 1.0):
        with suppress(InvalidTaskError):
            made.target_of_call((argument,), {})
    assert len(bound) == 3


def _yielding(n: int):
    yield n


async def _yielding_async(n: int):
    yield n


class Yielding:
    def __call__(self, n: int):
        yield n

    def method(self, n: int):
        yield n


@pytest.mark.parametrize(
    "function",
    [_yielding, _yielding_async, Yielding(), Yielding().method, partial(_yielding), partial(partial(_yielding))],
)
def test_a_generator_function_is_refused_with_the_way_out(function):
    with pytest.raises(InvalidTaskError, match=r"task 't' refused: compute_fn .* generator .* return a list"):
        task(cache_key="x:{n}", compute_fn=function)


def test_a_function_that_collects_what_a_generator_yields_is_accepted():
    @wraps(_yielding)
    def collecting(n: int) -> list[int]:
        return list(_yielding(n))

    assert task(cache_key="x:{n}", compute_fn=collecting).key_of(1) == "x:1"


def test_a_long_text_is_not_remembered():
    made = task(cache_key="q:{query:hash}")
    made.key_of(query="x" * 201)
    assert made._targets.remembered.cache_info().currsize == 0


@pytest.mark.parametrize("unhashable", [["x"], {}, set()])
def test_arguments_without_a_hash_are_refused_like_any_other(unhashable):
    with pytest.raises(InvalidTaskError, match="task 'profile': argument 'lang' must be of type str"):
        user_task().key_of(42, unhashable)


def test_a_changed_copy_is_a_task_of_its_own():
    made = user_task()
    before = made.target(user_id=1)
    changed = made.model_copy(update={"critical": True, "cache_key": "{lang}/{user_id}"})
    assert changed.is_critical
    assert changed.target(user_id=1).task is changed
    assert (before.cache_key, changed.target(user_id=1).cache_key) == ("user:1:en", "en/1")
    with pytest.raises(InvalidTaskError, match="ttl"):
        made.model_copy(update={"ttl": -1})


def test_tasks_can_be_copied_pickled_and_held_in_sets():
    made = user_task(cache_errors={LookupError: 5}, tags={"user:{user_id}"})
    made.key_of(42)
    for twin in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), made.model_copy()):
        assert twin == made
        assert hash(twin) == hash(made)
        assert twin.key_of(42) == "user:42:en"
    foreign = WarmingTask.from_definition(orjson.loads(made.definition()))
    assert pickle.loads(pickle.dumps(foreign)).target(user_id="42").ref == foreign.target(user_id=42).ref
    assert foreign.model_copy(update={"critical": True}).target(user_id="42").ref == foreign.target(user_id=42).ref


def test_a_process_without_the_function_makes_the_same_refs_and_keys():
    here = user_task(tags={"user:{user_id}"})
    record = orjson.loads(here.definition())
    assert record["parameters"] == {"lang": "str", "user_id": "int"}
    assert record["defaults"] == {"lang": "en"}
    there = WarmingTask.from_definition(record)
    assert there.target(user_id="42").ref == here.target(user_id=42).ref
    assert there.target(user_id="42").cache_key == "user:42:en"
    assert there.target(user_id="42").tags == ("user:42",)
    with pytest.raises(InvalidTaskError, match="argument 'user_id' must be of type int, got 'x'"):
        there.target(user_id="x")
    with pytest.raises(InvalidTaskError, match=r"task 'profile': takes the arguments \['lang', 'user_id'\], got \[\]"):
        there.target()


def test_the_function_of_this_process_knows_better_than_a_definition():
    def load(user_id: str, lang: str) -> None: ...

    record = orjson.loads(user_task().definition())
    assert WarmingTask.from_definition(record, load).target(user_id=42, lang="de").arguments["user_id"] == "42"
    with pytest.raises(InvalidTaskError, match=r"compute_fn takes only \['other'\]"):
        WarmingTask.from_definition(record, lambda other: other)


@pytest.mark.parametrize("kinds", [{}, {"user_id": "any"}, {"user_id": "of another version"}])
def test_a_definition_that_says_nothing_of_a_type_leaves_it_open(kinds):
    record = orjson.loads(task(cache_key="user:{user_id}").definition()) | {"parameters": kinds}
    made = WarmingTask.from_definition(record)
    assert [made.target(user_id=value).ref for value in ("42", 42)] == ['t{"user_id":"42"}', 't{"user_id":42}']


def test_cached_errors_are_only_named_in_a_definition():
    made = task(cache_errors={LookupError: 5, ValueError: 1})
    record = orjson.loads(made.definition())
    assert record["cache_errors"] == {"builtins.LookupError": 5.0, "builtins.ValueError": 1.0}
    assert WarmingTask.from_definition(record).cache_errors == {}
    assert WarmingTask.from_definition(record, cache_errors={KeyError: 2}).cache_errors == {KeyError: 2.0}


def test_a_task_keeps_its_own_copy_of_what_it_was_given():
    errors = {LookupError: 5.0}
    made = task(cache_errors=errors)
    errors[ValueError] = 1.0
    assert made.cache_errors == {LookupError: 5.0}
    with pytest.raises(TypeError):
        made.cache_errors[ValueError] = 1.0  # type: ignore[index]


def test_every_term_of_a_task_stands_in_its_definition():
    terms = {
        "stale_ttl": 30.0,
        "refresh_ahead": 5.0,
        "negative_ttl": 10.0,
        "jitter": 0.1,
        "wait_s": 2.0,
        "after_wait": "stale",
        "codec": "msgpack",
        "compress_over_bytes": 1024,
        "max_value_bytes": 4096,
    }
    made = task(**terms)
    record = orjson.loads(made.definition())
    assert {name: record[name] for name in terms} == terms
    back = WarmingTask.from_definition(record)
    assert {name: getattr(back, name) for name in terms} == terms


def test_terms_have_defaults_that_change_nothing():
    made = task()
    assert (made.stale_ttl, made.refresh_ahead, made.negative_ttl, made.cache_errors) == (0, 0, None, {})
    assert (made.jitter, made.wait_s, made.after_wait) == (0.05, None, "compute")
    assert (made.codec, made.compress_over_bytes, made.max_value_bytes) == ("json", None, None)
