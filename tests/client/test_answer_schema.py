"""Schemas of types, narrowed to what can be parsed."""

from __future__ import annotations

import datetime
import decimal
import enum
from typing import Annotated, Any, Literal

import pydantic
import pytest

from friendli._answer_schema import answer_schema, argument_schema


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Plain(pydantic.BaseModel):
    kind: Literal["plain"] = "plain"
    names: set[str] = pydantic.Field(set(), alias="allNames")
    due: datetime.datetime | None = None


@pytest.mark.parametrize(
    "kind", [Plain, int, list[Plain], dict[str, Plain], Plain | None, str | int, tuple[int, str]]
)
def test_a_type_without_need_has_the_schema_of_pydantic(kind: Any) -> None:
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
    assert answer_schema(adapter) == adapter.json_schema()


@pytest.mark.parametrize(
    ("kind", "keyword", "value"),
    [
        (dict[int, str], "propertyNames", {"pattern": "^-?(?:0|[1-9][0-9]*)$"}),
        (dict[bool, str], "propertyNames", {"enum": ["true", "false"]}),
        (dict[Level, str], "propertyNames", {"enum": ["1", "2"]}),
        (dict[Literal[1, "a"], str], "propertyNames", {"enum": ["a"]}),
        (dict[tuple[int, int], str], "propertyNames", False),
        (
            dict[Annotated[str, pydantic.Field(pattern="^a")], str],
            "additionalProperties",
            False,
        ),
        (pydantic.NaiveDatetime, "format", "date-time-local"),
        (datetime.timedelta, "pattern", "^P(?:T?[0-9]{1,4}[YMWDHS])+$"),
        (Annotated[decimal.Decimal, pydantic.Field(decimal_places=2)], "multipleOf", 0.01),
        (pydantic.Json[int], "pattern", "^-?(?:0|[1-9][0-9]*)$"),
    ],
)
def test_what_pydantic_does_not_read_back_is_excluded(
    kind: Any, keyword: str, value: object
) -> None:
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
    assert answer_schema(adapter)[keyword] == value


def test_a_set_as_an_argument_may_repeat_items_unless_it_needs_several() -> None:
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(set[str])
    assert answer_schema(adapter)["uniqueItems"]
    assert "uniqueItems" not in argument_schema(adapter)
    several = Annotated[set[str], pydantic.Field(min_length=2)]
    assert argument_schema(pydantic.TypeAdapter(several))["uniqueItems"]
