"""What each codec stores comes back as it was; whatever would not is refused, with its place."""

import math
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, Required, Union
from zoneinfo import ZoneInfo

import orjson
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    RootModel,
    SecretStr,
    create_model,
    field_validator,
)
from typing_extensions import TypeAliasType, TypedDict

from warmer.codec import Codec
from warmer.codec import formats as number_of
from warmer.codec.annotation import fingerprint, return_annotation
from warmer.errors import CodecError, InvalidTaskError, ValueTooLargeError

SIGNING_KEY = b"0123456789abcdef"
NAIVE = datetime.fromisoformat("2024-01-01T12:00:00")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1


class Word(StrEnum):
    YES = "yes"


@dataclass
class Price:
    amount: Decimal
    raw: bytes = b""
    change: float = 0.0


@dataclass(slots=True, frozen=True)
class Node:
    name: str
    children: "tuple[Node, ...]" = ()


@dataclass
class WithDerived:
    name: str
    length: int = field(init=False)

    def __post_init__(self) -> None:
        self.length = len(self.name)


class Point(NamedTuple):
    x: float
    tag: bytes


class Row(TypedDict):
    at: datetime
    ids: set[int]


class Product(BaseModel):
    name: str
    tags: set[str] = set()
    shown_as: str = Field("", serialization_alias="written", validation_alias="read")


class SpecialProduct(Product):
    pass


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 0


class Partial(BaseModel):
    hidden: int = Field(0, exclude=True)
    _note: int = PrivateAttr(0)


class Login(BaseModel):
    password: SecretStr


class Growing(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def _grow(cls, text: str) -> str:
        return text + "!"


class Vector(BaseModel):
    values: list[float]


class Telling(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def _refuse(cls, text: str) -> str:
        raise ValueError(f"not {text}")


class Unpicklable:
    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("hunter2 is not to be stored")


class Opaque:
    pass


UserId = NewType("UserId", int)


def exact(value: Any) -> Any:
    """A text-like picture of a value that tells all types and all bits apart, for comparison by ==."""
    name = type(value).__name__
    if isinstance(value, float):
        return name, value.hex()
    if isinstance(value, Decimal):
        return name, str(value)
    if isinstance(value, datetime | time):
        return name, value.isoformat(), value.fold
    if isinstance(value, set | frozenset):
        return name, sorted((exact(element) for element in value), key=repr)
    if isinstance(value, dict):
        return name, [(exact(key), exact(part)) for key, part in value.items()]
    if isinstance(value, list | tuple | deque):
        return name, [exact(part) for part in value]
    if isinstance(value, BaseModel):
        return name, [(key, exact(part)) for key, part in value]
    if is_dataclass(value):
        return name, [(one.name, exact(getattr(value, one.name))) for one in fields(value)]
    return name, repr(value)


def stored_and_read(codec: Codec, value: Any) -> Any:
    encoded = codec.encode("key", value)
    assert type(encoded.payload) is bytes
    return codec.decode("key", encoded.number, memoryview(encoded.payload))


def refusal(codec: Codec, value: Any) -> str:
    with pytest.raises(CodecError) as refused:
        codec.encode("dashboards:today", value)
    assert "'dashboards:today'" in str(refused.value)
    return str(refused.value)


# Values and annotations that fit each other.

fixed_zones = st.none() | st.just(UTC) | st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
whole_minutes = st.none() | st.just(UTC) | st.builds(lambda m: timezone(timedelta(minutes=m)), st.integers(-1380, 1380))
SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (type(None), st.none()),
    (bool, st.booleans()),
    (int, st.integers(-(2**63), 2**64 - 1)),
    (str, st.text(max_size=5)),
    (bytes, st.binary(max_size=5)),
    (datetime, st.datetimes(timezones=whole_minutes)),
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (uuid.UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (Size, st.sampled_from(Size)),
    (Word, st.sampled_from(Word)),
]
FLOAT = (float, st.floats())


def _without_fold(pair: tuple[Any, Any]) -> bool:
    return "fold=1" not in repr(pair[1])


def of_any(scalars: list[tuple[Any, st.SearchStrategy[Any]]]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.one_of([values.map(lambda value, kind=kind: (kind, value)) for kind, values in scalars])


def _nested(inner: st.SearchStrategy[tuple[Any, Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
    keys = of_any([pair for pair in SCALARS if pair[0] in (int, str, date, uuid.UUID, Colour, Size)])
    return st.one_of(
        inner.map(lambda pair: (list[pair[0]], [pair[1]])),
        inner.map(lambda pair: (tuple[pair[0], ...], (pair[1], pair[1]))),
        inner.map(lambda pair: (deque[pair[0]], deque([pair[1]]))),
        st.tuples(inner, inner).map(lambda two: (tuple[two[0][0], two[1][0]], (two[0][1], two[1][1]))),
        st.tuples(keys, inner).map(lambda two: (dict[two[0][0], two[1][0]], {two[0][1]: two[1][1]})),
        of_any(SCALARS).map(lambda pair: (set[pair[0]], {pair[1]})),
        of_any(SCALARS).map(lambda pair: (frozenset[pair[0]], frozenset({pair[1]}))),
    )


annotated_values = st.recursive(of_any([*SCALARS, FLOAT]), _nested, max_leaves=6).filter(_without_fold)


@pytest.mark.parametrize("kind", ["json", "msgpack"])
@given(pair=annotated_values)
def test_a_value_that_its_annotation_describes_comes_back_exactly(kind, pair):
    annotation, value = pair
    assert exact(stored_and_read(Codec(kind, annotation), value)) == exact(value)


any_scalar = (
    of_any([*SCALARS, FLOAT]).map(lambda pair: pair[1])
    | st.decimals()
    | st.integers()
    | st.datetimes(timezones=fixed_zones | st.timezones())
)
anything = st.recursive(
    any_scalar,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.booleans() | st.floats(), inner, max_size=3)
        | st.sets(st.integers() | st.booleans() | st.text(max_size=3) | st.floats(), max_size=3)
        | st.builds(Price, st.decimals(), st.binary(max_size=3), st.floats())
        | st.builds(Point, st.floats(), st.binary(max_size=3))
    ),
    max_leaves=8,
)
annotations = st.sampled_from(
    [
        *(Codec.UNKNOWN, Any, object, int, float, bool, str, bytes, Decimal, datetime, timedelta, Opaque),
        *(list, tuple, set, dict, list[float], tuple[int, ...], tuple[float | int | str, ...], set[int | bool]),
        *(dict[str, Any], dict[int, Any], dict[float, Any], dict[str, float], dict[int | str | bool | float, Any]),
        *(int | str, float | Decimal, datetime | str, date | datetime | time | str, bytes | str, Price, Point, Row),
        *(list[Any], list[Price | Point | dict[str, Any]], Decimal | float | bool | int | datetime | bytes | str),
    ]
)


@pytest.mark.parametrize("kind", ["json", "msgpack"])
@given(annotation=annotations, value=anything)
@example(annotation=float, value=Decimal("1.5"))
@example(annotation=datetime, value=datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")))
@example(annotation=tuple[datetime | str, ...], value=("2020-01-01",))
@example(annotation=set[int], value={True})
def test_whatever_is_accepted_comes_back_exactly_whatever_the_annotation_says(kind, annotation, value):
    codec = Codec(kind, annotation)
    try:
        encoded = codec.encode("key", value)
    except CodecError:
        return  # refused, so nothing was stored
    assert exact(codec.decode("key", *encoded)) == exact(value)


plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(plain_json, annotations.filter(lambda annotation: Codec(returns=annotation).takes_plain))
def test_plain_json_is_read_as_it_is_where_the_annotation_says_nothing_else(value, annotation):
    number, payload = Codec("json", annotation).encode("key", value)
    assert number == number_of.JSON
    assert exact(orjson.loads(payload)) == exact(value)


# JSON: what is decided about each kind of value.


def msgpack_takes(value):
    try:
        Codec("msgpack").encode("any", value)
    except CodecError:
        return False
    return True


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((1, 2), "value is a tuple and would come back as a list"),
        ({"rows": [{"at": (1,)}]}, "value['rows'][0]['at'] is a tuple and would come back as a list"),
        ({"rows": {1: "a"}}, "value['rows'] has a key that is an int, and no key in JSON"),
        (math.nan, "value is a float and would come back as None"),
        ([1.0, -math.inf], "value[1] is a float and would come back as None"),
        (b"raw", "value is a bytes: JSON has no such type"),
        ([datetime(2024, 1, 1, tzinfo=UTC)], "value[0] is a datetime: JSON has no such type"),
        ({"ids": {1}}, "value['ids'] is a set: JSON has no such type"),
        (Decimal("1.5"), "value is a Decimal: JSON has no such type"),
        (uuid.UUID(int=0), "value is a UUID and would come back as a str"),
        ({"colour": Colour.RED}, "value['colour'] is a Colour and would come back as a str"),
        ([Word.YES], "value[0] is a Word and would come back as a str"),
        ({Word.YES: 1}, "value has a key that is a Word, and no key in JSON"),
        (Size.SMALL, "value is a Size and would come back as an int"),
        (OrderedDict(a=1), "value is an OrderedDict: JSON has no such type"),
        (Price(Decimal(1)), "value is a Price: JSON has no such type"),
        (Product(name="a"), "value is a Product: JSON has no such type"),
        (["fine", "\ud800"], "value[1] is a str: str is not valid UTF-8: surrogates not allowed"),
        ({"n": 2**64}, "value['n'] is an int: Integer exceeds 64-bit range"),
    ],
)
def test_without_an_annotation_what_json_loses_is_refused_with_its_place(value, words):
    message = refusal(Codec(), value)
    assert words in message
    assert "annotate the compute function's return type" in message
    assert ("codec='msgpack'" in message) == msgpack_takes(value)
    assert "codec='pickle'" in message


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (tuple[int, str], (1, "a")),
        (dict[int, tuple[str, ...]], {1: ("a",), 2: ()}),
        (dict[date, int], {date(2024, 2, 29): 1}),
        (float, math.nan),
        (list[float], [math.inf, -math.inf, -0.0]),
        (set[float], {math.nan, 1.0}),
        (bytes, b"\x00\xff"),
        (datetime, datetime(2024, 1, 1, tzinfo=UTC)),
        (datetime, datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))),
        (datetime, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
        (datetime, NAIVE),
        (set[str], {"a", "b"}),
        (Decimal, Decimal("1.50")),
        (list[Colour | Size | Word], [Colour.RED, Size.SMALL, Word.YES]),
        (Price, Price(Decimal("0.10"), b"\xff", math.nan)),
        (Node, Node("a", (Node("b"), Node("c", (Node("d"),))))),
        (WithDerived, WithDerived("abc")),
        (Point, Point(math.inf, b"\xff")),
        (Row, {"at": NAIVE, "ids": {1, 2}}),
        (Product, Product(name="a", tags={"b"}, read="c")),
        (Open, Open(a=1, b="kept")),
        (Partial, Partial()),
        (dict[str, list[Product | Price]], {"a": [Product(name="a"), Price(Decimal(1))]}),
        (Annotated[tuple[int, ...], Field(max_length=2)], (1, 2)),
        (OrderedDict[str, int], OrderedDict(b=1, a=2)),
        (defaultdict[str, list[int]], defaultdict(list, a=[1])),
        (int, 2**80),
    ],
)
def test_with_an_annotation_they_come_back_as_they_were(annotation, value):
    encoded = Codec("json", annotation).encode("key", value)
    assert encoded.number == number_of.JSON | number_of.TYPED
    assert exact(Codec("json", annotation).decode("key", *encoded)) == exact(value)


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (dict[str, float], {"price": Decimal("1.5")}, "value['price'] is a Decimal and would come back as a float"),
        (set[int], {True}, "value (an element) is a bool and would come back as an int"),
        (dict[int, int], {True: 1}, "could not be rebuilt"),
        (dict[str, Any], {1: 1}, "value (a key) is an int and would come back as a str"),
        (Any, (1, 2), "value is a tuple and would come back as a list"),
        (list[int], (1, 2), "value is a tuple and would come back as a list"),
        (Product, {"name": "a"}, "value is a dict and would come back as a Product"),
        (tuple[int, ...], [1], "value is a list and would come back as a tuple"),
        (Word, "yes", "value is a str and would come back as a Word"),
        (Product, SpecialProduct(name="a"), "value is a SpecialProduct and would come back as a Product"),
        (Partial, Partial(hidden=4), "value.hidden is an int and would come back as another one"),
        (Growing, Growing(text="a"), "value.text is a str and would come back as another one"),
        (tuple[date | str, ...], ("2020-01-01",), "value[0] is a str and would come back as a date"),
        (dict[tuple[int, int], int], {(1, 2): 3}, "could not be rebuilt"),
        (datetime, datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), "a datetime and would come back in another"),
        (datetime, NAIVE.replace(fold=1), "in another time zone, or with another fold"),
        (Decimal, Decimal("NaN"), "value could not be rebuilt (finite_number)"),
        (deque[int], deque([1], maxlen=3), "value.maxlen is an int and would come back as None"),
        (Vector, Vector(values=[math.nan]), "value['values'][0] could not be rebuilt"),
        (tuple[str], ("\ud800",), "a text in it has surrogates"),
    ],
)
def test_what_would_come_back_changed_in_spite_of_the_annotation_is_refused_with_its_place(annotation, value, words):
    message = refusal(Codec("json", annotation), value)
    assert words in message
    assert "say exactly what is returned" in message


def test_private_and_further_attributes_are_not_lost_silently():
    noted, extended = Partial(), Price(Decimal(1))
    noted._note = 3
    extended.comment = "more"  # type: ignore[attr-defined]
    assert "value._note is an int and would come back as another one" in refusal(Codec("json", Partial), noted)
    assert "would come back as" in refusal(Codec("json", Price), extended)


def test_a_masked_secret_is_refused_and_not_told():
    message = refusal(Codec("json", Login), Login(password="hunter2"))
    assert "value.password" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(("value", "named"), [(Opaque(), "an Opaque"), ({"a": [1]}, "a dict")])
def test_an_annotation_that_nothing_can_be_rebuilt_by_is_named_whatever_is_returned(value, named):
    message = refusal(Codec("json", Opaque), value)
    assert f"value is {named}" in message
    assert "pydantic cannot rebuild the return annotation" in message
    assert "Opaque" in message


# What plain JSON is a value of.


class PlainRow(TypedDict, total=False):
    name: Required[str]
    price: float
    rows: "list[PlainRow]"


Tree = dict[str, "Tree"] | list["Tree"] | str | None


def recursive() -> Tree: ...


PLAIN = [
    *(Codec.UNKNOWN, Any, object, None, type(None), str, int, float, bool, list, dict, JsonValue),
    *(dict[str, int], dict[str, Any], dict[Any, Any], dict[Literal["a", "b"], int], list[dict[str, float | None]]),
    *(int | str, Optional[list[str]], Union[int, list[int]], Literal["a", 1, None], UserId),  # noqa: UP007, UP045
    *(Mapping[str, Any], Sequence[int], Iterable[str], Collection[int], Iterator[int], TypeAliasType("Ids", list[int])),
    *(Annotated[int, Field(gt=0)], Annotated[list[int], {"unhashable": 1}]),
    *(PlainRow, list[PlainRow], return_annotation(recursive)),
]
RICH = [
    *(bytes, datetime, Decimal, Colour, Word, Product, Price, Point, Row, Opaque, tuple, set, frozenset),
    *(tuple[int, ...], dict[int, str], dict[str, set[int]], dict[Word, int], list[Product], Product | None),
    *(int | Decimal, Literal[Word.YES], Annotated[str, AfterValidator(Path)], list[tuple[int, str]]),
    *(Mapping[str, date], OrderedDict[str, int], 5),
]


@pytest.mark.parametrize("annotation", PLAIN, ids=str)
@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_an_annotation_of_plain_json_alone_leaves_values_as_they_are(kind, annotation):
    codec = Codec(kind, annotation)
    assert codec.takes_plain
    assert codec.encode("key", {"a": [1, 1.5, None]}).number == (
        number_of.JSON if kind == "json" else number_of.MSGPACK
    )
    assert stored_and_read(codec, {"b": 1, "a": [1]}) == {"b": 1, "a": [1]}


@pytest.mark.parametrize("annotation", RICH, ids=str)
@pytest.mark.parametrize(
    "writer", [Codec(), Codec("msgpack"), Codec(compress_over_bytes=0)], ids=["json", "msgpack", "zstd"]
)
@pytest.mark.parametrize("kind", ["json", "msgpack", "pickle"])
def test_plain_json_is_no_value_of_any_other_annotation(kind, writer, annotation):
    reader = Codec(kind, annotation, signing_key=SIGNING_KEY)
    assert not reader.takes_plain
    with pytest.raises(CodecError, match="an entry was not written by the return annotation, now "):
        reader.decode("key", *writer.encode("key", {"id": [1] * 100}))
    assert reader.decode("key", *writer.encode("key", None)) is None
    assert reader.decode("key", number_of.JSON, memoryview(b"null")) is None


@pytest.mark.parametrize("kind", ["json", "msgpack"])
@given(pair=annotated_values)
def test_no_value_but_none_is_written_as_plain_json_by_any_other_annotation(kind, pair):
    annotation, value = pair
    codec = Codec(kind, annotation)
    if not codec.takes_plain and value is not None:
        assert codec.encode("key", value).number & number_of.TYPED


def test_raw_bytes_and_pickles_are_no_values_of_an_annotation_either_once_the_codec_is_another():
    raw, pickled = Codec("bytes").encode("key", b"{}"), Codec("pickle", signing_key=SIGNING_KEY).encode("key", {})
    for entry in (raw, pickled):
        with pytest.raises(CodecError, match="was not written by the return annotation"):
            Codec(returns=Product, signing_key=SIGNING_KEY).decode("key", *entry)
    assert Codec("bytes", bytes).decode("key", *raw) == b"{}"
    assert Codec("pickle", Product, signing_key=SIGNING_KEY).decode("key", *pickled) == {}


# The order of keys.


class Moment(TypedDict, total=False):
    at: datetime
    n: int
    score: float


class Diary(BaseModel):
    moments: list[Moment]


@dataclass
class Chapter:
    moment: Moment
    also: "dict[date, Moment]" = field(default_factory=dict)


Moments = RootModel[tuple[Moment, ...]]
LATE: Moment = {"score": math.nan, "n": 1, "at": NAIVE}


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Moment, LATE),
        (Moment, {"n": 1, "at": NAIVE}),
        (dict[str, list[Moment]], {"b": [LATE, {"at": NAIVE, "n": 1}], "a": []}),
        (Diary, Diary.model_construct(moments=[LATE])),
        (Chapter, Chapter(LATE, {date(2024, 1, 2): LATE, date(2024, 1, 1): LATE})),
        (Moments, Moments.model_construct(root=(LATE,))),
        (tuple[Moment, ...] | None, (LATE, LATE)),
    ],
)
@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_a_typed_dict_comes_back_in_the_order_in_which_it_was_given(kind, annotation, value):
    if annotation is Moments or annotation is Diary:
        kind = "msgpack"  # models decide for themselves whether JSON holds NaN
    assert repr(stored_and_read(Codec(kind, annotation), value)) == repr(value)


# What messages tell.


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("codec", "value"),
    [
        (Codec(), {"a": (SECRET,)}),
        (Codec(), {(SECRET,): 1}),
        (Codec(), [SECRET.encode()]),
        (Codec("msgpack"), {"a": bytearray(SECRET.encode())}),
        (Codec("msgpack"), SECRET + "\ud800"),
        (Codec(returns=str), (SECRET,)),
        (Codec(returns=list[str]), [SECRET.encode()]),
        (Codec(returns=tuple[int, ...]), (SECRET,)),
        (Codec(returns=set[str]), [SECRET]),
        (Codec(returns=dict[str, date]), {"a": SECRET}),
        (Codec(returns=Growing), Growing(text=SECRET)),
        (Codec(returns=Telling), Telling.model_construct(text=SECRET)),
        (Codec("msgpack", Telling), Telling.model_construct(text=SECRET)),
        (Codec(returns=uuid.UUID), SECRET),
        (Codec(returns=Opaque), SECRET),
        (Codec("bytes"), SECRET),
        (Codec("pickle", signing_key=SIGNING_KEY), Unpicklable()),
    ],
)
def test_messages_name_types_and_places_and_never_what_is_there(codec, value):
    message = refusal(codec, value)
    assert "aHVudGVy" not in message
    assert SECRET not in message


# msgpack


@pytest.mark.parametrize(
    "value",
    [
        b"\x00\xff",
        {1: "a", b"k": 2, None: 3, 1.5: 4, False: 5},
        [math.nan, -math.inf, -0.0],
        {"a": [2**64 - 1, -(2**63)]},
    ],
)
def test_msgpack_holds_bytes_numbers_and_any_scalar_key_by_itself(value):
    codec = Codec("msgpack")
    assert codec.encode("key", value).number == number_of.MSGPACK
    assert exact(stored_and_read(codec, value)) == exact(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((1, 2), "value is a tuple: msgpack has no such type"),
        ([bytearray(b"a")], "value[0] is a bytearray and would come back as a bytes"),
        ({(1, 2): 3}, "value has a key that is a tuple, and no key in msgpack"),
        ({"at": datetime(2024, 1, 1, tzinfo=UTC)}, "value['at'] is a datetime: msgpack has no such type"),
        ([{1}], "value[0] is a set"),
        (Size.SMALL, "value is a Size"),
        (2**64, "value is an int: Integer value out of range"),
        ("\ud800", "value is a str: surrogates not allowed"),
    ],
)
def test_without_an_annotation_what_msgpack_loses_is_refused_with_its_place(value, words):
    message = refusal(Codec("msgpack"), value)
    assert "cannot be stored as msgpack" in message
    assert words in message
    assert "annotate the compute function's return type" in message


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (tuple[int, bytes], (1, b"\xff")),
        (Vector, Vector(values=[math.nan, 1.0])),
        (Price, Price(Decimal("0.10"), b"\xff", math.nan)),
        (Node, Node("a", (Node("b"),))),
        (Product, Product(name="a", tags={"b"}, read="c")),
        (dict[Colour, set[bytes]], {Colour.RED: {b"\xff"}}),
        (Row, {"at": datetime(2024, 1, 1, tzinfo=UTC), "ids": {1, 2}}),
        (OrderedDict[str, timedelta], OrderedDict(b=timedelta(microseconds=1))),
    ],
)
def test_with_an_annotation_msgpack_brings_them_back_as_they_were(annotation, value):
    encoded = Codec("msgpack", annotation).encode("key", value)
    assert encoded.number == number_of.MSGPACK | number_of.TYPED
    assert exact(Codec("msgpack", annotation).decode("key", *encoded)) == exact(value)


def test_msgpack_refuses_integers_beyond_64_bits_even_with_an_annotation():
    assert "out of range" in refusal(Codec("msgpack", tuple[int, ...]), (2**64,))


# bytes


@given(st.binary())
def test_bytes_come_back_as_they_are(value):
    codec = Codec("bytes")
    assert codec.encode("key", value) == (number_of.BYTES, value)
    assert exact(stored_and_read(codec, value)) == exact(value)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("text", "return text.encode(), or choose codec='json'"),
        (bytearray(b"a"), "return bytes(value)"),
        (memoryview(b"a"), "return bytes(value)"),
        ([1], "return bytes or None, or choose codec='json'"),
    ],
)
def test_the_bytes_codec_takes_nothing_but_bytes_and_says_what_to_return(value, advice):
    message = refusal(Codec("bytes"), value)
    assert f"value is a {type(value).__name__}, not bytes" in message
    assert advice in message


# pickle


@given(anything)
def test_pickled_values_come_back_exactly(value):
    assert exact(stored_and_read(Codec("pickle", signing_key=SIGNING_KEY), value)) == exact(value)


def test_a_pickle_without_a_signing_key_is_no_task():
    with pytest.raises(InvalidTaskError, match=r"WARMER_PICKLE_KEY \(`pickle_key`\)"):
        Codec("pickle")


@pytest.mark.parametrize("signing_key", [b"", b"15 bytes only.."])
def test_a_signing_key_that_is_too_short_is_refused_and_not_told(signing_key):
    with pytest.raises(InvalidTaskError, match="expected a secret of 16 bytes or more") as refused:
        Codec(signing_key=signing_key)
    assert "only" not in str(refused.value)


def test_a_signing_key_is_never_shown():
    assert "0123456789" not in repr(Codec("pickle", signing_key=SIGNING_KEY))


class Alarm:
    """Says so when it is unpickled."""

    rung = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return _ring, ()


def _ring() -> None:
    Alarm.rung += 1


@pytest.mark.parametrize("case", ["another cache key", "another signing key", "altered", "cut", "empty", "no key"])
def test_a_pickle_whose_signature_does_not_hold_is_never_unpickled(case):
    writer = Codec("pickle", signing_key=SIGNING_KEY)
    number, payload = writer.encode("key", Alarm())
    reader, cache_key = writer, "key"
    if case == "another cache key":
        cache_key = "key2"
    elif case == "another signing key":
        reader = Codec("pickle", signing_key=b"another signing key")
    elif case == "no key":
        reader = Codec()
    else:
        payload = {"altered": payload[:-1] + b"!", "cut": payload[:20], "empty": b""}[case]
    Alarm.rung = 0
    with pytest.raises(CodecError, match="WARMER_PICKLE_KEY" if case == "no key" else "signature does not match"):
        reader.decode(cache_key, number, payload)
    assert Alarm.rung == 0
    writer.decode("key", *writer.encode("key", Alarm()))
    assert Alarm.rung == 1


def test_the_signature_covers_where_the_cache_key_ends():
    codec = Codec("pickle", signing_key=SIGNING_KEY)
    number, payload = codec.encode("ab", b"data")
    with pytest.raises(CodecError, match="signature does not match"):
        codec.decode("a", number, payload[:32] + b"b" + payload[32:])


def test_what_cannot_be_pickled_is_a_codec_error():
    assert "cannot be stored as a pickle" in refusal(Codec("pickle", signing_key=SIGNING_KEY), lambda: 1)


def test_a_pickle_that_cannot_be_loaded_any_more_is_a_codec_error(monkeypatch):
    codec = Codec("pickle", signing_key=SIGNING_KEY)
    encoded = codec.encode("key", Price(Decimal(1)))
    monkeypatch.delitem(globals(), "Price")
    with pytest.raises(CodecError, match="pickle cannot be read: AttributeError"):
        codec.decode("key", *encoded)


# Every codec

EVERY = [Codec("json"), Codec("msgpack"), Codec("bytes"), Codec("pickle", signing_key=SIGNING_KEY)]


@pytest.mark.parametrize("codec", EVERY, ids=lambda codec: codec.kind)
def test_none_is_stored_by_every_codec_as_plain_json(codec):
    assert codec.encode("key", None) == (number_of.JSON, b"null")


@pytest.mark.parametrize("writer", EVERY, ids=lambda codec: f"from {codec.kind}")
@pytest.mark.parametrize("kind", ["json", "msgpack", "bytes", "pickle"])
def test_entries_are_read_by_their_number_after_a_task_changes_its_codec(writer, kind):
    reader = Codec(kind, compress_over_bytes=0, signing_key=SIGNING_KEY)
    value = b"raw" if writer.kind == "bytes" else {"a": [1, None]}
    assert reader.decode("key", *writer.encode("key", value)) == value


@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_a_value_is_rebuilt_only_by_the_annotation_that_it_was_written_by(kind):
    number, payload = Codec(kind, tuple[int, ...]).encode("key", (2, 1))
    assert Codec("pickle", tuple[int, ...], signing_key=SIGNING_KEY).decode("key", number, payload) == (2, 1)
    for annotation in (set[int], tuple[str, ...], dict[str, int], Product):
        with pytest.raises(CodecError, match="was written by another return annotation than the function has now"):
            Codec(kind, annotation).decode("key", number, payload)
    with pytest.raises(CodecError, match="has to be rebuilt by a return annotation"):
        Codec().decode("key", number, payload)


def test_a_model_that_has_changed_under_its_name_refuses_what_does_not_fit():
    fields_before = create_model("Changing", id=(int, ...))
    fields_now = create_model("Changing", id=(int, ...), name=(str, ...))
    entry = Codec(returns=fields_before).encode("key", fields_before(id=1))
    with pytest.raises(CodecError, match=r"does not fit the return annotation: value\['name'\] could not be rebuilt"):
        Codec(returns=fields_now).decode("key", *entry)


def test_a_fingerprint_is_of_an_annotation_s_text_and_the_same_in_every_process():
    assert Codec(returns=tuple[int, ...]).encode("key", (1,)).payload == b"\xbbR/\x19[1]"
    first, second = (Annotated[tuple[int, ...], AfterValidator(lambda value: value)] for _ in range(2))
    assert Codec(returns=second).decode("key", *Codec(returns=first).encode("key", (1,))) == (1,)


PRINT = fingerprint("tuple[int, ...]")


@pytest.mark.parametrize(
    ("number", "payload", "words"),
    [
        (number_of.JSON, b"{", "not JSON"),
        (number_of.JSON, b"", "not JSON"),
        (number_of.JSON | number_of.TYPED, PRINT + b"{", "does not fit"),
        (number_of.JSON | number_of.TYPED, PRINT, "does not fit"),
        (number_of.JSON | number_of.TYPED, b"[1]", "by another return annotation"),
        (number_of.JSON | number_of.TYPED, b"", "by another return annotation"),
        (number_of.MSGPACK, b"\xc1", "not msgpack"),
        (number_of.MSGPACK, b"\x01\x01", "not msgpack"),
        (number_of.MSGPACK, b"\x92\x01", "not msgpack"),
        (number_of.MSGPACK, b"\x81\x90\x01", "not msgpack"),
        (number_of.MSGPACK | number_of.TYPED, PRINT + b"\xc1", "does not fit"),
        (number_of.ERROR, b"1", "codec 5: it holds an error and no value"),
        (0, b"1", "codec 0, which this version does not know"),
        (9, b"1", "codec 9"),
        (0x3F, b"1", "codec 63"),
        (number_of.BYTES | number_of.TYPED, b"1", "codec 67"),
        (number_of.PICKLE | number_of.TYPED, b"1", "codec 68"),
        (number_of.JSON | number_of.COMPRESSED, b"1", "cannot be decompressed"),
    ],
)
def test_what_cannot_be_read_is_a_codec_error(number, payload, words):
    annotation = tuple[int, ...] if number & number_of.TYPED else Codec.UNKNOWN
    with pytest.raises(CodecError, match=words):
        Codec(returns=annotation, signing_key=SIGNING_KEY).decode("key", number, payload)


@given(st.integers(0, 255), st.binary(max_size=60), annotations)
def test_no_bytes_ever_raise_anything_but_a_codec_error(number, payload, annotation):
    message = "an entry was read"
    try:
        Codec(returns=annotation, signing_key=SIGNING_KEY).decode("key", number, payload)
    except CodecError as error:
        message = str(error)
    assert message.startswith("an entry")


def _self_containing() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def _nested_deeply(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("annotation", [Codec.UNKNOWN, list[Any], Any])
@pytest.mark.parametrize("kind", ["json", "msgpack"])
@pytest.mark.parametrize("value", [_self_containing(), (_self_containing(),), _nested_deeply(100_000)])
def test_a_value_that_contains_itself_or_has_no_end_is_a_codec_error(kind, annotation, value):
    assert "cannot be stored" in refusal(Codec(kind, annotation), value)


def test_a_pickle_nested_too_deeply_is_a_codec_error():
    assert "nested too deeply" in refusal(Codec("pickle", signing_key=SIGNING_KEY), _nested_deeply(100_000))


@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_ordinary_depth_is_no_problem(kind):
    value = _nested_deeply(150)
    assert stored_and_read(Codec(kind), value) == value


# Size

LONG = {"text": "warm " * 1000}


@pytest.mark.parametrize("codec", EVERY, ids=lambda codec: codec.kind)
def test_long_payloads_are_compressed_and_come_back(codec):
    value = b"warm" * 1000 if codec.kind == "bytes" else LONG
    packing = Codec(codec.kind, compress_over_bytes=1000, signing_key=codec.signing_key)
    plain, packed = codec.encode("key", value), packing.encode("key", value)
    assert packed.number == plain.number | number_of.COMPRESSED
    assert len(packed.payload) < len(plain.payload) / 5
    assert codec.decode("key", packed.number, memoryview(packed.payload)) == value


def test_only_what_is_longer_than_asked_and_shrinks_is_compressed():
    size = len(Codec().encode("key", LONG).payload)
    assert Codec(compress_over_bytes=size).encode("key", LONG).number == number_of.JSON
    assert Codec(compress_over_bytes=size - 1).encode("key", LONG).number == number_of.JSON | number_of.COMPRESSED
    assert Codec(compress_over_bytes=0).encode("key", [1]).number == number_of.JSON


def test_a_value_that_is_too_large_is_refused_with_its_size_and_the_limit():
    payload_bytes = len(orjson.dumps(LONG))
    assert Codec(max_value_bytes=payload_bytes).encode("key", LONG).number == number_of.JSON
    with pytest.raises(ValueTooLargeError) as refused:
        Codec(max_value_bytes=payload_bytes - 1).encode("reports:all", LONG)
    for words in ("'reports:all'", f"{payload_bytes} bytes;", f"at most {payload_bytes - 1}", "compress_over_bytes"):
        assert words in str(refused.value)


def test_the_limit_is_on_what_is_stored_after_compression():
    assert Codec(compress_over_bytes=0, max_value_bytes=1000).encode("key", LONG).number & number_of.COMPRESSED
    packed_bytes = len(Codec(compress_over_bytes=0).encode("key", LONG).payload)
    with pytest.raises(
        ValueTooLargeError, match=rf"{len(orjson.dumps(LONG))} bytes, {packed_bytes} compressed; at most 9"
    ):
        Codec(compress_over_bytes=0, max_value_bytes=9).encode("key", LONG)


@pytest.mark.parametrize("codec", [Codec(), Codec(returns=Product), Codec("pickle", signing_key=SIGNING_KEY)])
def test_a_small_entry_never_becomes_more_than_64_mib_or_64_times_the_limit(codec):
    zeros = zstandard.compress(bytes(64 * 1024 * 1024 + 1))
    reader = replace(codec, max_value_bytes=1024)
    number = number_of.PICKLE if codec.kind == "pickle" else number_of.JSON | number_of.TYPED
    with pytest.raises(CodecError, match="claims 67108865 bytes, more than the 67108864 that are allowed"):
        reader.decode("key", number | number_of.COMPRESSED, zeros)


@pytest.mark.parametrize(
    ("number", "words"),
    [(number_of.PICKLE, "WARMER_PICKLE_KEY"), (9, "codec 9"), (number_of.MSGPACK, "not written by")],
)
def test_what_is_not_read_anyway_is_never_decompressed(number, words, monkeypatch):
    monkeypatch.setattr("warmer.codec.codec.decompressed", lambda *_: pytest.fail("it was decompressed"))
    with pytest.raises(CodecError, match=words):
        Codec(returns=Product).decode("key", number | number_of.COMPRESSED, zstandard.compress(b"warm"))


def test_what_could_not_be_decompressed_again_is_not_compressed():
    text = "warm" * (16 * 1024 * 1024)
    with pytest.raises(ValueTooLargeError, match="takes 67108866 bytes; at most 2048 may be stored"):
        Codec(compress_over_bytes=0, max_value_bytes=2048).encode("key", text)


# Construction


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "yaml"}, "codec: expected one of 'json', 'msgpack', 'bytes', 'pickle', got 'yaml'"),
        ({"compress_over_bytes": -1}, "compress_over_bytes: expected a number of bytes or None, got -1"),
        ({"max_value_bytes": 0}, "max_value_bytes: expected 1 byte or more, got 0"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments, words):
    with pytest.raises(InvalidTaskError, match=words):
        Codec(**arguments)


def test_a_codec_takes_its_annotation_from_the_function():
    async def colours() -> tuple[Colour, ...]:
        return (Colour.RED,)

    codec = Codec.of(colours, kind="msgpack", compress_over_bytes=7, max_value_bytes=99, signing_key=SIGNING_KEY)
    assert codec == Codec("msgpack", tuple[Colour, ...], 7, 99, SIGNING_KEY)
