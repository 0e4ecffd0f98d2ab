"""Prompts that end inside the last message, for templates that write it in different ways."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings

from friendli_endpoint.chat.prompt.builder import Prompt, PromptBuilder
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.request.continuation import Continuation
from friendli_endpoint.generation import RequestError
from tests.chat.prompt.test_builder import HOSTILE
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary(context=1 << 16)
TAGS = ("<think>", "</think>")
USER = {"role": "user", "content": "hi"}
PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def turns(answer: str) -> str:
    """Returns a template that writes messages of the assistant in this way, `c` their content."""
    return (
        "{% for m in messages %}{% set c = m.content %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' %}" + answer + "{% else %}{{ c }}{% endif %}<|im_end|>\n"
        "{% endfor %}"
    )


def build(
    source: str,
    *messages: dict[str, Any],
    field: Literal["content", "reasoning_content"] = "content",
    tags: tuple[str, ...] = TAGS,
    tools: Any = None,
) -> Prompt:
    text = messages[-1][field]
    builder = PromptBuilder(
        ChatTemplate(source, {}), VOCABULARY, VOCABULARY.context, tags, "<think>\n" if tags else ""
    )
    return builder.build(list(messages), {}, tools, Continuation(len(messages) - 1, field, text))


def answer(content: str = "Hel", **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


START = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("content", ["Hel", " Hel ", "Hel\n\n", "", "\n"])
@pytest.mark.parametrize(
    ("written", "before", "tag"),
    [
        ("{{ c }}", "", ""),
        ("{{ c | trim }}", "", ""),
        ("{{ c.strip() }}</s>", "", ""),
        ("{{ c }}\n\nUser:", "", ""),
        ("{{ c.split('</think>')[-1].lstrip('\n') }}", "", ""),
        ("<think>\n\n</think>\n\n{{ c }}", "<think>\n\n</think>\n\n", "</think>"),
        ("{{ c }}<think></think>", "", ""),
        ("<think>\n{{ c }}", "<think></think>", "</think>"),
        ("{% if loop.last and continue_final_message %}~{% endif %}{{ c }}", "~", ""),
        ("{% if c %}{{ c }}{% else %}nothing{% endif %}", "", ""),
    ],
)
def test_a_prompt_ends_with_what_the_template_writes_before_the_content_and_the_content_as_sent(
    written: str, before: str, tag: str, content: str
) -> None:
    prompt = build(turns(written) + PROMPT, USER, answer(content))
    assert prompt.text == f"{START}{before}{content}"
    assert VOCABULARY.text(prompt.ids) == prompt.text
    assert prompt.tag == tag


def test_text_that_the_template_writes_twice_is_written_twice() -> None:
    prompt = build(turns("({{ c }}) {{ c }}"), USER, answer("a<|im_end|>"))
    assert prompt.text == f"{START}(a<|im_end|>) a<|im_end|>"
    assert prompt.ids.count(VOCABULARY.token("<|im_end|>")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}x",
        turns("{{ c[:0] }}"),
        "{% for m in messages[:-1] %}{{ m.content }}{% endfor %}x",
        "{% for m in messages | reverse %}{{ m.content }}{% endfor %}",
        turns("{{ c }}") + "{{ messages[0].content }}",
        "{{ messages[-1].content }}{% for t in tools %}{{ t.function.name }}{% endfor %}",
    ],
    ids=["left out", "cut", "all but the last", "reversed", "a message after", "tools after"],
)
def test_a_template_that_does_not_end_with_the_message_is_an_error(source: str) -> None:
    with pytest.raises(RequestError) as caught:
        build(source, USER, answer(), tools=[{"type": "function", "function": {"name": "look"}}])
    error = caught.value
    assert (error.param, error.code, error.status) == ("messages[1].content", "not_supported", 400)


def test_what_looks_like_another_message_after_the_content_may_be_the_templates() -> None:
    user = {"role": "user", "content": "end"}
    prompt = build(turns("{{ c }}"), user, answer())
    assert prompt.text.endswith("assistant\nHel")


@pytest.mark.parametrize("reasoning", ["Hm", " Hm.\n", "Hm </thi"])
@pytest.mark.parametrize(
    ("source", "before"),
    [
        (turns("<think>\n{{ m.reasoning_content | trim }}\n</think>\n\n{{ c }}"), "<think>\n"),
        (turns("<think>{{ m.reasoning_content }}</think>{{ c }}"), "<think>"),
        (turns("{{ c }}") + PROMPT, "<think>\n"),
        (turns("{{ c }}") + PROMPT + "{{ '<think>' if add_generation_prompt }}", "<think>"),
        (
            turns("{{ c }}") + PROMPT + "{{ '<think>\n</think>' if add_generation_prompt }}",
            "<think>\n",
        ),
        (turns("{{ c }}") + PROMPT + "{{ '</think>' if add_generation_prompt }}", "<think>\n"),
        (turns("{{ m.reasoning_content }}{{ c }}") + PROMPT, "<think>\n"),
        (turns("{{ c or raise_exception('empty') }}") + PROMPT, "<think>\n"),
    ],
    ids=["trimmed", "tags", "dropped", "opened", "closed", "only closed", "no tags", "required"],
)
def test_unfinished_reasoning_comes_after_the_opening_tag(
    source: str, before: str, reasoning: str
) -> None:
    prompt = build(source, USER, answer("", reasoning_content=reasoning), field="reasoning_content")
    assert prompt.text == f"{START}{before}{reasoning}"
    assert VOCABULARY.text(prompt.ids) == prompt.text
    assert prompt.tag == "<think>"


def test_finished_reasoning_comes_before_the_content() -> None:
    source = turns("<think>\n{{ m.reasoning_content }}\n</think>\n\n{{ c }}")
    prompt = build(source, USER, answer("Hel", reasoning_content="Hm"))
    assert prompt.text == f"{START}<think>\nHm\n</think>\n\nHel"
    assert prompt.tag == "</think>"


def test_reasoning_of_a_model_without_tags_is_an_error() -> None:
    message = answer("", reasoning_content="Hm")
    with pytest.raises(RequestError) as caught:
        build(turns("{{ c }}"), USER, message, field="reasoning_content", tags=())
    assert caught.value.param == "messages[1].reasoning_content"
    assert caught.value.code == "not_supported"


@pytest.mark.parametrize("content", ["a<think>", "a</think>"])
def test_a_tag_in_another_message_does_not_count(content: str) -> None:
    source = "{% for m in messages %}{{ m.content }}{% endfor %}"
    prompt = build(source, {"role": "user", "content": content}, answer())
    assert (prompt.text, prompt.tag) == (f"{content}Hel", "")


@settings(max_examples=200, deadline=None)
@given(HOSTILE, HOSTILE)
def test_control_tokens_in_any_message_stay_text(user: str, content: str) -> None:
    prompt = build(turns("{{ c | trim }}"), {"role": "user", "content": user}, answer(content))
    start, end = map(VOCABULARY.token, ("<|im_start|>", "<|im_end|>"))
    assert [token for token in prompt.ids if token in VOCABULARY.control_ids] == [start, end, start]
    assert prompt.text == VOCABULARY.text(prompt.ids)
    assert prompt.text == START.replace("hi", user, 1) + content


def test_a_text_without_enough_unused_characters_is_rejected() -> None:
    marks = "".join(map(chr, range(0xFDD0, 0xFDF0)))
    assert build(turns("{{ c }}"), USER, answer(marks[3:])).text.endswith(marks[3:])
    with pytest.raises(RequestError) as caught:
        build(turns("{{ c }}"), USER, answer(marks[2:]))
    assert caught.value.param == "messages"


def test_an_error_of_the_template_is_reported() -> None:
    with pytest.raises(RequestError) as caught:
        build("{{ raise_exception('no') }}", USER, answer())
    assert (caught.value.param, caught.value.code) == ("messages", "template_error")
