"""Structured output from the running endpoint: valid, or refused by name; nobody else suffers."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.contract.conftest import Endpoint, asking
from tests.contract.served import served

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


def test_eight_at_once_are_valid_and_a_bad_one_among_them_costs_nobody(endpoint: Endpoint) -> None:
    def ask(number: int) -> tuple[int, dict[str, Any]]:
        schema: Any = {"type": "array", "uniqueItems": True} if number == 4 else _schema(number)
        answer = endpoint.post(
            asking(response_format=_format(schema), max_tokens=90, seed=number, stream=False)
        )
        return answer.status, answer.json()

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(ask, range(9)))
    for number, (status, body) in enumerate(answers):
        if number == 4:
            assert status == 400
            assert body["error"]["param"] == "response_format.json_schema.schema.uniqueItems"
            continue
        assert status == 200
        choice = body["choices"][0]
        assert choice["finish_reason"] == "stop"
        Draft202012Validator(_schema(number)).validate(json.loads(choice["message"]["content"]))


def test_choices_of_one_request_are_each_valid(endpoint: Endpoint) -> None:
    answer = endpoint.whole(
        response_format=_format(_schema(2)), n=2, max_tokens=90, temperature=1.5, seed=5
    )
    for choice in answer["choices"]:
        assert choice["finish_reason"] == "stop"
        Draft202012Validator(_schema(2)).validate(json.loads(choice["message"]["content"]))


def test_an_operator_can_have_json_written_on_one_line(endpoint: Endpoint) -> None:
    body = {"response_format": _format(_schema(1)), "max_tokens": 90, "temperature": 0}
    assert "\n" in endpoint.whole(**body)["choices"][0]["message"]["content"]
    flags = ("--max-sequences", "1", "--context", "512", "--threads", "1")
    with served("--json-layout", "line", *flags) as running:
        text = Endpoint(running.address).whole(**body)["choices"][0]["message"]["content"]
    assert text == json.dumps(json.loads(text))


def test_a_regular_expression(endpoint: Endpoint) -> None:
    pattern = r"^\d{4}-\d{2}(, (yes|no))?$"
    answer = endpoint.whole(response_format={"type": "regex", "schema": pattern}, max_tokens=40)
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert re.fullmatch(pattern, choice["message"]["content"], re.ASCII)


def test_words_that_a_pattern_forces_are_the_same_alone_and_among_others(
    endpoint: Endpoint,
) -> None:
    pattern = "(yes|no|maybe), the harbour office is closed on (Monday|Friday) and on Sunday"
    body = {"response_format": {"type": "regex", "schema": pattern}, "max_tokens": 60}

    def said(seed: int, **more: Any) -> dict[str, Any]:
        answer = endpoint.whole(**body, seed=seed, temperature=2, **more)
        choice: dict[str, Any] = answer["choices"][0]
        return choice

    alone = [said(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(said, range(6)))
    assert together == alone
    assert len({choice["message"]["content"] for choice in alone}) > 1
    for seed, choice in enumerate(alone):
        assert re.fullmatch(pattern, choice["message"]["content"])
        reported = said(seed, logprobs=True, top_logprobs=2)
        assert reported["message"] == choice["message"]
        tokens = [bytes(each["bytes"]) for each in reported["logprobs"]["content"]]
        assert b"".join(tokens).decode() == choice["message"]["content"]


def test_a_json_object_comes_to_an_end_or_is_cut(endpoint: Endpoint) -> None:
    answer = endpoint.whole(response_format={"type": "json_object"}, max_tokens=60, seed=3)
    choice = answer["choices"][0]
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(choice["message"]["content"]), dict)
    else:
        assert choice["finish_reason"] == "length"


def test_ends_that_the_request_names(endpoint: Endpoint) -> None:
    answer = endpoint.whole(
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
            _format({"items": [{"type": "array", "uniqueItems": True}]}),
            "response_format.json_schema.schema.items[0].uniqueItems",
        ),
        ({"type": "regex", "schema": "(?=a)"}, "response_format.schema"),
        ({"type": "regex", "schema": r"(a)\1"}, "response_format.schema"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(
    endpoint: Endpoint, given: dict[str, Any], param: str
) -> None:
    answer = endpoint.post(asking(response_format=given))
    assert answer.status == 400
    assert answer.error()["param"] == param


def test_a_schema_that_would_end_the_process_is_refused(endpoint: Endpoint) -> None:
    links = {f"d{n}": {"items": {"$ref": f"#/$defs/d{n + 1}"}} for n in range(4000)}
    schema = {"$ref": "#/$defs/d0", "$defs": {**links, "d4000": {}}}
    answer = endpoint.post(asking(response_format=_format(schema)))
    assert answer.status == 400
    assert "deeper than 120 levels" in answer.error()["message"]
    assert endpoint.whole(max_tokens=1)["usage"]["completion_tokens"] == 1
