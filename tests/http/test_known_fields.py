"""The fields of a body at every depth: unknown ones, null ones, and those without effect."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.body import parse_body
from friendli_endpoint.http.fields_without_effect import (
    ANY,
    FieldsWithoutEffect,
    fields_without_effect,
)
from friendli_endpoint.http.routes.adapters import AdapterBody
from friendli_endpoint.http.routes.inspection import BODIES
from friendli_endpoint.http.strict_json import path_of
from tests.http.scripted import VALID

Schema = dict[str, Any]
Keys = tuple[int | str, ...]

KINDS: tuple[type[BaseModel], ...] = (*BODIES.values(), AdapterBody)


class Place(NamedTuple):
    """An object in a type of body: a valid body that contains it, and the schema of the object."""

    kind: type[BaseModel]
    body: Any
    keys: Keys
    schema: Schema

    @property
    def fields(self) -> dict[str, Any]:
        """The object in the body."""
        found = self.body
        for key in self.keys:
            found = found[key]
        assert isinstance(found, dict)
        return found

    def with_fields(self, **fields: Any) -> bytes:
        """Returns the body with more fields in the object."""
        changed = self._replace(body=copy.deepcopy(self.body))
        changed.fields.update(fields)
        return json.dumps(changed.body).encode()

    def parse(self, **fields: Any) -> BaseModel:
        """Parses the body with more fields in the object."""
        return parse_body(self.with_fields(**fields), self.kind)

    def error(self, **fields: Any) -> RequestError:
        """Returns the error of the body with more fields in the object."""
        with pytest.raises(RequestError) as caught:
            self.parse(**fields)
        return caught.value

    def path(self, name: str) -> str:
        """Returns the path of a field of the object."""
        return path_of((*self.keys, name))

    @property
    def role(self) -> str:
        """The role of the message that the object is in, or empty text."""
        if self.keys[:1] != ("messages",):
            return ""
        return str(self.body["messages"][0]["role"])

    def matches(self, row: FieldsWithoutEffect) -> bool:
        """Returns whether a row of the table is about this object."""
        path = path_of(self.keys).replace("[0]", "[]")
        return row.path in (path, path.replace("messages[]", f"messages[{self.role}]", 1))


def places(kind: type[BaseModel]) -> list[Place]:
    """Returns the objects in a type of body, by its JSON Schema."""
    schema = kind.model_json_schema()
    found = [Place(kind, *found) for found in _values(schema, schema.get("$defs", {}))]
    return [place for place in found if place.schema]


def _values(schema: Schema, definitions: Schema) -> Iterator[tuple[Any, Keys, Schema]]:
    """Yields valid values of a schema, with the keys of an object in each; the smallest first."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _values(branch, definitions)
    if "properties" in schema:
        required = {
            name: next(_values(field, definitions))[0]
            for name, field in schema["properties"].items()
            if name in schema.get("required", ()) or "const" in field
        }
        yield required, (), schema
        for name, field in schema["properties"].items():
            for value, keys, inner in _values(field, definitions):
                if inner:
                    yield {**required, name: value}, (name, *keys), inner
    elif schema.get("type") == "array":
        for value, keys, inner in _values(schema["items"], definitions):
            yield [value], (0, *keys), inner
    elif "const" in schema:
        yield schema["const"], (), {}
    else:
        simple = {"string": "a", "integer": 1, "number": 1.0, "boolean": True, "object": {"a": 1}}
        if schema.get("type") in simple:
            yield simple[schema["type"]], (), {}


PLACES = [place for kind in dict.fromkeys(KINDS) for place in places(kind)]
CHAT = [place for place in PLACES if place.kind is DedicatedChatCompletionBody]
every_place = pytest.mark.parametrize(
    "place", PLACES, ids=lambda p: f"{p.kind.__name__}:{p.role}:{path_of(p.keys)}"
)


def test_the_objects_of_all_fields_are_found() -> None:
    paths = {path_of(place.keys) for place in CHAT}
    assert {
        "",
        "messages[0]",
        "messages[0].content[0].image_url",
        "messages[0].tool_calls[0].function",
        "response_format.json_schema",
        "stream_options",
        "tool_choice.function",
        "tools[0].function",
    } <= paths
    assert {place.role for place in CHAT} == {
        *("", "system", "developer", "user", "assistant", "tool")
    }


@every_place
def test_an_unknown_field_is_rejected_by_its_path(place: Place) -> None:
    place.parse()
    values: tuple[Any, ...] = (0, False, "", [], {}, "x")
    for value in values:
        found = place.error(unheard_of=value)
        assert (found.status, found.code) == (400, "unknown_field")
        assert found.param == place.path("unheard_of")
        assert found.message.startswith(place.path("unheard_of"))


@every_place
def test_an_unknown_field_that_is_null_is_absent(place: Place) -> None:
    assert place.parse(unheard_of=None) == place.parse()
    assert place.parse(unheard_of=None).model_dump() == place.parse().model_dump()


@every_place
def test_a_known_field_that_is_null_is_absent(place: Place) -> None:
    for name, field in place.schema["properties"].items():
        if name in place.schema.get("required", ()):
            found = place.error(**{name: None})
            assert (found.status, found.code) == (422, "missing_field")
            assert found.param == place.path(name)
        elif "const" not in field:
            parsed, smaller = (
                place.parse(**{name: None}),
                place._replace(body=copy.deepcopy(place.body)),
            )
            smaller.fields.pop(name, None)
            assert parsed.model_dump() == smaller.parse().model_dump()


@every_place
def test_the_field_that_tells_the_type_is_required_where_there_are_several(place: Place) -> None:
    # The content of some messages is text only, so its parts need not say so.
    tag = "role" if "role" in place.schema["properties"] else "type"
    is_user_part = place.role == "user" and "type" in place.schema["properties"]
    if tag == "role" or is_user_part or place.keys == ("response_format",):
        found = place.error(**{tag: None})
        assert (found.status, found.code, found.param) == (422, "missing_field", place.path(tag))


@every_place
def test_the_python_name_of_a_field_is_unknown(place: Place) -> None:
    for name in ("ROLE", "TYPE", "schema_", "model_config"):
        assert place.error(**{name: "x"}).param == place.path(name)


# ── nulls that are data ──────────────────────────────────────────────────────────────────────

DATA = {"a": None, "b": [None, {"c": None}]}


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"chat_template_kwargs": DATA}, lambda body: body.chat_template_kwargs),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": DATA}}]},
            lambda body: body.tools[0].function.parameters,
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": DATA}}},
            lambda body: body.response_format.json_schema.schema_,
        ),
        (
            {"response_format": {"type": "json_object", "schema": DATA}},
            lambda body: body.response_format.schema_,
        ),
    ],
    ids=["chat_template_kwargs", "parameters", "json_schema", "json_object"],
)
def test_null_in_data_is_kept(fields: dict[str, Any], read: Callable[[Any], Any]) -> None:
    body = json.dumps({**VALID, **fields}).encode()
    assert read(parse_body(body, DedicatedChatCompletionBody)) == DATA


@pytest.mark.parametrize("name", ["messages", "tools", "stop", "eos_token", "seed"])
def test_null_as_an_item_of_a_list_is_of_the_wrong_type(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_body(json.dumps({**VALID, name: [None]}).encode(), DedicatedChatCompletionBody)
    assert (caught.value.status, caught.value.param) == (422, f"{name}[0]")


# ── fields without effect ────────────────────────────────────────────────────────────────────

ROWS = list(fields_without_effect(DedicatedChatCompletionBody))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.path}:{'+'.join(row.fields)}")
def test_a_field_without_effect_counts_as_absent_in_every_object_of_its_path(
    row: FieldsWithoutEffect,
) -> None:
    matching = [place for place in CHAT if place.matches(row)]
    assert matching
    for place in matching:
        for name, values in row.fields.items():
            assert name not in place.schema["properties"]
            samples: tuple[Any, ...] = ("x", 1, False, [], {"a": [None, {}]})
            for value in samples if values is ANY else values:
                assert place.parse(**{name: value}).model_dump() == place.parse().model_dump()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.path}:{'+'.join(row.fields)}")
def test_a_field_without_effect_is_unknown_in_every_other_object(row: FieldsWithoutEffect) -> None:
    for name in row.fields:
        others = [
            place
            for place in CHAT
            if name not in place.schema["properties"]
            and not any(name in listed.fields and place.matches(listed) for listed in ROWS)
        ]
        assert others
        for place in others:
            assert place.error(**{name: "x"}).param == place.path(name)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"modalities": "text"}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"verbosity": "low"}, "verbosity"),
        (
            {"stream": True, "stream_options": {"continuous_usage_stats": True}},
            "stream_options.continuous_usage_stats",
        ),
        (
            {"stream": True, "stream_options": {"continuous_usage_stats": 0}},
            "stream_options.continuous_usage_stats",
        ),
    ],
)
def test_a_value_with_an_effect_is_rejected(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_body(json.dumps({**VALID, **fields}).encode(), DedicatedChatCompletionBody)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert caught.value.code == "not_supported"


# ── many fields ──────────────────────────────────────────────────────────────────────────────

MANY = 20_000


@every_place
def test_the_first_of_many_unknown_fields_is_rejected_before_the_validation(place: Place) -> None:
    many = {f"unknown{number}": number for number in range(MANY)}
    first = place.error(**many)
    assert (first.status, first.param) == (400, place.path("unknown0"))
    if place.keys:
        invalid = place._replace(body={**place.body, "model": 0})
        assert invalid.error(**many).param == place.path("unknown0")


@every_place
def test_many_unknown_fields_that_are_null_are_absent(place: Place) -> None:
    many: dict[str, Any] = {f"unknown{number}": None for number in range(MANY)}
    assert place.parse(**many).model_dump() == place.parse().model_dump()
