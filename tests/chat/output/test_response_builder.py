"""Response builders: the chunks of a stream, and the whole answer that they accumulate to."""

import dataclasses
import gc
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher

from friendli._streaming.accumulate import Accumulator
from friendli.models import StreamedChatData
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.output.response_builder import ResponseBuilder, TextDelta
from friendli_endpoint.generation import (
    FinishReason,
    Generated,
    Grammar,
    Started,
    TokenFindings,
    TokenLogprob,
    TokenStep,
)
from tests.support.chat import body_of
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary(context=4096)
RULES = RuleCompiler(VOCABULARY)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{{ tools }}{{ '' if true else '<think>tool_calls' }}"
)
MODEL = ChatModel(RULES, TEMPLATE, VOCABULARY.context, ChatDefaults(tool_family="hermes"))
TOOLS = [
    {
        "type": "function",
        "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
    }
]
CALL = '<tool_call>\n{"name": "look", "arguments": {"a": 1}}\n</tool_call>'
END = VOCABULARY.token("<|im_end|>")


@dataclass(frozen=True)
class Output:
    """The output of one choice: its text, its finish reason, and whether an end token ends it."""

    text: str
    choice: int = 0
    finish: FinishReason = "stop"
    end: bool = True


def builder_of(**asked: Any) -> ResponseBuilder:
    return MODEL.respond(MODEL.prepare(body_of(**{"seed": 5, **asked})))


def steps(builder: ResponseBuilder, *outputs: Output) -> list[TokenStep]:
    """Returns the steps of these outputs, ignoring the grammar."""
    rules = dataclasses.replace(builder.request.rules, grammar=None)
    made = []
    for output in outputs:
        guide = RULES.guide(rules)
        for token in VOCABULARY.tokenize(output.text, False):
            own = TokenLogprob(token, -1.0)
            made.append(TokenStep(output.choice, token, guide.accept(token, False), own, (own,)))
        found = guide.accept(END, False) if output.end else guide.exhausted()
        last = dataclasses.replace(found, finish=output.finish)
        made.append(TokenStep(output.choice, END if output.end else None, last))
    return made


def stream(*outputs: Output, **asked: Any) -> list[StreamedChatData]:
    builder = builder_of(stream=True, **asked)
    chunks: list[StreamedChatData | TextDelta] = [*builder.opening()]
    for step in steps(builder, *outputs):
        chunks += builder.read(Generated((step,), 0.0))
    assert builder.finished
    return [
        builder.text_chunk(*chunk) if isinstance(chunk, TextDelta) else chunk for chunk in chunks
    ]


def whole(*outputs: Output, **asked: Any) -> dict[str, Any]:
    builder = builder_of(**asked)
    builder.opening()
    builder.read(Generated(tuple(steps(builder, *outputs)), 0.0))
    assert builder.finished
    return builder.completion().model_dump()


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
def test_the_stream_accumulates_to_the_whole_answer(
    first: str, second: str, tools: bool, logprobs: bool, parse: bool
) -> None:
    asked: dict[str, Any] = {"n": 2, "logprobs": logprobs, "parse_reasoning": parse}
    if tools:
        asked["tools"] = TOOLS
    produced = [Output(first), Output(second, 1, "length")]
    accumulator = Accumulator()
    for chunk in stream(*produced, stream_options={"include_usage": True}, **asked):
        accumulator.add(chunk)
    accumulated = accumulator.completion().model_dump()
    assert comparable(accumulated) == comparable(whole(*produced, **asked))


def test_the_first_chunk_of_each_choice_has_its_role_and_seed() -> None:
    first, second, *_ = stream(Output("a"), Output("b", 1), n=2)
    for index, chunk in enumerate((first, second)):
        (choice,) = chunk.choices
        assert (choice.index, choice.delta.role, choice.seed) == (index, "assistant", 5 + index)


def test_the_last_chunk_of_a_choice_has_only_its_finish() -> None:
    last = stream(Output("a", finish="length"))[-1].model_dump(exclude_unset=True)
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("options", "chunks"), [(None, 0), ({"include_usage": False}, 0), ({"include_usage": True}, 1)]
)
def test_usage_is_sent_once_and_only_on_request(
    options: dict[str, bool] | None, chunks: int
) -> None:
    answer = stream(Output("ab"), Output("c", 1), n=2, stream_options=options)
    assert sum(bool(chunk.usage) for chunk in answer) == chunks
    assert sum(not chunk.choices for chunk in answer) == chunks
    assert bool(answer[-1].usage) == bool(chunks)


def test_usage_counts_the_prompt_once_and_all_tokens_of_all_choices() -> None:
    prompt = builder_of().request.num_prompt_tokens
    usage = whole(Output("ab"), Output("c", 1), n=2)["usage"]
    assert usage["prompt_tokens"] == prompt
    assert usage["completion_tokens"] == 3 + 2
    assert usage["total_tokens"] == prompt + 5


def test_a_step_without_a_token_is_not_counted() -> None:
    answer = whole(Output("ab", end=False))
    assert answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("top", [None, 0, 1])
def test_logprobs_have_an_entry_for_each_token_but_the_end(top: int | None) -> None:
    (choice,) = whole(Output("ab"), logprobs=True, top_logprobs=top)["choices"]
    assert [entry["token"] for entry in choice["logprobs"]["content"]] == ["a", "b"]


def test_logprobs_are_empty_without_tokens_and_null_if_not_requested() -> None:
    assert whole(Output(""), logprobs=True)["choices"][0]["logprobs"]["content"] == []
    assert whole(Output("a"))["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("text", "cut", "finish"),
    [
        (CALL, "stop", "tool_calls"),
        (CALL, "length", "length"),
        (CALL[:-20], "length", "length"),
        ("no call", "stop", "stop"),
    ],
)
def test_only_complete_calls_finish_with_tool_calls(
    text: str, cut: FinishReason, finish: str
) -> None:
    (choice,) = whole(Output(text, finish=cut), tools=TOOLS)["choices"]
    assert choice["finish_reason"] == finish


def test_ids_of_calls_are_unique_and_reproducible() -> None:
    def ids(**asked: Any) -> list[str]:
        produced = [Output(CALL + "\n" + CALL), Output(CALL, 1)]
        choices = whole(*produced, n=2, tools=TOOLS, **asked)["choices"]
        return [call["id"] for choice in choices for call in choice["message"]["tool_calls"]]

    assert len(set(ids())) == 3
    assert ids() == ids()
    assert not set(ids()) & set(ids(seed=99))


def test_usage_has_the_number_of_cached_tokens() -> None:
    builder = builder_of()
    builder.opening()
    assert builder.read(Started(cached_tokens=3, queue_seconds=0.0, prefill_seconds=0.0)) == []
    builder.read(Generated(tuple(steps(builder, Output("a"))), 0.0))
    usage = builder.completion().usage
    assert usage and usage.prompt_tokens_details
    assert usage.prompt_tokens_details.cached_tokens == 3


def test_a_builder_keeps_its_rules_compiled_while_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builder = builder_of(response_format={"type": "regex", "schema": "x[0-9]y"})
    rules = builder.request.rules
    assert rules.grammar is not None
    for number in range(200):
        RULES.matchers.compile(Grammar("regex", f"other {number}"))
    compiled: list[Grammar] = []
    compile_grammar = RULES.matchers._compile

    def counted(grammar: Grammar, max_symbols: int) -> LLMatcher:
        compiled.append(grammar)
        return compile_grammar(grammar, max_symbols)

    monkeypatch.setattr(RULES.matchers, "_compile", counted)
    RULES.guide(rules)
    assert compiled == []
    del builder
    gc.collect()
    for number in range(200):
        RULES.matchers.compile(Grammar("regex", f"yet another {number}"))
    compiled.clear()
    RULES.guide(rules)
    assert compiled == [rules.grammar]


def test_a_choice_that_ends_without_a_token_outputs_held_back_text() -> None:
    builder = builder_of(stop=["STOP"])
    builder.opening()
    guide = RULES.guide(builder.request.rules)
    token = VOCABULARY.token("ST")
    builder.read(Generated((TokenStep(0, token, guide.accept(token, False)),), 0.0))
    found = guide.exhausted()
    assert found == TokenFindings(0, found.spans, "stop")
    builder.read(Generated((TokenStep(0, None, found),), 0.0))
    (choice,) = builder.completion().choices
    assert (choice.message.content, choice.finish_reason) == ("ST", "stop")
