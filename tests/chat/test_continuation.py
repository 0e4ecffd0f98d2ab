"""Continued messages, through chat and engine: the answer is the rest of the uncut answer."""

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli._streaming.accumulate import Accumulator
from friendli.models import ContainerChatCompleteSuccess, DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.output.response_builder import TextDelta
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import Generated, GenerationRequest, RequestError
from tests.chat.random_requests import RULES, SCHEMA, TOOLS, VOCABULARY, babble
from tests.support.chat import USER
from tests.support.scripted import Inbox, Rule, serving

HEADER = b"<|im_start|>assistant\n"
TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content | trim }}\n</think>\n\n{% endif %}"
    "{{ m.content | trim }}<|im_end|>{% endfor %}"
)
PLAIN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
PLAIN += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
THINKING = TURNS + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
OPENED = TURNS + "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
MODELS = {
    source: ChatModel(RULES, source, VOCABULARY.context) for source in (PLAIN, THINKING, OPENED)
}
FORMATS: dict[str, dict[str, Any]] = {
    "free": {},
    "json": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
    },
    "object": {"response_format": {"type": "json_object"}},
    "regex": {"response_format": {"type": "regex", "schema": "(ab|é|日本| ){4,12}"}},
    "tools": {"tools": TOOLS},
    "stop": {"stop": ["ab", "STOP"]},
}


def writing(text: str) -> Rule:
    """Returns a model that writes a text after the last header, and then ends."""

    wanted = text.encode()

    def rule(tokens: tuple[int, ...]) -> NDArray[np.float32]:
        written = b"".join(map(VOCABULARY.token_bytes, tokens)).rpartition(HEADER)[2]
        if not wanted.startswith(written):  # the template writes the tag with line breaks
            written = re.sub(rb"\s*</think>\s*", b"</think>", written)
        logits = babble(tokens)
        if wanted.startswith(written):
            rest = VOCABULARY.tokenize(wanted[len(written) :].decode(errors="ignore"), False)
            logits[rest[0] if rest else 2] = 100.0
        return logits

    return rule


def answer_of(
    engine: EngineLoop, model: ChatModel, stream: bool = False, **fields: Any
) -> tuple[ContainerChatCompleteSuccess, GenerationRequest, list[int]]:
    """Returns the answer to a request, the engine's request, and the generated tokens."""
    body = {"model": "m", "messages": [USER], "temperature": 0, "seed": 1, "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    wire = DedicatedChatCompletionBody.model_validate_json(
        json.dumps({**body, **fields}), strict=True
    )
    response = model.respond(model.prepare(wire))
    inbox = Inbox(len(response.request.choices))
    engine.submit(response.request, inbox)
    inbox.wait()
    assert inbox.failure is None
    accumulator = Accumulator()
    for chunk in response.opening():
        accumulator.add(chunk)
    for step in inbox.steps:
        for new in response.read(Generated((step,), 0.0)):
            accumulator.add(response.text_chunk(*new) if isinstance(new, TextDelta) else new)
    assert response.finished
    tokens = [token for token in inbox.tokens() if token is not None]
    answer = accumulator.completion() if stream else response.completion()
    return answer, response.request, tokens


def message_of(answer: ContainerChatCompleteSuccess) -> dict[str, Any]:
    """Returns content and reasoning of an answer, and its calls without their ids."""
    message = answer.choices[0].message.model_dump()
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return {
        "content": message.get("content") or "",
        "reasoning_content": message.get("reasoning_content") or "",
        "calls": calls,
    }


def joined(cut: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    return {name: cut[name] + rest[name] for name in cut}


def unfinished(cut: dict[str, Any]) -> dict[str, Any]:
    text = {name: cut[name] for name in ("content", "reasoning_content") if cut[name]}
    return {"role": "assistant", **text, "prefix": True}


def check_every_cut(
    rule: Rule, model: ChatModel, same_tokens: bool, **fields: Any
) -> tuple[int, dict[str, Any]]:
    """Cuts an answer after each token and continues it; returns the number of cuts checked.

    Args:
        rule: The model.
        model: Its chat.
        same_tokens: Whether only cuts count after which the prompt has the tokens that the model
            generated: a model may continue the same text differently after other tokens.
        **fields: More fields of the request.
    """
    checked, limit = 0, 40 if same_tokens else 300
    with serving(rule, slots=2, vocabulary=VOCABULARY, make_guide=RULES.guide) as (engine, _):
        whole, request, tokens = answer_of(engine, model, max_tokens=limit, **fields)
        expected = message_of(whole)
        for length in range(1, len(tokens)):
            part = message_of(answer_of(engine, model, max_tokens=length, **fields)[0])
            text = part["content"] or part["reasoning_content"]
            if not text or part["calls"] or (not same_tokens and _ends_in_marker(text)):
                continue
            more = {**fields, "messages": [USER, unfinished(part)], "max_tokens": limit - length}
            continued, own, _ = answer_of(engine, model, **more)
            if same_tokens and own.prompt_ids != (*request.prompt_ids, *tokens[:length]):
                continue
            assert joined(part, message_of(continued)) == expected
            assert continued.choices[0].finish_reason == whole.choices[0].finish_reason
            assert continued.usage and continued.usage.prompt_tokens == len(own.prompt_ids)
            streamed = answer_of(engine, model, True, **more)[0]
            assert streamed.model_dump(exclude={"id", "created"}) == continued.model_dump(
                exclude={"id", "created"}
            )
            checked += 1
    return checked, expected


MARKERS = ("<think>", "</think>", "<tool_call>", "Done", "STOP", "ab")
"""Texts that are removed from an answer, but not if the answer is cut inside of them."""


def _ends_in_marker(text: str) -> bool:
    return "<tool_call>" in text or any(
        text.endswith(marker[:n]) for marker in MARKERS for n in range(1, len(marker))
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_answer_continues_as_if_it_had_not_been_cut(kind: str) -> None:
    total = 0
    for salt in range(4):

        def rule(tokens: tuple[int, ...], salt: int = salt) -> NDArray[np.float32]:
            return babble((salt, *tokens))

        total += check_every_cut(rule, MODELS[PLAIN], True, **FORMATS[kind])[0]
    assert total > 10


REASONED = (
    "<think>\nFirst, a </tag> and   two\nlines.\n</think>\n\nThe answer: é STOP 日本.\n\nDone."
)


@pytest.mark.exhaustive
@pytest.mark.parametrize("source", [THINKING, OPENED])
@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (REASONED, {}),
        (REASONED, {"logprobs": True}),
        (REASONED, {"include_reasoning": True, "stop": ["Done"]}),
        ('<think>\nHm.</think>{"a": 12, "b": true}', FORMATS["json"]),
        ("<think>\nHm.</think>ab é 日本", FORMATS["regex"]),
        (
            '<think>\nHm.\n</think>\n\nI look.\n<tool_call>\n{"name": "look", "arguments": '
            '{"at": "b"}}\n</tool_call>',
            FORMATS["tools"],
        ),
    ],
    ids=["free", "logprobs", "stop", "json", "regex", "tools"],
)
def test_a_cut_answer_with_reasoning_continues_in_reasoning_or_answer(
    source: str, answer: str, fields: dict[str, Any]
) -> None:
    checked, expected = check_every_cut(
        writing(answer),
        MODELS[source],
        False,
        **fields,
    )
    assert checked > 5
    assert expected["reasoning_content"] and (expected["content"] or expected["calls"])


TAG = "<tool_call>"
CALLING = 'I look.\n<tool_call>\n{"name": "look", "arguments": {"at": "b"}}\n</tool_call>'


@pytest.mark.parametrize(
    "cut", ["I", "I look.\n", "I look.\n<", "I look.\n<tool_c", "I look.\n<tool_call>"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_text_goes_on_to_a_call_wherever_it_is_cut(cut: str, stream: bool) -> None:
    last = {"role": "assistant", "content": cut, "partial": True}
    with serving(writing(CALLING), slots=1, vocabulary=VOCABULARY, make_guide=RULES.guide) as (
        engine,
        _,
    ):
        answer = answer_of(engine, MODELS[PLAIN], stream, messages=[USER, last], tools=TOOLS)[0]
    assert message_of(answer) == {
        "content": "I look.\n"[len(cut) :],
        "reasoning_content": "",
        "calls": [{"name": "look", "arguments": '{"at": "b"}'}],
    }
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_marker_that_is_not_completed_stays_text() -> None:
    """Text that was held back before the cut is not repeated."""
    last = {"role": "assistant", "content": "a <tool_", "partial": True}
    with serving(
        writing("a <tool_box> b"), slots=1, vocabulary=VOCABULARY, make_guide=RULES.guide
    ) as (engine, _):
        answer = answer_of(engine, MODELS[PLAIN], messages=[USER, last], tools=TOOLS)[0]
    assert answer.choices[0].message.content == "box> b"


@pytest.mark.parametrize("cut", ["<think>\nFirst", "<think>\n", REASONED[:-3]])
def test_an_answer_with_unparsed_reasoning_can_be_continued(cut: str) -> None:
    """Without `parse_reasoning` the reasoning is in the content, with its tags."""
    last = {"role": "assistant", "content": cut, "partial": True}
    with serving(writing(REASONED), slots=1, vocabulary=VOCABULARY, make_guide=RULES.guide) as (
        engine,
        _,
    ):
        unparsed, parsed = (
            message_of(
                answer_of(engine, MODELS[THINKING], messages=[USER, last], parse_reasoning=parse)[0]
            )
            for parse in (False, True)
        )
    assert cut + unparsed["content"] == REASONED
    reasoning, _, content = unparsed["content"].rpartition("\n</think>\n\n")
    assert (parsed["reasoning_content"], parsed["content"]) == (reasoning, content)


@pytest.mark.parametrize("cut", ["a\n</th", "a ", "a\n\n"])
def test_a_tag_or_white_space_begun_before_the_cut_is_not_repeated(cut: str) -> None:
    last = {"role": "assistant", "reasoning_content": cut, "prefix": True}
    with serving(
        writing(f"<think>\n{cut.removesuffix('</th')}</think>b"),
        slots=1,
        vocabulary=VOCABULARY,
        make_guide=RULES.guide,
    ) as (engine, _):
        answer = answer_of(engine, MODELS[THINKING], messages=[USER, last])[0]
    assert message_of(answer) == {"content": "b", "reasoning_content": "", "calls": []}


@pytest.mark.parametrize("content", [" Hello", "Hello \n", "\n\n", " ", "é 日本 "])
@pytest.mark.parametrize("source", MODELS)
def test_the_prompt_ends_with_the_text_as_it_was_sent(source: str, content: str) -> None:
    """Although the templates trim messages."""
    last = {"role": "assistant", "content": content, "prefix": True}
    prepared = prepare(MODELS[source], messages=[USER, last])
    assert VOCABULARY.text(prepared.prompt_ids).endswith(f"assistant\n{content}")


def test_white_space_at_the_beginning_of_a_continuation_is_kept() -> None:
    last = {"role": "assistant", "content": "Hello", "prefix": True}
    with serving(
        writing("Hello \n world"), slots=1, vocabulary=VOCABULARY, make_guide=RULES.guide
    ) as (engine, _):
        answer = answer_of(engine, MODELS[THINKING], messages=[USER, last])[0]
    assert answer.choices[0].message.content == " \n world"


def test_a_reasoning_budget_counts_the_tokens_of_the_continuation() -> None:
    last = {"role": "assistant", "reasoning_content": "one two", "prefix": True}
    with serving(
        writing("<think>\none twofour"),
        slots=1,
        vocabulary=VOCABULARY,
        make_guide=RULES.guide,
    ) as (engine, _):
        answer = answer_of(
            engine, MODELS[THINKING], messages=[USER, last], reasoning_budget=3, max_tokens=20
        )[0]
    assert answer.choices[0].message.reasoning_content == "fou"


def test_stop_strings_match_in_the_continuation_only() -> None:
    last = {"role": "assistant", "content": "a STOP b ST", "prefix": True}
    with serving(
        writing("a STOP b STOP c STOP d"), slots=1, vocabulary=VOCABULARY, make_guide=RULES.guide
    ) as (engine, _):
        answer = answer_of(engine, MODELS[PLAIN], messages=[USER, last], stop=["STOP"])[0]
    assert answer.choices[0].message.content == "OP c "


def test_an_answer_that_is_complete_already_ends_at_once() -> None:
    last = {"role": "assistant", "content": "ab", "prefix": True}
    fields: dict[str, Any] = {"response_format": {"type": "regex", "schema": "ab"}}
    with serving(babble, slots=2, vocabulary=VOCABULARY, make_guide=RULES.guide) as (engine, _):
        answer = answer_of(engine, MODELS[PLAIN], messages=[USER, last], n=2, **fields)[0]
    assert [choice.message.content or "" for choice in answer.choices] == ["", ""]
    assert [choice.finish_reason for choice in answer.choices] == ["stop", "stop"]


@settings(max_examples=40, deadline=None)
@given(st.text('ab12 {}[]":,\n', max_size=12), st.sampled_from(["json", "object", "regex"]))
def test_a_prefix_is_rejected_unless_the_format_allows_it(text: str, kind: str) -> None:
    """The oracle: a prefix is allowed if the model can be made to write it."""
    last = {"role": "assistant", "content": text, "prefix": True}
    guide = RULES.guide(prepare(MODELS[PLAIN], **FORMATS[kind]).rules)
    allowed = True
    for byte in text.encode():
        mask, token = guide.mask(), VOCABULARY.byte(byte)
        assert mask is not None
        allowed = allowed and bool(mask[token // 32] >> np.uint32(token % 32) & np.uint32(1))
        if allowed:
            guide.accept(token, False)
    try:
        request = prepare(MODELS[PLAIN], messages=[USER, last], **FORMATS[kind])
    except RequestError as error:
        assert not allowed
        assert (error.param, error.status) == ("messages[1].content", 400)
    else:
        assert allowed
        assert request.rules.answer_prefix == text


def test_choices_continue_the_same_prefix_independently() -> None:
    last = {"role": "assistant", "content": '{"a": 1', "prefix": True}
    with serving(babble, slots=3, vocabulary=VOCABULARY, make_guide=RULES.guide) as (engine, _):
        answer = answer_of(
            engine,
            MODELS[PLAIN],
            messages=[USER, last],
            n=3,
            temperature=2.0,
            max_tokens=60,
            **FORMATS["json"],
        )[0]
    values = [json.loads('{"a": 1' + (choice.message.content or "")) for choice in answer.choices]
    assert all(value.keys() == {"a", "b"} for value in values)


def prepare(model: ChatModel, **fields: Any) -> GenerationRequest:
    wire = DedicatedChatCompletionBody.model_validate({"model": "m", "messages": [USER], **fields})
    return model.prepare(wire).request
