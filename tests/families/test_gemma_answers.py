"""Answers of a model with 262,144 tokens, some of single bytes: constraints, stops, seeds."""

import json
from typing import Any

import pytest

from tests.families.served import Served

FAMILY = "👩\u200d👧"
"""Three characters for which the vocabulary has only byte tokens: 11 bytes."""


def regex(pattern: str) -> dict[str, Any]:
    return {"type": "regex", "schema": pattern}


def entries(choice: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = choice["logprobs"]["content"]
    return found


def test_characters_can_be_generated_from_byte_tokens(gemma: Served) -> None:
    choice = gemma.choice(response_format=regex(f"a{FAMILY}\n"), logprobs=True, top_logprobs=2)
    assert choice["message"]["content"] == f"a{FAMILY}\n"
    assert choice["finish_reason"] == "stop"
    tokens = [bytes(entry["bytes"]) for entry in entries(choice)]
    assert tokens == [b"a", *(bytes([value]) for value in FAMILY.encode()), b"\n"]
    for entry in entries(choice):
        assert entry["token"] == bytes(entry["bytes"]).decode(errors="replace")
        assert len(entry["top_logprobs"]) == 2


def test_a_stream_never_splits_a_character(gemma: Served) -> None:
    (call,) = gemma.call({"response_format": regex(f"({FAMILY}){{3}}"), "stream": True})
    deltas = [event["choices"][0]["delta"] for event in call.events if isinstance(event, dict)]
    texts = [delta["content"] for delta in deltas if delta.get("content")]
    assert texts == list(FAMILY * 3)


@pytest.mark.parametrize(
    ("stop", "shown"), [("👧", "a👩\u200d"), ("\u200d", "a👩"), ("👩", "a"), ("👧b", "a👩\u200d")]
)
def test_stop_strings_match_across_byte_tokens(gemma: Served, stop: str, shown: str) -> None:
    choice = gemma.choice(response_format=regex(f"a{FAMILY}bc"), stop=[stop], logprobs=True)
    assert (choice["message"]["content"], choice["finish_reason"]) == (shown, "stop")
    assert b"".join(bytes(entry["bytes"]) for entry in entries(choice)) == shown.encode()


def test_incomplete_utf_8_becomes_replacement_characters(gemma: Served) -> None:
    first = gemma.vocabulary.tokenize("👩", False)[0]
    choice = gemma.choice(logit_bias={str(first): 100}, max_tokens=3, temperature=0)
    # The third byte might still have been completed to a character.
    assert (choice["message"]["content"], choice["finish_reason"]) == ("\ufffd\ufffd", "length")


@pytest.mark.parametrize("text", ["🙂", "\n\n\n", " ", "<table>", "é", " the"])
def test_a_bias_can_be_given_by_the_text_of_a_token(gemma: Served, text: str) -> None:
    fields: dict[str, Any] = {"logit_bias": {text: 100}, "max_tokens": 3, "temperature": 0}
    assert gemma.content(**fields) == text * 3


@pytest.mark.parametrize("text", ["👩", "no token", "\u200d"])
def test_a_bias_for_a_text_that_is_not_one_token_is_rejected(gemma: Served, text: str) -> None:
    assert gemma.rejected_param(logit_bias={text: 1}) == f"logit_bias.{text}"


@pytest.mark.parametrize("end", ["<eos>", "<end_of_turn>"])
def test_each_eos_token_ends_an_answer(gemma: Served, end: str) -> None:
    choice = gemma.choice(logit_bias={end: 100}, temperature=0, logprobs=True)
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")
    assert entries(choice) == []
    own: dict[str, Any] = {"eos_token": [gemma.vocabulary.tokenize("é", False)[0]]}
    text = gemma.content(logit_bias={end: 100}, temperature=0, max_tokens=2, **own)
    assert text == end * 2


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 6},
        "sea": {"type": "boolean"},
        "kind": {"enum": ["日本", "é", "👩"]},
        "sizes": {"type": "array", "items": {"type": "integer", "maximum": 99, "minimum": 0},
                  "maxItems": 3},
    },
    "required": ["city", "sea", "kind", "sizes"],
    "additionalProperties": False,
}  # fmt: skip


def test_json_is_valid_for_its_schema(gemma: Served) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
    choices = gemma.ask({"response_format": form, "n": 3, "seed": 4})[0]
    for choice in choices:
        assert choice["finish_reason"] == "stop"
        value = json.loads(choice["message"]["content"])
        assert set(value) == {"city", "sea", "kind", "sizes"}
        assert isinstance(value["city"], str) and len(value["city"]) <= 6
        assert value["kind"] in ("日本", "é", "👩") and value["sea"] in (True, False)
        assert len(value["sizes"]) <= 3 and all(0 <= size <= 99 for size in value["sizes"])


def test_json_object_format_allows_the_empty_object(gemma: Served) -> None:
    choice = gemma.choice(
        response_format={"type": "json_object"}, logit_bias={"{": 100, "}": 100}, max_tokens=20
    )
    assert (choice["message"]["content"], choice["finish_reason"]) == ("{}", "stop")


def test_patterns_match_across_tokens(gemma: Served) -> None:
    text = gemma.content(response_format=regex("(the|sea|日本){4}"))
    assert not text.replace("the", "").replace("sea", "").replace("日本", "")
    assert len(text) in range(8, 13)


TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {"at": {"enum": ["the sea", "日本"]}, "n": {"enum": [1, 20]}},
            "required": ["at", "n"],
            "additionalProperties": False,
        },
    },
}


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "look"}}], ids=["any", "named"]
)
def test_a_required_tool_call_has_the_form_that_the_prompt_describes(
    gemma: Served, choice: object
) -> None:
    fields: dict[str, Any] = {"tools": [TOOL], "tool_choice": choice}
    assert "<tool_call>" in gemma.text(**fields)
    answer = gemma.choice(**fields, parallel_tool_calls=False, max_tokens=200)
    assert answer["finish_reason"] == "tool_calls"
    assert not answer["message"]["content"]
    (call,) = answer["message"]["tool_calls"]
    assert call["function"]["name"] == "look"
    arguments = json.loads(call["function"]["arguments"])
    assert arguments["at"] in ("the sea", "日本") and arguments["n"] in (1, 20)


SAMPLINGS: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 0.8, "top_p": 0.9},
    {"top_k": 40, "xtc_threshold": 0.1, "xtc_probability": 0.5},
    {"min_p": 0.02, "repetition_penalty": 1.2},
]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_same_seed_gives_the_same_answer(gemma: Served, sampling: dict[str, Any]) -> None:
    fields: dict[str, Any] = {**sampling, "max_tokens": 8}
    first, again = gemma.ask({**fields, "seed": 7, "n": 3}, {**fields, "seed": 7, "n": 3})
    assert first == again
    assert [choice["seed"] for choice in first] == [7, 8, 9]
    (alone,) = gemma.ask({**fields, "seed": 8})[0]
    assert alone["message"] == first[1]["message"]
    texts = {choice["message"]["content"] for choice in first}
    assert len(texts) == (1 if sampling == {"temperature": 0} else 3)


def test_a_stream_equals_the_completion(gemma: Served) -> None:
    fields: dict[str, Any] = {"seed": 3, "max_tokens": 12, "logprobs": True, "top_logprobs": 3}
    complete = gemma.choice(**fields)
    (call,) = gemma.call({**fields, "stream": True})
    choices = [event["choices"][0] for event in call.events if isinstance(event, dict)]
    text = "".join(choice["delta"].get("content", "") for choice in choices)
    streamed = [entry for choice in choices if choice["logprobs"] for entry in entries(choice)]
    assert (text, streamed) == (complete["message"]["content"], entries(complete))
    assert choices[-1]["finish_reason"] == complete["finish_reason"]
