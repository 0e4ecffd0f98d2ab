"""Every answer that satisfies the schema that a client derives from a type can be parsed."""

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import TypedDict

from friendli._answer_schema import answer_schema
from friendli._tools import FunctionTool
from friendli._transport.parse import format_of
from friendli_endpoint.generation import RequestError
from tests.chat.structured.walks import COMPILER, ENDS, walk

T = TypeVar("T")


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    barks: Annotated[float, pydantic.Field(ge=0)] | None = None


class Bird(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    kind: Literal["parrot", "owl"] = "owl"
    name: str = pydantic.Field("x", alias="birdName")

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        return self.name.upper()


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    NUMBER = 1
    TEXT = "text"


class Options(TypedDict, total=False):
    a: int
    b: list[str]


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Pair(NamedTuple):
    first: int
    second: str = "x"


class Tree(pydantic.BaseModel):
    value: int
    children: list["Tree"] = pydantic.Field([], max_length=2)


class Box(pydantic.BaseModel, Generic[T]):
    content: T


class Numbers(pydantic.RootModel[list[int]]):
    pass


Pet = Annotated[Union[Cat, Dog, Bird], pydantic.Field(discriminator="kind")]  # noqa: UP007
SCALARS: list[Any] = [
    *(bool, int, float, str, bytes, None, complex, decimal.Decimal, uuid.UUID, pydantic.UUID4),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
    *(pydantic.NaiveDatetime, pydantic.AwareDatetime, pydantic.HttpUrl, pydantic.AnyUrl),
    *(ipaddress.IPv4Address, ipaddress.IPv6Address, Color, Level, pydantic.SecretStr),
    *(Literal["a", 1, True, None], pydantic.Json[int], pydantic.Base64Bytes),
    Annotated[int, pydantic.Field(gt=3, le=90, multiple_of=3)],
    Annotated[decimal.Decimal, pydantic.Field(max_digits=5, decimal_places=2)],
    Annotated[decimal.Decimal, pydantic.Field(ge=0, max_digits=6)],
    Annotated[decimal.Decimal, pydantic.Field(lt=10)],
    Annotated[str, pydantic.StringConstraints(strip_whitespace=True, min_length=2, max_length=4)],
    Annotated[str, pydantic.Field(pattern=r"^[a-z]{2,5}\d$")],
]
OBJECTS: list[Any] = [Cat, Dog, Bird, Options, Point, Pair, Tree, Numbers, Box[Pet], Box[Color]]
KEYS: list[Any] = [
    *(Literal[1, "c"], tuple[int, int]),
    *(
        str,
        int,
        float,
        bool,
        decimal.Decimal,
        uuid.UUID,
        datetime.date,
        Color,
        Level,
        Mixed,
        Literal["a", "b"],
    ),
    Annotated[str, pydantic.Field(pattern="^a+$")],
    Annotated[str, pydantic.Field(min_length=1, max_length=3)],
]
HASHABLE: list[Any] = [int, str, bool, Color, Literal["a", "b", 3], uuid.UUID]


def _generic(origin: Any, *arguments: Any) -> Any:
    """Returns a generic type with arguments."""
    return origin[arguments if len(arguments) > 1 else arguments[0]]


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    makers: list[Callable[[Any], Any]] = [
        lambda kind: _generic(list, kind),
        lambda kind: _generic(Optional, kind),
        lambda kind: _generic(tuple, kind, int),
        lambda kind: _generic(tuple, kind, ...),
        lambda kind: _generic(
            Annotated, _generic(list, kind), pydantic.Field(min_length=1, max_length=2)
        ),
    ]
    return st.one_of(
        st.builds(lambda make, kind: make(kind), st.sampled_from(makers), inner),
        st.builds(lambda key, kind: _generic(dict, key, kind), st.sampled_from(KEYS), inner),
        st.builds(lambda kind: _generic(set, kind), st.sampled_from(HASHABLE)),
        st.builds(lambda first, second: _generic(Union, first, second), inner, inner),
        st.builds(_model, st.lists(st.tuples(inner, st.booleans()), min_size=1, max_size=4)),
    )


def _model(fields: list[tuple[Any, bool]]) -> Any:
    named: dict[str, Any] = {
        f"f{number}": (kind, ... if is_required else None)
        for number, (kind, is_required) in enumerate(fields)
    }
    named["tag"] = (Literal["g"], "g")
    return pydantic.create_model("Generated", **named)


KINDS = st.recursive(
    st.one_of(st.sampled_from(SCALARS), st.sampled_from(OBJECTS), st.just(Pet)),
    _containers,
    max_leaves=5,
)


def _parse_all(kind: Any, seeds: range) -> int:
    """Parses random answers; returns how many were complete."""
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
    schema, count = answer_schema(adapter), 0
    for seed in seeds:
        text = walk(COMPILER.json_schema(schema, ENDS, "s"), seed, max_tokens=250)
        if text is not None:
            adapter.validate_json(text)
            count += 1
    return count


@pytest.mark.parametrize(
    "kind",
    [*SCALARS, *OBJECTS, Pet, Cat | Dog, *(_generic(dict, key, int) for key in KEYS)],
    ids=lambda kind: str(kind)[:60],
)
def test_each_answer_of_a_type_is_parsed(kind: Any) -> None:
    assert _parse_all(kind, range(12))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(KINDS, st.integers(0, 1000))
def test_each_answer_of_a_generated_type_is_parsed(kind: Any, seed: int) -> None:
    try:
        _parse_all(kind, range(seed, seed + 3))
    except RequestError as error:  # A limit of the grammar, said before anything is generated.
        assert error.status == 400


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([Pet, set[int], dict[int, Pet], list[Cat | Dog], Point]), st.integers(0, 99))
def test_each_call_of_a_tool_is_parsed(kind: Any, seed: int) -> None:
    def look(target: Any, again: Any = None) -> None:
        """Looks at something."""

    look.__annotations__ = {"target": kind, "again": kind}
    tool = FunctionTool(look)
    schema = tool.definition()["function"]["parameters"]
    text = walk(COMPILER.json_schema(schema, ENDS, "s"), seed, max_tokens=250)
    if text is not None:
        assert "target" in tool.arguments(text)
    assert "uniqueItems" not in str(schema)


def test_the_tag_of_a_union_is_required_and_other_schemas_are_those_of_pydantic() -> None:
    class Owner(pydantic.BaseModel):
        pet: Pet
        animal: Cat | Dog

    defs = format_of(Owner)["json_schema"]["schema"]["$defs"]
    assert [defs[name]["required"] for name in ("Cat", "Dog", "Bird")] == [["kind"]] * 3
    for kind in (Cat, Bird, Tree, Numbers, Box[Color]):
        assert format_of(kind)["json_schema"]["schema"] == kind.model_json_schema()
