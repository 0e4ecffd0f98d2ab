"""Structured output from the running endpoint: valid, or rejected with the field's name."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.contract.conftest import Endpoint, chat_body
from tests.contract.served import Placement, served

COLOURS = ["red", "green", "blue"]


def _schema(number: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "number": {"const": number},
            "colour": {"enum": COLOURS},
            "name": {"type": "string", "pattern": "^[a-z]{1,4}$"},
        },
        "required": ["number", "colour", "name"],
        "additionalProperties": False,
    }


def _format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def test_concurrent_answers_are_valid_beside_an_unsupported_schema(endpoint: Endpoint) -> None:
    def ask(number: int) -> tuple[int, dict[str, Any]]:
        schema: Any = (
            {"type": "array", "extends": {"type": "null"}} if number == 4 else _schema(number)
        )
        answer = endpoint.post(
            chat_body(response_format=_format(schema), max_tokens=90, seed=number, stream=False)
        )
        return answer.status, answer.json()

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(ask, range(9)))
    for number, (status, body) in enumerate(answers):
        if number == 4:
            assert status == 400
            assert body["error"]["param"] == "response_format.json_schema.schema.extends"
            continue
        assert status == 200
        choice = body["choices"][0]
        assert choice["finish_reason"] == "stop"
        Draft202012Validator(_schema(number)).validate(json.loads(choice["message"]["content"]))


def test_all_choices_of_a_request_are_valid(endpoint: Endpoint) -> None:
    answer = endpoint.complete(
        response_format=_format(_schema(2)), n=2, max_tokens=90, temperature=1.5, seed=5
    )
    for choice in answer["choices"]:
        assert choice["finish_reason"] == "stop"
        Draft202012Validator(_schema(2)).validate(json.loads(choice["message"]["content"]))


def test_the_json_layout_can_be_set_to_one_line(endpoint: Endpoint, placement: Placement) -> None:
    body = {"response_format": _format(_schema(1)), "max_tokens": 90, "temperature": 0}
    assert "\n" in endpoint.complete(**body)["choices"][0]["message"]["content"]
    flags = ("--max-sequences", "1", "--context", "512", "--threads", "1")
    with served("--json-layout", "line", *flags, *placement.flags) as running:
        text = Endpoint(running.address).complete(**body)["choices"][0]["message"]["content"]
    assert text == json.dumps(json.loads(text))


def test_an_answer_matches_its_regular_expression(endpoint: Endpoint) -> None:
    pattern = r"^\d{4}-\d{2}(, (yes|no))?$"
    answer = endpoint.complete(response_format={"type": "regex", "schema": pattern}, max_tokens=40)
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert re.fullmatch(pattern, choice["message"]["content"], re.ASCII)


def test_fast_forward_tokens_are_the_same_with_and_without_concurrent_requests(
    endpoint: Endpoint,
) -> None:
    pattern = "(yes|no|maybe), the harbour office is closed on (Monday|Friday) and on Sunday"
    body = {"response_format": {"type": "regex", "schema": pattern}, "max_tokens": 60}

    def choice_of(seed: int, **extra: Any) -> dict[str, Any]:
        answer = endpoint.complete(**body, seed=seed, temperature=2, **extra)
        choice: dict[str, Any] = answer["choices"][0]
        return choice

    alone = [choice_of(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(choice_of, range(6)))
    assert together == alone
    assert len({choice["message"]["content"] for choice in alone}) > 1
    for seed, choice in enumerate(alone):
        assert re.fullmatch(pattern, choice["message"]["content"])
        reported = choice_of(seed, logprobs=True, top_logprobs=2)
        assert reported["message"] == choice["message"]
        tokens = [bytes(entry["bytes"]) for entry in reported["logprobs"]["content"]]
        assert b"".join(tokens).decode() == choice["message"]["content"]


def test_a_json_object_is_complete_or_cut_by_length(endpoint: Endpoint) -> None:
    answer = endpoint.complete(response_format={"type": "json_object"}, max_tokens=60, seed=3)
    choice = answer["choices"][0]
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(choice["message"]["content"]), dict)
    else:
        assert choice["finish_reason"] == "length"


def test_a_constrained_answer_stops_with_its_own_eos_token(endpoint: Endpoint) -> None:
    answer = endpoint.complete(
        response_format=_format(_schema(1)), eos_token=[100], max_tokens=90, seed=1
    )
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "stop"
    Draft202012Validator(_schema(1)).validate(json.loads(choice["message"]["content"]))


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (_format({"type": "objekt"}), "response_format.json_schema.schema.type"),
        (
            _format({"items": [{"type": "array", "extends": {"type": "null"}}]}),
            "response_format.json_schema.schema.items[0].extends",
        ),
        ({"type": "regex", "schema": "(?<=a)"}, "response_format.schema"),
        ({"type": "regex", "schema": r"(a)\1"}, "response_format.schema"),
    ],
)
def test_unsupported_constraints_are_rejected_with_their_path(
    endpoint: Endpoint, given: dict[str, Any], param: str
) -> None:
    answer = endpoint.post(chat_body(response_format=given))
    assert answer.status == 400
    assert answer.error()["param"] == param


def test_a_schema_that_is_nested_too_deeply_is_rejected(endpoint: Endpoint) -> None:
    links = {f"d{n}": {"items": {"$ref": f"#/$defs/d{n + 1}"}} for n in range(4000)}
    schema = {"$ref": "#/$defs/d0", "$defs": {**links, "d4000": {}}}
    answer = endpoint.post(chat_body(response_format=_format(schema)))
    assert answer.status == 400
    assert "deeper than 120 levels" in answer.error()["message"]
    assert endpoint.complete(max_tokens=1)["usage"]["completion_tokens"] == 1
