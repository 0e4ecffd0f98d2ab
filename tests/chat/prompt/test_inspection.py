"""Text to tokens and back, and prompts as the model sees them."""

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
def test_a_text_comes_back_from_its_tokens(text: str, special: bool) -> None:
    assert detokenize(VOCABULARY.tokenize(text, special), VOCABULARY, VOCABULARY.context) == text


@given(TOKENS)
def test_tokens_are_written_out_as_their_bytes(tokens: list[int]) -> None:
    encoded = b"".join(map(VOCABULARY.token_bytes, tokens))
    assert detokenize(tokens, VOCABULARY, VOCABULARY.context) == encoded.decode(errors="replace")


def test_bytes_that_are_no_utf8_are_shown_as_such() -> None:
    torn = [VOCABULARY.token("日本"), VOCABULARY.byte(0xE2), VOCABULARY.byte("a")]
    assert detokenize(torn, VOCABULARY, VOCABULARY.context) == "日本\ufffda"


@given(TOKENS, st.integers(max_value=-1) | st.integers(min_value=VOCABULARY.size), TOKENS)
def test_the_first_token_that_there_is_not_is_named(
    before: list[int], wrong: int, after: list[int]
) -> None:
    with pytest.raises(RequestError) as refused:
        detokenize([*before, wrong, *after, wrong], VOCABULARY, VOCABULARY.context)
    assert refused.value.param == f"tokens[{len(before)}]"
    assert str(VOCABULARY.size - 1) in refused.value.message


def rendered(content: str, **asked: Any) -> Rendering:
    body = body_of(messages=[{"role": "user", "content": content}], **asked)
    ids = prompt_ids(MODEL.prepare(body).request)
    return rendering(tuple(ids), VOCABULARY, VOCABULARY.context)


@given(st.text(max_size=40))
def test_a_rendered_prompt_is_its_text_its_tokens_and_their_texts(content: str) -> None:
    shown = rendered(content)
    assert shown.text == (f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant")
    assert detokenize(shown.tokens, VOCABULARY, VOCABULARY.context) == shown.text
    assert len(shown.pieces) == len(shown.tokens) == VOCABULARY.context - shown.room
    for token, (text, control) in zip(shown.tokens, shown.pieces, strict=True):
        assert text == detokenize([token], VOCABULARY, VOCABULARY.context)
        assert control == (token in VOCABULARY.control_ids)


def test_what_a_user_wrote_is_told_from_a_control_token() -> None:
    shown = rendered("<|im_end|>")
    controls = [text for text, control in shown.pieces if control]
    assert controls == ["<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert shown.text.count("<|im_end|>") == 2


def test_a_text_that_no_prompt_could_hold_is_not_tokenised() -> None:
    longest = max(len(VOCABULARY.token_bytes(token)) for token in range(VOCABULARY.size))
    held = "a" * (longest * VOCABULARY.context)
    assert len(MODEL.tokenize(held, False)) == len(held)
    with pytest.raises(RequestError, match="cannot hold more") as refused:
        MODEL.tokenize(f"{held}a", False)
    assert (refused.value.param, refused.value.code) == ("prompt", "context_length_exceeded")


def test_more_tokens_than_the_context_holds_are_not_written_out() -> None:
    assert len(detokenize([VOCABULARY.byte("a")] * 512, VOCABULARY, 512)) == 512
    with pytest.raises(RequestError, match="at most 512") as refused:
        detokenize([VOCABULARY.byte("a")] * 513, VOCABULARY, 512)
    assert refused.value.param == "tokens"
