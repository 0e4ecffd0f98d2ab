"""Prints the JSON schemas of typical pydantic types: `python pydantic_types.py`.

Runs with each version of pydantic in the corpus, and imports neither `friendli` nor
`friendli_endpoint`. Each line is a JSON object that maps a name to a schema.
"""

# ruff: noqa: D101, UP007, UP042, UP045
# The names of the types say what they are, and programs write them in the older forms too.

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Optional,
    TypeVar,
    Union,
)
from uuid import UUID

import pydantic as p
from typing_extensions import TypedDict

T = TypeVar("T")


class Currency(str, Enum):
    EUR = "EUR"
    USD = "USD"


class Priority(IntEnum):
    LOW = 1
    HIGH = 2


class Money(p.BaseModel):
    amount: Decimal = p.Field(ge=0, max_digits=10, decimal_places=2)
    currency: Currency = Currency.EUR


class Price(p.BaseModel):
    net: float = p.Field(gt=0, multiple_of=0.01)
    tax: float = p.Field(0.2, ge=0, le=1, multiple_of=0.001)
    total: Decimal


class Line(p.BaseModel):
    model_config = p.ConfigDict(extra="forbid")
    sku: str = p.Field(pattern=r"^[A-Z]{3}-\d{4}$")
    quantity: p.PositiveInt
    unit: Money
    discount: Annotated[float, p.Field(ge=0, lt=1)] | None = None


class Order(p.BaseModel):
    id: UUID
    lines: list[Line] = p.Field(min_length=1, max_length=20)
    placed: datetime
    due: Optional[date] = None
    priority: Priority = Priority.LOW
    notes: dict[str, str] = {}


class Card(p.BaseModel):
    kind: Literal["card"] = "card"
    number: str = p.Field(pattern=r"^\d{16}$")
    expires: date


class Transfer(p.BaseModel):
    kind: Literal["transfer", "sepa"]
    iban: str = p.Field(min_length=15, max_length=34)


class Cash(p.BaseModel):
    kind: Literal["cash"]


class Payment(p.BaseModel):
    method: Card | Transfer | Cash = p.Field(discriminator="kind")
    fallback: Optional[Union[Card, Transfer]] = None


class Tree(p.BaseModel):
    value: int
    children: list["Tree"] = []
    parent: "Tree | None" = None


class Page(p.BaseModel, Generic[T]):
    items: list[T]
    cursor: str | None = None
    total: p.NonNegativeInt


class Network(p.BaseModel):
    address: IPv4Address
    six: IPv6Address | None
    block: IPv4Network
    homepage: p.AnyHttpUrl
    any_url: p.AnyUrl
    database: p.PostgresDsn | None = None
    cache: p.RedisDsn | None = None
    email: p.EmailStr
    contact: p.NameEmail | None = None


class Files(p.BaseModel):
    path: Path
    file: p.FilePath | None = None
    folder: p.DirectoryPath | None = None
    content: bytes
    encoded: p.Base64Bytes | None = None
    text: p.Base64UrlStr | None = None
    size: p.ByteSize
    secret: p.SecretStr | None = None
    raw: p.Json[list[int]] | None = None


class Times(p.BaseModel):
    at: time
    lasts: timedelta
    past: p.PastDatetime | None = None
    future: p.FutureDate | None = None
    aware: p.AwareDatetime
    naive: p.NaiveDatetime


class Numbers(p.BaseModel):
    small: p.conint(ge=-5, lt=7)  # type: ignore[valid-type]
    even: p.conint(multiple_of=2)  # type: ignore[valid-type]
    ratio: p.confloat(gt=0, le=1)  # type: ignore[valid-type]
    finite: p.FiniteFloat
    strict: p.StrictInt
    cents: Annotated[Decimal, p.Field(decimal_places=2, gt=0)]
    huge: int = p.Field(le=2**64)


class Collections(p.BaseModel):
    pair: tuple[int, str]
    many: tuple[float, ...]
    names: set[str]
    frozen: frozenset[Currency] = frozenset()
    few: Annotated[set[int], p.Field(max_length=3)] = set()
    scores: dict[str, list[float]]
    by_id: dict[UUID, int] = {}
    by_currency: dict[Currency, Money] = {}
    by_code: dict[Annotated[str, p.StringConstraints(pattern="^[a-z]{2}$")], int] = {}
    by_number: dict[int, str] = {}
    not_empty: dict[str, int] = p.Field(min_length=1)
    sequence: Sequence[int] = ()


class Strings(p.BaseModel):
    code: Annotated[str, p.StringConstraints(to_upper=True, min_length=2, max_length=2)]
    slug: Annotated[str, p.StringConstraints(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$")]
    phone: str = p.Field(pattern=r"^\+?[1-9]\d{1,14}$")
    choice: Literal["a", "b", 3, True, None]
    untyped: Any
    constant: Literal["fixed"] = "fixed"


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Point(NamedTuple):
    x: float
    y: float = 0.0


@dataclass
class Shape:
    corners: list[Point]
    tags: list[str] = field(default_factory=list)


class Mixed(p.BaseModel):
    model_config = p.ConfigDict(extra="allow")
    movie: Movie
    shape: Shape
    either: int | str | list[int]
    nested: dict[str, "int | dict[str, Any]"]
    alias: str = p.Field(alias="aliasName", examples=["x"])


class Closed(p.RootModel[dict[str, int | None]]):
    root: dict[str, int | None]


class Contact(p.BaseModel):
    """A person in a text."""

    name: str = p.Field(description="Full name")
    age: int | None = p.Field(default=None, ge=0, le=150)
    role: Literal["customer", "agent"]
    interests: list[str] = p.Field(default_factory=list, max_length=10)
    confidence: float = p.Field(ge=0, le=1)


TYPES: dict[str, Any] = {
    **{
        kind.__name__: kind
        for kind in (
            *(Money, Price, Line, Order, Card, Payment, Tree, Network, Files, Times, Numbers),
            *(Collections, Strings, Mixed, Closed, Contact, Movie, Point, Shape),
        )
    },
    "Page[Order]": Page[Order],
    "Page[Contact]": Page[Contact],
    "Decimal": Decimal,
    "Fraction": Fraction,
    "list[Decimal]": list[Decimal],
    "set[int]": set[int],
    "timedelta": timedelta,
    "Path": Path,
    "dict[Priority, Decimal]": dict[Priority, Decimal],
    "union by tag": Annotated[Card | Transfer, p.Field(discriminator="kind")],
    "Json": p.Json,
    "UUID4": p.UUID4,
    "ByteSize": p.ByteSize,
    "ImportString": p.ImportString,
    "HttpUrl": p.HttpUrl,
    "EmailStr": p.EmailStr,
}


_MODES: tuple[Literal["validation"], Literal["serialization"]] = ("validation", "serialization")


def main() -> None:
    """Prints the schemas for validation, and those for serialization that differ."""
    for name, kind in TYPES.items():
        try:
            adapter = p.TypeAdapter(kind)
            schemas = {mode: adapter.json_schema(mode=mode) for mode in _MODES}
        except p.errors.PydanticUserError:
            continue  # This version has no schema of the type.
        print(json.dumps({name: schemas["validation"]}))
        if schemas["serialization"] != schemas["validation"]:
            print(json.dumps({f"{name}, serialized": schemas["serialization"]}))


if __name__ == "__main__":
    main()
