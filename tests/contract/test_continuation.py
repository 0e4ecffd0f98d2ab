"""Continued messages with the real model: the answer is the rest of the uncut answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .live import COMPLETIONS, Live, request

RENDER = "/dedicated/v1/chat/render"
QUESTION = [{"role": "user", "content": "Write two sentences about the sea."}]
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "sizes": {"type": "array", "items": {"type": "integer", "maximum": 99}, "maxItems": 3},
    },
    "required": ["name", "sizes"],
    "additionalProperties": False,
}
FORMATS: dict[str, dict[str, Any]] = {
    "free": {},
    "json": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "s", "schema": SCHEMA},
        }
    },
    "regex": {"response_format": {"type": "regex", "schema": "[A-Z][a-z]+( [a-z]+){3,6}\\."}},
}
FORMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"prefix": True}, {}),
    ({"partial": True}, {}),
    ({}, {"continue_final_message": True, "add_generation_prompt": False}),
]


def rendered(live: Live, **fields: Any) -> list[int]:
    response = live.request("POST", RENDER, json=request(**fields))
    assert response.status_code == 200, response.text
    return list(response.json()["tokens"])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_answer_goes_on_as_if_it_had_not_been_cut(live: Live, kind: str) -> None:
    fields = {"messages": QUESTION, "temperature": 0, "max_tokens": 40, **FORMATS[kind]}
    whole = live.complete(**fields)["choices"][0]
    start, checked = rendered(live, messages=QUESTION), 0
    for length in (1, 2, 3, 5, 8, 12, 16):
        cut = live.complete(**{**fields, "max_tokens": length})["choices"][0]
        text = cut["message"]["content"]
        if cut["finish_reason"] == "stop" or not text:
            continue
        last = {"role": "assistant", "content": text, "prefix": True}
        more = {**fields, "messages": [*QUESTION, last], "max_tokens": 40 - length}
        prompt = rendered(live, **more)
        assert prompt[: len(start)] == start
        if len(prompt) != len(start) + length:
            continue  # the same text in other tokens
        rest = live.complete(**more)
        assert text + rest["choices"][0]["message"]["content"] == whole["message"]["content"]
        assert rest["choices"][0]["finish_reason"] == whole["finish_reason"]
        assert rest["usage"]["prompt_tokens"] == len(prompt)
        checked += 1
    assert checked > 2


@pytest.mark.parametrize(("marks", "fields"), FORMS)
@pytest.mark.parametrize("stream", [False, True])
def test_every_form_gives_the_same_answer_streamed_or_whole(
    live: Live, marks: dict[str, Any], fields: dict[str, Any], stream: bool
) -> None:
    given: dict[str, Any] = {"seed": 3, "n": 2, "max_tokens": 8, "logprobs": True, "stop": ["zz"]}
    last = {"role": "assistant", "content": "The sea is"}
    expected = live.answer(messages=[*QUESTION, {**last, "prefix": True}], **given)
    answer = live.answer(messages=[*QUESTION, {**last, **marks}], stream=stream, **given, **fields)
    assert answer == expected


@pytest.mark.parametrize("content", ["The sea", "The sea ", "```python\n", " \n", "<|im_end|>"])
def test_the_rendered_prompt_ends_with_the_content_as_it_was_sent(live: Live, content: str) -> None:
    last = {"role": "assistant", "content": content, "prefix": True}
    response = live.request("POST", RENDER, json=request(messages=[*QUESTION, last]))
    shown = response.json()
    assert shown["text"].endswith(f"<|im_start|>assistant\n{content}")
    assert [piece["control"] for piece in shown["pieces"]].count(True) == sum(
        shown["text"].removesuffix(content).count(mark) for mark in ("<|im_start|>", "<|im_end|>")
    )


def test_json_goes_on_to_a_valid_value_in_every_choice(live: Live) -> None:
    prefix = '{"name": "sea'
    last = {"role": "assistant", "content": prefix, "prefix": True}
    answer = live.complete(
        messages=[*QUESTION, last], n=3, temperature=1.5, max_tokens=200, **FORMATS["json"]
    )
    for choice in answer["choices"]:
        value = json.loads(prefix + choice["message"]["content"])
        assert value["name"].startswith("sea") and value.keys() == {"name", "sizes"}


def test_a_prompt_with_a_continued_message_is_cached(live: Live) -> None:
    last = {"role": "assistant", "content": "The sea is wide and deep, and it " * 8}
    body = {"messages": [*QUESTION, {**last, "prefix": True}], "max_tokens": 1}
    live.complete(**body)
    usage = live.complete(**body)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > 0


@pytest.mark.parametrize(
    ("messages", "fields", "param"),
    [
        ([{**QUESTION[0], "prefix": True}], {}, "messages[0].prefix"),
        (
            [{"role": "assistant", "content": "a", "partial": True}, *QUESTION],
            {},
            "messages[0].partial",
        ),
        (QUESTION, {"continue_final_message": True}, "continue_final_message"),
        (QUESTION, {"add_generation_prompt": False}, "add_generation_prompt"),
        (
            [*QUESTION, {"role": "assistant", "content": "[1", "prefix": True}],
            FORMATS["json"],
            "messages[1].content",
        ),
        (
            [*QUESTION, {"role": "assistant", "reasoning_content": "Hm", "prefix": True}],
            {},
            "messages[1].reasoning_content",
        ),
        (
            QUESTION,
            {"chat_template_kwargs": {"continue_final_message": True}},
            "chat_template_kwargs.continue_final_message",
        ),
    ],
)
@pytest.mark.parametrize("path", [COMPLETIONS, RENDER])
def test_what_cannot_be_continued_is_rejected_by_path(
    live: Live, messages: list[Any], fields: dict[str, Any], param: str, path: str
) -> None:
    response = live.request("POST", path, json=request(messages=messages, **fields))
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert param.rpartition(".")[2] in error["message"]


@pytest.mark.parametrize("value", ["yes", 1, []])
def test_a_mark_of_another_type_is_rejected(live: Live, value: object) -> None:
    for message, fields, param in (
        ({"prefix": value}, {}, "messages[0].prefix"),
        ({"partial": value}, {}, "messages[0].partial"),
        ({}, {"continue_final_message": value}, "continue_final_message"),
    ):
        body = request(messages=[{**QUESTION[0], **message}], **fields)
        response = live.request("POST", COMPLETIONS, json=body)
        assert (response.status_code, response.json()["error"]["param"]) == (422, param)
