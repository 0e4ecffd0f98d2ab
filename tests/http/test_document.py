"""The OpenAPI document: descriptions of bodies and responses, and valid references."""

import json
import re
import warnings

import pytest
from fastapi import FastAPI

from tests.http.scripted import COMPLETIONS, ScriptedService, called, scripted_app


@pytest.fixture
def app() -> FastAPI:
    return scripted_app(ScriptedService())


def test_the_openapi_document_describes_the_body_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call = called(scripted_app(ScriptedService()), "GET", "/openapi.json")
    assert call.status == 200
    operation = call.json["paths"][COMPLETIONS]["post"]
    schemas = call.json["components"]["schemas"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    fields = schemas[body["$ref"].rpartition("/")[2]]
    assert fields["required"] == ["model", "messages"]
    assert {"temperature", "stop", "seed", "tools"} <= set(fields["properties"])
    assert set(operation["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
    }


def test_every_reference_in_the_openapi_document_resolves(app: FastAPI) -> None:
    document = called(app, "GET", "/openapi.json").json
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(document)))
    assert references
    for reference in references:
        target = document
        start, *names = reference.split("/")
        assert start == "#"
        for name in names:
            target = target[name]
        assert target


def test_every_post_body_is_described(app: FastAPI) -> None:
    document = called(app, "GET", "/openapi.json").json
    posted = [methods["post"] for methods in document["paths"].values() if "post" in methods]
    assert document["paths"][COMPLETIONS]["post"] in posted
    for operation in posted:
        body = operation["requestBody"]
        name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert body["required"]
        assert document["components"]["schemas"][name]["properties"]


def test_streamed_and_whole_responses_have_their_own_schema(
    app: FastAPI,
) -> None:
    document = called(app, "GET", "/openapi.json").json
    content = document["paths"][COMPLETIONS]["post"]["responses"]["200"]["content"]
    fields = {}
    for kind, described in content.items():
        schemas = document["components"]["schemas"]
        whole = schemas[described["schema"]["$ref"].rpartition("/")[2]]
        choice = schemas[whole["properties"]["choices"]["items"]["$ref"].rpartition("/")[2]]
        fields[kind] = set(choice["properties"])
    assert "message" in fields["application/json"] - fields["text/event-stream"]
    assert "delta" in fields["text/event-stream"] - fields["application/json"]


def test_the_objects_of_a_body_have_no_other_fields_than_those_described(app: FastAPI) -> None:
    document = called(app, "GET", "/openapi.json").json
    schemas = document["components"]["schemas"]
    posted = [methods["post"] for methods in document["paths"].values() if "post" in methods]
    pending = [operation["requestBody"]["content"]["application/json"] for operation in posted]
    seen: set[str] = set()
    while pending:
        for reference in re.findall(
            r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(pending.pop())
        ):
            if reference not in seen:
                seen.add(reference)
                pending.append(schemas[reference])
    assert {"TextContent", "AssistantMessage", "Function", "StreamOptions"} <= seen
    assert all(schemas[name]["additionalProperties"] is False for name in seen)
    for name, field in (
        ("DedicatedChatCompletionBody", "user"),
        ("AssistantMessage", "refusal"),
        ("UserMessage", "cache_control"),
        ("Function", "strict"),
        ("ImageData", "detail"),
    ):
        assert schemas[name]["properties"][field]["description"] == "Accepted without effect."
    assert "refusal" not in schemas["UserMessage"]["properties"]
    assert schemas["DedicatedChatCompletionBody"]["properties"]["functions"]["enum"] == [[]]


def test_responses_may_have_fields_that_are_not_described(app: FastAPI) -> None:
    schemas = called(app, "GET", "/openapi.json").json["components"]["schemas"]
    for name in ("ContainerChatCompleteSuccess", "ChatChoiceMessage", "StreamedChatData"):
        assert schemas[name]["additionalProperties"] is not False
