"""Prompts: user text stays text, and its tokenization is not affected by the marks."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.prompt.builder import PromptBuilder
from friendli_endpoint.chat.prompt.past_calls import WrittenCalls
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.request.rules import check_prompt_tokens
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text
from friendli_endpoint.generation import RequestError
from tests.support.scripted import ScriptedVocabulary

SOURCE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if tools %}<|tool|>{{ tools | tojson }}\n{% endif %}"
    "<|im_start|>assistant\n{{ opening }}"
)
BARE = "{% for m in messages %}{{ m.content }}{% endfor %}"


class Overlapping(ScriptedVocabulary):
    """Control tokens that are prefixes, suffixes and neighbours of each other."""

    def __init__(self) -> None:
        super().__init__(context=4096)
        control = [b"<a>", b"<a><b>", b"><", b"aa"]
        self._texts[:4] = control
        self._ids = {text: token for token, text in enumerate(self._texts)}
        self._max_length = max(map(len, self._texts))


VOCABULARY = ScriptedVocabulary(context=4096)
OVERLAPPING = Overlapping()


def builder(source: str = SOURCE, vocabulary: ScriptedVocabulary = VOCABULARY) -> PromptBuilder:
    return PromptBuilder(ChatTemplate(source, {}), vocabulary, vocabulary.context)


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|tool|>"]
HOSTILE = st.lists(
    st.sampled_from([*CONTROL, "<|im_", "end|>", "<|", "\ufdd0", "\ufdd1", "é", "the", "\n"]),
    max_size=8,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=3))
def test_control_tokens_in_user_text_stay_text(texts: list[str]) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    prompt = builder().build(messages, {})
    expected = "".join(f"<|im_start|>user\n{text}<|im_end|>\n" for text in texts)
    assert prompt.text == VOCABULARY.text(prompt.ids) == f"{expected}<|im_start|>assistant\n"
    control = [token for token in prompt.ids if token in VOCABULARY.control_ids]
    start, end = map(VOCABULARY.token, ("<|im_start|>", "<|im_end|>"))
    assert control == [*[start, end] * len(texts), start]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["<a>", "<b>", "<", "a", ">", "aa", "é"]), max_size=8))
def test_overlapping_control_tokens_in_user_text_stay_text(parts: list[str]) -> None:
    text = "".join(parts)
    prompt = builder(f"<a>x{BARE}x<a>", OVERLAPPING).build(user(text), {})
    assert OVERLAPPING.text(prompt.ids) == prompt.text == f"<a>x{text}x<a>"
    assert [token for token in prompt.ids if token in OVERLAPPING.control_ids] == [0, 0]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="the ing\n_S\u00e9|><", max_size=20))
def test_texts_without_control_tokens_are_tokenized_with_the_whole_rendered_string(
    text: str,
) -> None:
    prompt = builder().build(user(text), {})
    assert list(prompt.ids) == VOCABULARY.tokenize(prompt.text, True)


def test_tokens_may_span_the_boundary_of_template_and_user_text() -> None:
    prompt = builder("<|im_start|>S{{ messages[0].content }}P<|im_end|>").build(
        user("TO<|tool|>x"), {}
    )
    assert list(prompt.ids) == [
        VOCABULARY.token("<|im_start|>"),
        *VOCABULARY.tokenize("STO<|tool|>xP", False),
        VOCABULARY.token("<|im_end|>"),
    ]


@pytest.mark.parametrize("position", ["value", "name"])
def test_control_tokens_in_tools_stay_text(position: str) -> None:
    tool = {"a": "<|im_end|>"} if position == "value" else {"<|im_end|>": "a"}
    prompt = builder().build(user("x"), {}, [tool])
    assert prompt.text == VOCABULARY.text(prompt.ids)
    assert prompt.ids.count(VOCABULARY.token("<|im_end|>")) == 1
    assert prompt.ids.count(VOCABULARY.token("<|tool|>")) == 1


@settings(max_examples=100, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_markers_of_written_calls_are_control_tokens_but_user_text_is_not(
    text: str, name: str, key: str, value: str
) -> None:
    def write(calls: Sequence[WrittenCall]) -> str:
        return "".join(f"<|tool|>{c.name}<|im_start|>{arguments_text(c)}" for c in calls)

    calls = [WrittenCall(name, {key: [value]}), WrittenCall(name, value)]
    written = WrittenCalls(text, calls, write)
    prompt = builder().build([{"role": "assistant", "content": written}], {})
    assert prompt.text == VOCABULARY.text(prompt.ids)
    assert prompt.text == f"<|im_start|>assistant\n{written}<|im_end|>\n<|im_start|>assistant\n"
    control = [token for token in prompt.ids if token in VOCABULARY.control_ids]
    start, end, tool = map(VOCABULARY.token, ("<|im_start|>", "<|im_end|>", "<|tool|>"))
    assert control == [start, *[tool, start] * 2, end, start]


def test_control_tokens_in_chat_template_kwargs_stay_text() -> None:
    prompt = builder().build(user("x"), {"opening": "<|im_end|>"})
    assert prompt.text.endswith("assistant\n<|im_end|>")
    assert prompt.ids.count(VOCABULARY.token("<|im_end|>")) == 1


@pytest.mark.parametrize("text", ["<|im_end|>", "<|im_end|>\\ufdd0", "\\ufdd0<|im_", "<|im_\ufdd0"])
@pytest.mark.parametrize("source", ["{{ [m] }}", "{{ m | tojson(ensure_ascii=True) }}"])
def test_marks_are_removed_where_a_template_escapes_them(source: str, text: str) -> None:
    source = source.replace("m", "messages[0].content")
    prompt = builder(source).build(user(text), {})
    assert (
        prompt.text
        == VOCABULARY.text(prompt.ids)
        == ChatTemplate(source, {}).render(user(text), {})
    )
    assert VOCABULARY.control_ids.isdisjoint(prompt.ids)


def test_a_text_with_all_marks_is_rejected() -> None:
    marks = "".join(map(chr, range(0xFDD0, 0xFDF0)))
    with pytest.raises(RequestError) as caught:
        builder().build(user(marks), {})
    assert caught.value.param == "messages"
    assert builder().build(user(marks[1:]), {}).text.count(marks[1:]) == 1


@pytest.mark.parametrize(("length", "fits"), [(3, True), (4, False), (5, False)])
def test_the_prompt_must_leave_at_least_one_token(length: int, fits: bool) -> None:
    prompt = builder(BARE, ScriptedVocabulary(context=4)).build(user("x" * length), {})
    assert len(prompt.ids) == length
    if fits:
        check_prompt_tokens(len(prompt.ids), 4, 0)
        return
    with pytest.raises(RequestError) as caught:
        check_prompt_tokens(len(prompt.ids), 4, 0)
    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")
    assert f"{length} tokens" in caught.value.message
    assert "context of 4" in caught.value.message


def test_an_empty_prompt_is_rejected() -> None:
    with pytest.raises(RequestError) as caught:
        builder(BARE).build(user(""), {})
    assert caught.value.param == "messages"


@pytest.mark.parametrize("prefix", ["", "<|im_start|>"])
def test_the_bos_token_is_added_once(prefix: str) -> None:
    vocabulary = ScriptedVocabulary(adds_bos=True)
    prompt = builder(prefix + BARE, vocabulary).build(user("the"), {})
    assert prompt.ids == (1, vocabulary.token("the"))


@pytest.mark.parametrize(
    ("kwargs", "param"), [({}, "messages"), ({"mood": 1}, "chat_template_kwargs")]
)
def test_a_template_error_names_the_field(kwargs: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        builder("{{ raise_exception('no') }}").build(user("x"), kwargs)
    assert caught.value.param == param


class Tagged(ScriptedVocabulary):
    """A vocabulary in which the tags are control tokens."""

    def __init__(self) -> None:
        super().__init__(4096, control=(b"<|endoftext|>", b"<think>", b"<|im_end|>", b"</think>"))


@pytest.mark.parametrize("vocabulary", [VOCABULARY, Tagged()], ids=["text", "control"])
@pytest.mark.parametrize(
    ("source", "text", "tag"),
    [
        (BARE, "hi", ""),
        (BARE, "why <think>", ""),
        (BARE, "why <think>\n", ""),
        (BARE, "<think></think>", ""),
        (BARE + "<think>", "hi", "<think>"),
        (BARE + "<think>\n", "a <think> and </think>", "<think>"),
        (BARE + "<think>\n\n</think>\n\n", "hi", "</think>"),
        (BARE + "<think>\n\n</think>\n\n", "a </think>", "</think>"),
        (BARE + "<think> {{ messages[0].content | trim }}", "</think>", ""),
        (BARE + "<think>assistant", "<think>", ""),
    ],
)
def test_only_a_tag_written_by_the_template_counts(
    vocabulary: ScriptedVocabulary, source: str, text: str, tag: str
) -> None:
    tags = ("<think>", "</think>")
    prompts = PromptBuilder(ChatTemplate(source, {}), vocabulary, vocabulary.context, tags)
    assert prompts.build(user(text), {}).tag == tag


def test_a_tag_in_chat_template_kwargs_does_not_count() -> None:
    prompts = PromptBuilder(ChatTemplate(SOURCE, {}), VOCABULARY, VOCABULARY.context, ("<think>",))
    assert prompts.build(user("hi"), {"opening": "<think>"}).tag == ""
    assert prompts.build(user("hi"), {"opening": "now"}).tag == ""
