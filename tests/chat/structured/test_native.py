"""Interface to the native compiler: tokens, panics and error messages."""

import pytest

from friendli_endpoint.chat.structured.native import (
    ConstraintError,
    catch_panics,
    first_line,
    tokenizer_of,
)
from tests.chat.structured.failing import Panic
from tests.chat.structured.walks import COMPILER, ENDS, allowed
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()


def test_a_panic_becomes_an_error_with_its_message() -> None:
    with pytest.raises(ConstraintError, match=r"^the constraint engine failed: index out of") as (
        caught
    ):
        with catch_panics():
            raise Panic("index out of bounds")
    assert isinstance(caught.value.__cause__, Panic)


@pytest.mark.parametrize("kind", [ValueError, ConstraintError, KeyboardInterrupt, SystemExit])
def test_exceptions_that_are_not_panics_pass_unchanged(kind: type[BaseException]) -> None:
    raised = kind("unchanged")
    with pytest.raises(kind) as caught:
        with catch_panics():
            raise raised
    assert caught.value is raised


@pytest.mark.parametrize(
    ("message", "line"),
    [("\n bad\nstate: 1\n", "bad"), ("bad", "bad"), ("", ""), ("a\r\nb", "a\r")],
)
def test_the_first_line_of_a_message_is_its_reason(message: str, line: str) -> None:
    assert first_line(message) == line


def test_the_compiler_gets_all_tokens_and_distinguishes_control_tokens() -> None:
    tokenizer = tokenizer_of(VOCABULARY)
    assert tokenizer.vocab_size == VOCABULARY.size
    control = {token for token in range(VOCABULARY.size) if tokenizer.is_special_token(token)}
    # The compiler takes a byte 0xff, which never occurs in text, for the mark of a control token.
    assert control - {VOCABULARY.byte(0xFF)} == VOCABULARY.control_ids
    for token in set(range(VOCABULARY.size)) - control:
        assert tokenizer.decode_bytes([token]) == VOCABULARY.token_bytes(token)


def test_text_that_looks_like_a_control_token_is_tokenized_as_text() -> None:
    tokens = tokenizer_of(VOCABULARY).tokenize_str("<|im_end|>")
    assert VOCABULARY.text(tokens) == "<|im_end|>"
    assert VOCABULARY.control_ids.isdisjoint(tokens)
    constraint = COMPILER.regex(r"<\|im_end\|>", ENDS, "r")
    assert not allowed(constraint) & VOCABULARY.control_ids


def test_the_eos_token_is_that_of_the_vocabulary_or_else_its_lowest_end_id() -> None:
    vocabulary = ScriptedVocabulary()
    assert tokenizer_of(vocabulary).eos_token == vocabulary.eos_id == 2
    vocabulary.eos_id = None
    assert tokenizer_of(vocabulary).eos_token == min(vocabulary.end_ids) == 0
