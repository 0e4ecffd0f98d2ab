"""Reasoning tags in the content of an unfinished message."""

from typing import Any

import pytest

from friendli_endpoint.chat.prompt.tagged_content import separate_reasoning
from friendli_endpoint.chat.reasoning.styles import STYLES, ReasoningStyle
from friendli_endpoint.chat.request.continuation import Continuation

USER = {"role": "user", "content": "hi"}


def separated(
    text: str, style: ReasoningStyle | None = STYLES[0], **fields: Any
) -> tuple[dict[str, Any], Continuation]:
    messages = [USER, {"role": "assistant", "content": text, **fields}]
    (first, last), continuation = separate_reasoning(
        messages, Continuation(1, "content", text), style
    )
    assert first == USER
    return last, continuation


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_reasoning_without_an_end_is_continued(style: ReasoningStyle) -> None:
    last, continuation = separated(f"\n{style.open}\nHm ", style)
    assert last == {"role": "assistant", "content": "", "reasoning_content": "Hm "}
    assert continuation == Continuation(1, "reasoning_content", "Hm ")


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("answer", ["", "Hel", "Hel \n"])
def test_the_answer_after_reasoning_is_continued(style: ReasoningStyle, answer: str) -> None:
    last, continuation = separated(f"{style.open}\nHm\n{style.close}\n\n{answer}", style)
    assert last == {"role": "assistant", "content": answer, "reasoning_content": "Hm"}
    assert continuation == Continuation(1, "content", answer)


@pytest.mark.parametrize(
    ("text", "style", "fields"),
    [
        ("<think>Hm", None, {}),
        ("<think>Hm", STYLES[1], {}),
        ("a <think>Hm", STYLES[0], {}),
        ("<thin", STYLES[0], {}),
        ("<think>Hm", STYLES[0], {"reasoning_content": "x"}),
    ],
)
def test_other_content_is_left_as_it_is(
    text: str, style: ReasoningStyle | None, fields: dict[str, Any]
) -> None:
    last, continuation = separated(text, style, **fields)
    assert last == {"role": "assistant", "content": text, **fields}
    assert continuation == Continuation(1, "content", text)
