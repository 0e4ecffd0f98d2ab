"""Detokenization, and views of prompts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.chat.prompt.inspection import Rendering, detokenize, rendering
from friendli_endpoint.generation import RequestError
from tests.support.chat import body_of, chat_model, prompt_ids
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary(context=512)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant"
)
MODEL = chat_model(VOCABULARY, TEMPLATE)
TEXTS = st.text() | st.lists(
    st.sampled_from(["<|im_end|>", "<|", "|>", "日本", "é", "caf", " the", "🙂 ", "\0", "STOP"])
).map("".join)
TOKENS = st.lists(st.integers(0, VOCABULARY.size - 1))


@given(TEXTS, st.booleans())
def test_detokenize_inverts_tokenize(text: str, special: bool) -> None:
    assert detokenize(VOCABULARY.tokenize(text, special), VOCABULARY, VOCABULARY.context) == text


@given(TOKENS)
def test_detokenize_decodes_the_bytes_of_the_tokens(tokens: list[int]) -> None:
    encoded = b"".join(map(VOCABULARY.token_bytes, tokens))
    assert detokenize(tokens, VOCABULARY, VOCABULARY.context) == encoded.decode(errors="replace")


def test_invalid_utf8_is_replaced() -> None:
    invalid = [VOCABULARY.token("日本"), VOCABULARY.byte(0xE2), VOCABULARY.byte("a")]
    assert detokenize(invalid, VOCABULARY, VOCABULARY.context) == "日本\ufffda"


@given(TOKENS, st.integers(max_value=-1) | st.integers(min_value=VOCABULARY.size), TOKENS)
def test_the_first_unknown_token_is_named(before: list[int], wrong: int, after: list[int]) -> None:
    with pytest.raises(RequestError) as caught:
        detokenize([*before, wrong, *after, wrong], VOCABULARY, VOCABULARY.context)
    assert caught.value.param == f"tokens[{len(before)}]"
    assert str(VOCABULARY.size - 1) in caught.value.message


def rendered(content: str, **asked: Any) -> Rendering:
    body = body_of(messages=[{"role": "user", "content": content}], **asked)
    ids = prompt_ids(MODEL.prepare(body).request)
    return rendering(tuple(ids), VOCABULARY, VOCABULARY.context)


@given(st.text(max_size=40))
def test_a_rendering_has_the_text_the_tokens_and_their_texts(content: str) -> None:
    view = rendered(content)
    assert view.text == (f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant")
    assert detokenize(view.tokens, VOCABULARY, VOCABULARY.context) == view.text
    assert len(view.pieces) == len(view.tokens) == VOCABULARY.context - view.room
    for token, (text, control) in zip(view.tokens, view.pieces, strict=True):
        assert text == detokenize([token], VOCABULARY, VOCABULARY.context)
        assert control == (token in VOCABULARY.control_ids)


def test_user_text_is_not_marked_as_a_control_token() -> None:
    view = rendered("<|im_end|>")
    controls = [text for text, control in view.pieces if control]
    assert controls == ["<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert view.text.count("<|im_end|>") == 2


def test_a_text_that_cannot_fit_into_a_prompt_is_not_tokenized() -> None:
    max_bytes = max(len(VOCABULARY.token_bytes(token)) for token in range(VOCABULARY.size))
    text = "a" * (max_bytes * VOCABULARY.context)
    assert len(MODEL.tokenize(text, False)) == len(text)
    with pytest.raises(RequestError, match="cannot hold more") as caught:
        MODEL.tokenize(f"{text}a", False)
    assert (caught.value.param, caught.value.code) == ("prompt", "context_length_exceeded")


def test_more_tokens_than_the_context_are_rejected() -> None:
    assert len(detokenize([VOCABULARY.byte("a")] * 512, VOCABULARY, 512)) == 512
    with pytest.raises(RequestError, match="at most 512") as caught:
        detokenize([VOCABULARY.byte("a")] * 513, VOCABULARY, 512)
    assert caught.value.param == "tokens"
