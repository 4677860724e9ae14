"""What functions take: rules at definition, canonical arguments, and their way through JSON and back."""

import enum
import functools
import itertools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from warmer import InvalidTaskError, WarmingTask
from warmer.tasks.parameters import Parameters
from warmer.tasks.template import Template, is_plain_text


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    TEXT = "1"
    NUMBER = 1


class Address(BaseModel):
    zip: str
    since: date | None = None


class User(BaseModel):
    id: int
    address: Address = Field(Address(zip="10117"), alias="home")
    limit: Decimal = Decimal("1.00")

    @property
    def initial(self) -> str:
        return "A"

    @property
    def unsaid(self):
        return 1


class Admin(User):
    rights: str = "all"


@dataclass(frozen=True)
class Range:
    start: datetime
    days: int | None = None


class Basket(BaseModel):
    items: set[str]


class Word(enum.StrEnum):
    RED = "red"


class Loose(BaseModel):
    share: float = 0.0
    any: Any = None


@dataclass
class Measure:
    of: float
    parts: int = 0


class Fraction(float):
    pass


class Cents(int):
    def __repr__(self) -> str:
        return "some cents"


class Opaque:
    pass


UserId = NewType("UserId", int)


def typed(annotation: Any, key: str = "x:{x}", default: Any = ...) -> Parameters:
    """Return the parameters of a function that takes x with this annotation."""

    def load(x): ...

    load.__annotations__["x"] = annotation
    if default is not ...:
        load.__defaults__ = (default,)
    return Parameters.of(load, [Template.parse(key)])


def key_of(parameters: Parameters, value: Any, key: str = "x:{x}") -> str:
    return Template.parse(key).key(parameters.bind((value,), {}), parameters.plain)


# --- at definition ----------------------------------------------------------------------------------------------


class Loader:
    def load(self, user_id: int) -> None: ...

    def __call__(self, user_id: int) -> None: ...


def by_position(user_id, /): ...


def gathering(*ids): ...


def anything(**values): ...


def many(user_id, *more, **values): ...


def two(user_id: int, shop: str) -> None: ...


def optional(user_id: int, lang: str = "en", verbose: bool = False) -> None: ...


@pytest.mark.parametrize(
    ("function", "key", "words"),
    [
        (two, "user:{user_id}", "compute_fn needs the arguments ['shop'], which the cache_key does not name"),
        (two, "user:{user_id}", "would share a key; add {shop} to the cache_key, or give them a default"),
        (two, "all", "needs the arguments ['user_id', 'shop']"),
        (two, "{user_id}:{shop}:{year}", "has the fields ['year'], but compute_fn takes only ['shop', 'user_id']"),
        (lambda: 1, "user:{user_id}", "has the fields ['user_id'], but compute_fn takes only []"),
        (
            by_position,
            "user:{user_id}",
            "takes ['user_id'] by position only; workers pass arguments by name: remove the /",
        ),
        (gathering, "user:{ids}", "takes *ids; workers pass arguments by name: take one parameter, such as ids: tuple"),
        (Loader().load, "all", "needs the arguments ['user_id']"),
        (functools.partial(two, shop="north"), "all", "needs the arguments ['user_id']"),
    ],
)
def test_a_key_that_does_not_fit_its_function_is_refused(function, key, words):
    with pytest.raises(InvalidTaskError, match=re.escape(words)) as refused:
        WarmingTask(task_id="t", cache_key=key, compute_fn=function)
    assert str(refused.value).startswith("task 't' refused: ")


@pytest.mark.parametrize(
    ("function", "key", "kinds"),
    [
        (lambda: 1, "all", {}),
        (lambda user_id: user_id, "user:{user_id}", {"user_id": "any"}),
        (two, "{user_id}:{shop}", {"shop": "str", "user_id": "int"}),
        (optional, "user:{user_id}", {"user_id": "int"}),
        (optional, "user:{user_id}:{lang}", {"lang": "str", "user_id": "int"}),
        (anything, "user:{user_id}", {"user_id": "any"}),
        (many, "user:{user_id}:{x}", {"user_id": "any", "x": "any"}),
        (Loader().load, "user:{user_id}", {"user_id": "int"}),
        (Loader(), "user:{user_id}", {"user_id": "int"}),
        (functools.partial(two, shop="north"), "user:{user_id}", {"user_id": "int"}),
        (functools.partial(two, shop="north"), "user:{user_id}:{shop}", {"user_id": "int", "shop": "str"}),
        (functools.lru_cache(two), "{user_id}:{shop}", {"shop": "str", "user_id": "int"}),
        (Range, "{start}", {"start": "datetime"}),
        (max, "user:{user_id}", {"user_id": "any"}),
        ("no.such:function", "user:{user_id}", {"user_id": "any"}),
    ],
)
def test_functions_of_every_sort_are_read(function, key, kinds):
    assert WarmingTask(task_id="t", cache_key=key, compute_fn=function).parameters.kinds == kinds


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (str, "str"),
        (int, "int"),
        (float, "float"),
        (bool, "bool"),
        (UUID, "uuid"),
        (date, "date"),
        (datetime, "datetime"),
        (Decimal, "decimal"),
        ("Decimal", "decimal"),
        (Annotated[int, Field(gt=0)], "int"),
        (UserId, "int"),
        (int | None, "int?"),
        ("int | None", "int?"),
        (UserId | None, "int?"),
        (Colour, "str"),
        (Level, "int"),
        (Level | None, "int?"),
        (Mixed, "json"),
        (Literal["a", "b"], "str"),
        (Literal["a", None], "str?"),
        (Literal["a", 1], "json"),
        (Literal[True], "bool"),
        (str | int, "json"),
        (str | int | None, "json"),
        (User, "json"),
        (Range, "json"),
        (list[int], "json"),
        (Any, "json"),
        ("Unknown", "any"),
        ("list[Unknown]", "any"),
        ("the user's id", "any"),
    ],
)
def test_annotations_say_what_json_holds(annotation, kind):
    assert typed(annotation).kinds == {"x": kind}


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Opaque, "parameter 'x' of compute_fn must be annotated with str, int, float, bool, UUID"),
        (list[Opaque], "must be annotated with"),
        (set[int], "must not hold sets"),
        (Basket, "must not hold sets"),
        (list[frozenset[str]] | None, "must not hold sets"),
    ],
)
def test_types_that_json_cannot_bring_back_are_refused(annotation, words):
    with pytest.raises(InvalidTaskError, match=re.escape(words)):
        typed(annotation)


def test_an_attribute_that_a_model_does_not_have_is_refused():
    with pytest.raises(InvalidTaskError, match=r"reads 'idd' of User, which has only \['address', 'id', 'limit'\]"):
        typed(User, "x:{x.idd}")


def test_a_default_that_does_not_fit_its_annotation_is_refused():
    with pytest.raises(InvalidTaskError, match="argument 'x' must be of type int, got 'none'"):
        typed(int, default="none")


# --- calls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "takes the arguments ['lang', 'user_id'], got []"),
        ((1,), {"other": 2}, "takes the arguments ['lang', 'user_id'], got ['other', 'user_id']"),
        ((1,), {"user_id": 2}, "got the arguments ['user_id'] twice, by position and by name"),
        ((1, "de", True, 4), {}, "takes at most 3 arguments by position, got 4"),
        ((1, "de", True), {}, "calls that differ in ['verbose'] would share a key; add {verbose} to the cache_key"),
        ((1,), {"verbose": True}, "calls that differ in ['verbose'] would share a key"),
        (("x",), {}, "argument 'user_id' must be of type int, got 'x' (user_id: Input should be a valid integer"),
        ((1.5,), {}, "argument 'user_id' must be of type int, got 1.5"),
        ((2**63,), {}, "argument 'user_id' must fit into 64 bits"),
        ((-(2**63) - 1,), {}, "argument 'user_id' must fit into 64 bits"),
        ((1, "a\nb"), {}, "argument 'lang' must be plain text without control characters, got 'a\\nb'"),
        ((1, "\ud800"), {}, "argument 'lang' must be"),
        ((1, None), {}, "argument 'lang' must be of type str, got None"),
    ],
)
def test_calls_that_do_not_fit_get_one_clear_error(args, kwargs, words):
    parameters = Parameters.of(optional, [Template.parse("user:{user_id}:{lang}")])
    with pytest.raises(InvalidTaskError, match=re.escape(words)):
        parameters.bind(args, kwargs)


def test_calls_are_bound_by_position_by_name_and_with_defaults():
    parameters = Parameters.of(optional, [Template.parse("user:{user_id}:{lang}")])
    assert parameters.bind((1,), {}) == {"user_id": 1, "lang": "en"}
    assert parameters.bind((1, "de"), {}) == {"user_id": 1, "lang": "de"}
    assert parameters.bind((), {"lang": "de", "user_id": 1}) == {"user_id": 1, "lang": "de"}


@pytest.mark.parametrize(
    ("annotation", "given_value", "canonical"),
    [
        (int, "42", 42),
        (int, 42.0, 42),
        (int, True, 1),
        (str, 42, "42"),
        (str | None, 42, "42"),
        (str, Colour.RED.value, "red"),
        (float, 1, 1.0),
        (bool, "true", True),
        (UUID, "00000000000000000000000000000001", UUID(int=1)),
        (date, "2026-11-22", date(2026, 11, 22)),
        (datetime, "2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        (Decimal, "1.00", Decimal("1.00")),
        (Colour, "red", Colour.RED),
        (Level, 2, Level.HIGH),
        (User, {"id": "7"}, User(id=7)),
        (list[int], ("1", 2), [1, 2]),
    ],
)
def test_what_means_the_same_becomes_the_same(annotation, given_value, canonical):
    bound = typed(annotation).bind((given_value,), {})["x"]
    assert bound == canonical
    assert type(bound) is type(canonical)


@pytest.mark.parametrize("value", [b"x", [1], {"a": 1}, date(2026, 1, 1), Colour.RED, Level.LOW, Decimal(1), Opaque()])
def test_unannotated_parameters_take_only_what_json_brings_back_by_itself(value):
    with pytest.raises(InvalidTaskError, match=r"must be a str, int, float, bool or None, got .* annotate it"):
        Parameters.of(lambda x: x, [Template.parse("x:{x:hash}")]).bind((value,), {})


@pytest.mark.parametrize("value", ["a", 1, -1.5, True, None, "a\nb"])
def test_unannotated_parameters_take_plain_values_as_they_are(value):
    bound = Parameters.of(lambda x: x, [Template.parse("x:{x:hash}")]).bind((value,), {})["x"]
    assert bound == value
    assert type(bound) is type(value)


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (str | UUID, str(UUID(int=1)), "(str) would come back as UUID('00000000-0000-0000-0000-000000000001') (UUID)"),
        (str | Colour, Colour.RED, "annotate it with types that JSON can tell apart"),
        (User, Admin(id=1), "(Admin) would come back as"),
        (datetime, datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=30))), "must come back from JSON as it was"),
        (Any, (1, 2), "(tuple) would come back as [1, 2] (list)"),
        (Any, Opaque(), "must be a value that JSON can hold"),
        (float, float("nan"), "must be a finite number"),
        (float, float("inf"), "must be a finite number"),
        (list[float], [float("nan")], "must be a finite number"),
        (Decimal, Decimal("NaN"), "finite number"),
        (list[int], [2**64], "must fit into 64 bits"),
        (User, {"id": "x"}, "(x.id: Input should be a valid integer"),
        (list[str], ["\ud800"], "argument 'x' must be"),
    ],
)
def test_what_would_come_back_as_something_else_is_refused(annotation, value, words):
    with pytest.raises(InvalidTaskError, match=re.escape(words)):
        typed(annotation).bind((value,), {})


BERLIN, PARIS = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Paris")
NAIVE = datetime.fromisoformat("2026-10-25T02:30:00")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (datetime, datetime(2026, 7, 1, tzinfo=BERLIN)),
        (datetime, datetime(2026, 7, 1, tzinfo=PARIS)),
        (datetime, datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/London"))),
        (datetime, NAIVE.replace(fold=1)),
        (time, time(1, 2, fold=1)),
        (Range, Range(datetime(2026, 7, 1, tzinfo=BERLIN))),
        (list[datetime], [NAIVE, NAIVE.replace(fold=1)]),
        (Any, Word.RED),
        (dict[str, Any], {"a": Word.RED}),
        (dict[Any, Any], {Word.RED: 1}),
        (dict[str, Any], {"a": Level.LOW}),
        (dict[str, Any], {"a": [Level.LOW]}),
        (Loose, Loose(any=Word.RED)),
        (str | Word, Word.RED),
    ],
)
def test_what_only_compares_equal_to_what_would_come_back_is_refused(annotation, value):
    with pytest.raises(InvalidTaskError, match="must come back from JSON as it was"):
        typed(annotation, "x:{x:hash}").bind((value,), {})


def test_the_same_moment_in_utc_or_with_a_fixed_offset_is_taken():
    for zone in (None, UTC, ZoneInfo("UTC"), timezone(timedelta(hours=2))):
        moment = datetime(2026, 7, 1, tzinfo=zone)
        assert typed(datetime).bind((moment,), {}) == {"x": moment}


@pytest.mark.parametrize(
    ("annotation", "given_value", "canonical"),
    [
        (Measure, Measure(1), Measure(1.0)),
        (Measure, Measure(True), Measure(1.0)),
        (Measure, Measure(0.5, True), Measure(0.5, 1)),
        (list[Measure], [Measure(1), Measure(True, False)], [Measure(1.0), Measure(1.0, 0)]),
        (Loose, Loose.model_construct(share=1, any=[1, True, 1.0]), Loose(share=1.0, any=[1, True, 1.0])),
        (dict[str, Any], {"b": 1, "a": {"d": True, "c": 1.0}}, {"a": {"c": 1.0, "d": True}, "b": 1}),
        (float, Fraction(1.5), 1.5),
        (int, Cents(5), 5),
    ],
)
@pytest.mark.parametrize("key", ["x:{x:hash}", "x:{x}"])
def test_keys_identities_and_refs_are_all_made_of_what_workers_get(key, annotation, given_value, canonical):
    def load(x): ...

    load.__annotations__["x"] = annotation
    task = WarmingTask(task_id="t", cache_key=key, compute_fn=load)
    asked = task.target(x=given_value)
    at_worker, meant = task.target_of_ref(asked.ref), task.target(x=canonical)
    for one, other in itertools.product((asked, at_worker, meant), repeat=2):
        assert (one.ref, one.cache_key, one.identity) == (other.ref, other.cache_key, other.identity)
        assert repr(one.arguments) == repr(other.arguments)
    assert repr(asked.arguments["x"]) == repr(canonical)


def test_an_attribute_stands_in_the_key_as_workers_get_it():
    assert [key_of(typed(Measure, "x:{x.of}"), Measure(of), "x:{x.of}") for of in (1, True, 1.0)] == ["x:1.0"] * 3


class StandIn(enum.Enum):
    TEXT = "1"
    SHARE = 7.0
    NUMBER = 1


@pytest.mark.parametrize("value", [StandIn.TEXT, StandIn.SHARE])
def test_an_enum_member_is_no_number_unless_its_value_is_one(value):
    with pytest.raises(InvalidTaskError, match=r"argument 'x' must be of type int, got <StandIn\."):
        typed(int).bind((value,), {})
    assert typed(int).bind((StandIn.NUMBER,), {}) == {"x": 1}


class Day(date):
    pass


def test_a_value_of_a_subclass_that_would_be_lost_is_refused():
    with pytest.raises(InvalidTaskError, match=r"\(Day\) would come back as .* \(date\)"):
        typed(date).bind((Day(2026, 1, 1),), {})


@dataclass
class Holder:
    ids: Any


@pytest.mark.parametrize(
    "value",
    [{"a"}, frozenset({"a"}), {"a": [{"b"}]}, [("a", {"b"})], Holder({"a"}), Loose(any={"a"}), {}.keys(), [{}.keys()]],
)
def test_sets_are_no_arguments_also_where_only_json_is_known_of_a_parameter(value):
    parameters = Parameters.described({"x": "json"}, {}, [Template.parse("x:{x:hash}")])
    with pytest.raises(InvalidTaskError, match="argument 'x' must"):
        parameters.bind((), {"x": value})
    assert parameters.bind((), {"x": [("a", Holder(["b"]))]}) == {"x": [["a", {"ids": ["b"]}]]}


def test_a_default_that_the_function_changes_is_the_same_for_the_next_call():
    parameters = typed(list[int], "x:{x:hash}", default=[1])
    for bound in (parameters.bind((), {}), parameters.load({}), parameters.bind((), {})):
        assert bound == {"x": [1]}
        bound["x"].append(2)


def test_texts_in_digests_may_hold_any_character_but_lone_surrogates():
    parameters = typed(str, "x:{x:hash}")
    assert parameters.bind(("a\nb",), {}) == {"x": "a\nb"}
    with pytest.raises(InvalidTaskError, match="argument 'x' must be"):
        parameters.bind(("\ud800",), {})
    with pytest.raises(InvalidTaskError, match="control characters"):
        typed(str, "x:{x:hash}:{x}").bind(("a\nb",), {})


def test_a_none_that_is_only_the_default_is_accepted():
    parameters = typed(str, default=None)
    assert parameters.bind((), {}) == {"x": None}
    assert parameters.kinds == {"x": "str?"}
    assert (key_of(parameters, None), key_of(parameters, "null")) == ("x:%jnull", "x:null")


# --- keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "key"),
    [
        (str, "42", "x:42"),
        (int, 42, "x:42"),
        (float, 1.5, "x:1.5"),
        (bool, True, "x:true"),
        (UUID, UUID(int=1), "x:00000000-0000-0000-0000-000000000001"),
        (date, date(2026, 11, 22), "x:2026-11-22"),
        (datetime, datetime(2026, 11, 22, 10, tzinfo=UTC), "x:2026-11-22T10%3A00%3A00Z"),
        (Decimal, Decimal("1.00"), "x:1.00"),
        (Colour, Colour.RED, "x:red"),
        (Level, Level.HIGH, "x:2"),
        (Literal["a", "b"], "a", "x:a"),
        (int | None, 42, "x:42"),
        (int | None, None, "x:%jnull"),
        (date | None, date(2026, 11, 22), "x:2026-11-22"),
        (str | int, "42", "x:42"),
        (str | int, 42, "x:%j42"),
        (str | bool, "true", "x:true"),
        (str | bool, True, "x:%jtrue"),
        (Mixed, Mixed.TEXT, "x:1"),
        (Mixed, Mixed.NUMBER, "x:%j1"),
        (Any, 42, "x:%j42"),
    ],
)
def test_what_cannot_be_mistaken_stands_plain_and_the_rest_is_marked(annotation, value, key):
    assert key_of(typed(annotation), value) == key


@pytest.mark.parametrize(
    ("annotation", "key", "expected"),
    [
        (User, "x:{x.id}", "x:7"),
        (User | None, "x:{x.id}", "x:7"),
        (User, "x:{x.address.zip}", "x:10117"),
        (User, "x:{x.address.since}", "x:%jnull"),
        (User, "x:{x.limit}", "x:1.00"),
        (User, "x:{x.initial}", "x:A"),
        (User, "x:{x.unsaid}", "x:%j1"),
    ],
)
def test_attributes_stand_by_their_own_annotations(annotation, key, expected):
    assert key_of(typed(annotation, key), User(id=7), key) == expected


# --- to JSON and back -------------------------------------------------------------------------------------------

integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
texts = (
    st.text(max_size=10).filter(is_plain_text)
    | st.integers(-3, 3).map(str)
    | st.sampled_from(["true", "false", "null", "None", "1.0", "%j1", "%jnull", "", '"1"', "[]"])
)
floats = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(float)
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=st.none() | offsets).map(lambda moment: moment.replace(fold=0))
decimals = st.decimals(allow_nan=False, allow_infinity=False)
users = st.builds(User, id=integers, home=st.builds(Address, zip=texts, since=st.none() | st.dates()), limit=decimals)
ranges = st.builds(Range, start=moments, days=st.none() | integers)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: integers,
    float: floats,
    bool: st.booleans(),
    UUID: st.uuids(),
    date: st.dates(),
    datetime: moments,
    Decimal: decimals,
    Colour: st.sampled_from(Colour),
    Level: st.sampled_from(Level),
    Mixed: st.sampled_from(Mixed),
    Literal["a", 1, None]: st.sampled_from(["a", 1, None]),
    int | None: integers | st.none(),
    str | int | bool | None: texts | integers | st.booleans() | st.none(),
    str | float: texts | floats,
    int | UUID: integers | st.uuids(),
    int | Decimal: integers | decimals,
    date | int: st.dates() | integers,
    User: users,
    Range: ranges,
    User | Range | None: users | ranges | st.none(),
    list[date]: st.lists(st.dates(), max_size=3),
    tuple[int, str]: st.tuples(integers, texts),
    dict[str, Decimal]: st.dictionaries(texts, decimals, max_size=3),
}


def texts_of(value: Any) -> str:
    """Tell values apart that compare equal, such as 1 and True, or Decimal 1.0 and 1.00."""
    return f"{type(value).__name__} {value!r}"


@pytest.mark.parametrize("annotation", VALUES, ids=str)
def test_values_come_back_from_json_as_they_were(annotation):
    parameters = typed(annotation, "x:{x:hash}")

    @given(VALUES[annotation])
    def check(value):
        bound = parameters.bind((value,), {})
        back = parameters.load(orjson.loads(orjson.dumps(parameters.dump(bound))))
        assert back == bound == {"x": value}
        assert type(back["x"]) is type(bound["x"]) is type(value)
        assert parameters.dump(back) == parameters.dump(bound)

    check()


@pytest.mark.parametrize("annotation", VALUES, ids=str)
def test_different_values_never_share_a_key(annotation):
    parameters = typed(annotation)
    template = Template.parse("x:{x}")

    @given(VALUES[annotation], VALUES[annotation])
    def check(first, second):
        one, other = (parameters.bind((value,), {}) for value in (first, second))
        if max(len(str(template.identity(bound))) for bound in (one, other)) < 400:
            is_same = parameters.dump(one) == parameters.dump(other) and texts_of(first) == texts_of(second)
            assert (template.key(one, parameters.plain) == template.key(other, parameters.plain)) is is_same

    check()


@pytest.mark.parametrize(
    ("annotation", "value"), [(int, "42"), (UUID, str(UUID(int=1))), (date, "2026-11-22"), (Decimal, "1.0"), (str, 42)]
)
def test_a_process_without_the_function_makes_arguments_canonical_by_their_kind(annotation, value):
    here = typed(annotation)
    there = Parameters.described(here.kinds, {}, [Template.parse("x:{x}")])
    assert there.bind((), {"x": value}) == here.bind((), {"x": value})
    assert there.plain == here.plain


@pytest.mark.parametrize("annotation", [str | int, User, Mixed, list[int]])
def test_a_process_without_the_function_passes_other_arguments_on_as_json(annotation):
    here = typed(annotation)
    there = Parameters.described(here.kinds, {}, [Template.parse("x:{x}")])
    for value in ("42", 42, {"id": 1}, [1]):
        assert there.bind((), {"x": value}) == {"x": value}


def test_a_parameter_added_since_a_ref_was_written_has_its_default():
    parameters = Parameters.of(optional, [Template.parse("user:{user_id}:{lang}")])
    assert parameters.load({"user_id": 1}) == {"user_id": 1, "lang": "en"}
    for natives in ({}, {"user_id": 1, "gone": 2}):
        with pytest.raises(InvalidTaskError, match="takes the arguments"):
            parameters.load(natives)


@pytest.mark.parametrize("annotation", [int, str, date, UUID, Decimal, dict, int | None])
def test_an_attribute_that_no_such_argument_has_is_refused_at_the_definition(annotation):
    def load(a): ...

    load.__annotations__["a"] = annotation
    with pytest.raises(InvalidTaskError, match="no such attribute"):
        WarmingTask(task_id="t", cache_key="x:{a.b}", compute_fn=load).target(a=1)


def test_an_attribute_of_a_plain_type_may_stand_in_a_key():
    def load(day: date): ...

    task = WarmingTask(task_id="t", cache_key="x:{day.year}", compute_fn=load)
    assert task.target(day=date(2026, 11, 22)).cache_key.startswith("x:")
