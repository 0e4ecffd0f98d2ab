"""Exchanges: the chunks of a stream, and the whole answer that they add up to."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli._streaming.accumulate import Accumulator
from friendli.models import DedicatedChatCompletionBody, StreamedChatData
from friendli_endpoint.chat.answer import Exchange
from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.generation import FinishReason, TokenLogprob, TokenStep
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary(context=4096)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{{ tools }}{{ '' if true else '<think>tool_calls' }}"
)
MODEL = ChatModel(VOCABULARY, TEMPLATE)
TOOLS = [
    {
        "type": "function",
        "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
    }
]
CALL = '<tool_call>\n{"name": "look", "arguments": {"a": 1}}\n</tool_call>'
END = VOCABULARY.token("<|im_end|>")


def exchange(**asked: Any) -> Exchange:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 5, **asked}
    return MODEL.accept(DedicatedChatCompletionBody.model_validate(body))


def steps(text: str, choice: int = 0, finish: FinishReason = "stop") -> list[TokenStep]:
    ids = VOCABULARY.tokenize(text, False)
    made = [
        TokenStep(
            choice,
            token,
            VOCABULARY.piece(token),
            TokenLogprob(token, -1.0),
            (TokenLogprob(token, -1.0),),
        )
        for token in ids
    ]
    return [*made, TokenStep(choice, END, b"", TokenLogprob(END, -1.0), (), finish)]


def stream(steps: list[TokenStep], **asked: Any) -> list[StreamedChatData]:
    one = exchange(stream=True, **asked)
    chunks = [*one.opening(), *(chunk for step in steps for chunk in one.read([step]))]
    assert one.finished
    return chunks


def whole(steps: list[TokenStep], **asked: Any) -> dict[str, Any]:
    one = exchange(**asked)
    one.opening()
    one.read(steps)
    assert one.finished
    return one.completion().model_dump()


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("id", "created")}


PARTS = st.sampled_from(["<think>", "</think>", "hm", "é", "STOP", "\n", "<tool_call>", CALL])


@settings(max_examples=80, deadline=None)
@given(
    st.lists(PARTS, max_size=6).map("".join),
    st.lists(PARTS, max_size=3).map("".join),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_stream_adds_up_to_the_whole(
    first: str, second: str, tools: bool, logprobs: bool, parse: bool
) -> None:
    asked: dict[str, Any] = {"n": 2, "logprobs": logprobs, "parse_reasoning": parse}
    if tools:
        asked["tools"] = TOOLS
    produced = [*steps(first), *steps(second, 1, "length")]
    accumulator = Accumulator()
    for chunk in stream(produced, stream_options={"include_usage": True}, **asked):
        accumulator.add(chunk)
    together = accumulator.completion().model_dump()
    assert comparable(together) == comparable(whole(produced, **asked))


def test_the_first_chunk_of_each_choice_has_its_role_and_seed() -> None:
    first, second, *_ = stream([*steps("a"), *steps("b", 1)], n=2)
    for index, chunk in enumerate((first, second)):
        (choice,) = chunk.choices
        assert (choice.index, choice.delta.role, choice.seed) == (index, "assistant", 5 + index)


def test_the_last_chunk_of_a_choice_has_only_its_finish() -> None:
    last = stream(steps("a", finish="length"))[-1].model_dump(exclude_unset=True)
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("options", "chunks"), [(None, 0), ({"include_usage": False}, 0), ({"include_usage": True}, 1)]
)
def test_usage_comes_once_and_only_when_asked_for(
    options: dict[str, bool] | None, chunks: int
) -> None:
    answer = stream([*steps("ab"), *steps("c", 1)], n=2, stream_options=options)
    assert sum(bool(chunk.usage) for chunk in answer) == chunks
    assert sum(not chunk.choices for chunk in answer) == chunks
    assert bool(answer[-1].usage) == bool(chunks)


def test_usage_counts_the_prompt_once_and_all_tokens_of_all_choices() -> None:
    prompt = len(exchange().request.prompt)
    usage = whole([*steps("ab"), *steps("c", 1)], n=2)["usage"]
    assert usage["prompt_tokens"] == prompt
    assert usage["completion_tokens"] == 3 + 2
    assert usage["total_tokens"] == prompt + 5


def test_a_step_without_a_token_is_not_counted() -> None:
    answer = whole([*steps("ab")[:-1], TokenStep(0, None, b"", finish="stop")])
    assert answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("top", [None, 0, 1])
def test_logprobs_have_an_entry_for_each_token_but_the_end(top: int | None) -> None:
    (choice,) = whole(steps("ab"), logprobs=True, top_logprobs=top)["choices"]
    assert [entry["token"] for entry in choice["logprobs"]["content"]] == ["a", "b"]


def test_logprobs_are_an_empty_list_where_there_is_no_token_and_null_where_unasked() -> None:
    assert whole(steps(""), logprobs=True)["choices"][0]["logprobs"]["content"] == []
    assert whole(steps("a"))["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("text", "cut", "finish"),
    [
        (CALL, "stop", "tool_calls"),
        (CALL, "length", "length"),
        (CALL[:-20], "length", "length"),
        ("no call", "stop", "stop"),
    ],
)
def test_whole_calls_finish_with_tool_calls(text: str, cut: FinishReason, finish: str) -> None:
    (choice,) = whole(steps(text, finish=cut), tools=TOOLS)["choices"]
    assert choice["finish_reason"] == finish


def test_ids_of_calls_are_unique_and_the_same_for_the_same_request() -> None:
    def ids(**asked: Any) -> list[str]:
        produced = [*steps(CALL + "\n" + CALL), *steps(CALL, 1)]
        choices = whole(produced, n=2, tools=TOOLS, **asked)["choices"]
        return [call["id"] for choice in choices for call in choice["message"]["tool_calls"]]

    assert len(set(ids())) == 3
    assert ids() == ids()
    assert not set(ids()) & set(ids(seed=99))
