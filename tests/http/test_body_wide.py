"""Wide bodies: validation yields few errors, however many items are invalid."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from friendli.models import DedicatedChatCompletionBody
from friendli.types import FailFastList
from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.body import parse_body
from friendli_endpoint.http.routes.adapters import ADAPTERS, AdapterBody
from friendli_endpoint.http.routes.chat import COMPLETIONS
from friendli_endpoint.http.routes.inspection import BODIES, DetokenizeBody, TokenizeBody
from tests.http.scripted import VALID, Call, ScriptedService, check_error, run, scripted_app

POSTED: dict[str, type[BaseModel]] = {
    **BODIES,
    COMPLETIONS: DedicatedChatCompletionBody,
    ADAPTERS: AdapterBody,
}
WIDE = 20_000
MAX_ERRORS = 4
"""Maximum number of errors: a field that is a union has one for each branch."""


# ── the schema of every type of body ─────────────────────────────────────────────────────────


def unbounded(schema: Any) -> Iterator[str]:
    """Yields the parts of a core schema that may yield an error for each item of a body."""
    if isinstance(schema, list | tuple):
        for inner in schema:
            yield from unbounded(inner)
    if not isinstance(schema, dict):
        return
    match schema.get("type"):
        case "list" | "set" | "frozenset" | "tuple" | "generator" if not schema.get("fail_fast"):
            yield schema["type"]
        case "dict" if schema.get("values_schema", {"type": "any"})["type"] != "any":
            yield "dict with values of a type"
        case "dict" if schema.get("keys_schema", {"type": "any"}) != {"type": "str"}:
            yield "dict with keys other than text"
    if schema.get("extra_behavior") == "forbid" or schema.get("extra_fields_behavior") == "forbid":
        yield "forbidden extra fields"
    if schema.get("extras_schema", {"type": "any"})["type"] != "any":
        yield "extra fields of a type"
    for name, inner in schema.items():
        if name != "metadata":
            yield from unbounded(inner)


def test_every_post_route_is_checked() -> None:
    routes = [r for r in scripted_app(ScriptedService()).routes if isinstance(r, APIRoute)]
    assert {r.path for r in routes if "POST" in (r.methods or ())} == set(POSTED)


@pytest.mark.parametrize("kind", dict.fromkeys(POSTED.values()), ids=lambda kind: kind.__name__)
def test_no_field_of_a_body_can_yield_an_error_per_item(kind: type[BaseModel]) -> None:
    assert list(unbounded(kind.__pydantic_core_schema__)) == []


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Typed(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]


class Holding(BaseModel):
    inner: FailFastList[Forbidding] | None = None


@pytest.mark.parametrize("kind", [Forbidding, Typed, Holding])
def test_the_check_finds_extra_fields(kind: type[BaseModel]) -> None:
    assert list(unbounded(kind.__pydantic_core_schema__))


@pytest.mark.parametrize(
    "field", [list[int], list[list[int]] | str, tuple[int, ...], dict[str, int], set[int]]
)
def test_the_check_finds_containers(field: Any) -> None:
    kind = create_model("Kind", field=field)
    assert list(unbounded(kind.__pydantic_core_schema__))


# ── bodies ───────────────────────────────────────────────────────────────────────────────────


def message(**fields: Any) -> dict[str, Any]:
    return {**VALID, "messages": [fields]}


Wide = Callable[[list[Any]], dict[str, Any]]
LISTS: list[tuple[Wide, type[BaseModel], str]] = [
    (lambda wrong: {**VALID, "messages": wrong}, DedicatedChatCompletionBody, "messages"),
    *(
        (
            lambda wrong, fields=fields: message(content=wrong, **fields),
            DedicatedChatCompletionBody,
            "messages[0].content",
        )
        for fields in (
            {"role": "system"},
            {"role": "developer"},
            {"role": "user"},
            {"role": "assistant"},
            {"role": "tool", "tool_call_id": "1"},
        )
    ),
    (
        lambda wrong: message(role="assistant", tool_calls=wrong),
        DedicatedChatCompletionBody,
        "messages[0].tool_calls",
    ),
    *(
        (
            lambda wrong, name=name: {**VALID, name: wrong},
            DedicatedChatCompletionBody,
            name,
        )
        for name in ("tools", "eos_token", "seed", "stop")
    ),
    (lambda wrong: {"model": "m", "tokens": wrong}, DetokenizeBody, "tokens"),
]


def request_error(body: bytes, kind: type[BaseModel]) -> RequestError:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate_json(body, strict=True)
    assert caught.value.error_count() <= MAX_ERRORS
    with pytest.raises(RequestError) as rejected:
        parse_body(body, kind)
    return rejected.value


@pytest.mark.parametrize("item", [None, [], 0.5], ids=repr)
@pytest.mark.parametrize(("wide", "kind", "param"), LISTS, ids=[param for _, _, param in LISTS])
def test_a_list_of_invalid_items_yields_few_errors_and_names_the_first(
    wide: Wide, kind: type[BaseModel], param: str, item: Any
) -> None:
    found = request_error(json.dumps(wide([item] * WIDE)).encode(), kind)
    assert (found.status, found.param) == (422, f"{param}[0]")


@pytest.mark.parametrize("kind", [TokenizeBody, DetokenizeBody, AdapterBody])
def test_the_first_of_many_unknown_fields_is_named(kind: type[BaseModel]) -> None:
    good = {"model": "m", "prompt": "", "tokens": [], "route": "a", "file": "b"}
    known = {name: good[name] for name in kind.model_fields if name in good}
    body = json.dumps({**known, **{f"unknown{n}": n for n in range(WIDE)}}).encode()
    with pytest.raises(RequestError) as caught:
        parse_body(body, kind)
    found = caught.value
    assert (found.status, found.param, found.code) == (400, "unknown0", "unknown_field")


@pytest.mark.parametrize("name", ["model", "messages", "n", "stop", "tools"])
def test_an_invalid_field_repeated_many_times_yields_few_errors(name: str) -> None:
    again = f'"{name}": {{}}, '.encode()
    found = request_error(b"{" + again * WIDE + b'"user": 0}', DedicatedChatCompletionBody)
    assert found.status == 422


@pytest.mark.parametrize("path", [COMPLETIONS, "/dedicated/v1/chat/render"])
def test_messages_are_counted_before_they_are_validated(path: str) -> None:
    async def scenario() -> None:
        app = scripted_app(ScriptedService(), max_messages=3)
        body = json.dumps({**VALID, "messages": [0] * 4}).encode()
        async with Call(app, "POST", path, body=[body]) as call:
            await call.done()
        error = check_error(call, 400, "messages")
        assert (error["code"], error["message"]) == (
            "out_of_range",
            "messages: must have at most 3 items, got 4",
        )

    run(scenario)
