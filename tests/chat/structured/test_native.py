"""What crosses over to the native compiler: tokens, panics and words."""

import pytest

from friendli_endpoint.chat.structured.native import (
    ConstraintError,
    contained,
    first_line,
    tokenizer_of,
)
from tests.chat.structured.failing import Panic
from tests.chat.structured.walking import COMPILER, ENDS, allowed
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()


def test_a_panic_becomes_an_error_that_says_what_it_said() -> None:
    with pytest.raises(ConstraintError, match=r"^the constraint engine failed: index out of") as (
        caught
    ):
        with contained():
            raise Panic("index out of bounds")
    assert isinstance(caught.value.__cause__, Panic)


@pytest.mark.parametrize("kind", [ValueError, ConstraintError, KeyboardInterrupt, SystemExit])
def test_what_is_no_panic_goes_through_as_it_is(kind: type[BaseException]) -> None:
    raised = kind("as it is")
    with pytest.raises(kind) as caught:
        with contained():
            raise raised
    assert caught.value is raised


@pytest.mark.parametrize(
    ("message", "line"),
    [("\n bad\nstate: 1\n", "bad"), ("bad", "bad"), ("", ""), ("a\r\nb", "a\r")],
)
def test_the_first_line_says_what_is_wrong(message: str, line: str) -> None:
    assert first_line(message) == line


def test_the_compiler_sees_every_token_and_which_are_control_tokens() -> None:
    tokenizer = tokenizer_of(VOCABULARY)
    assert tokenizer.vocab_size == VOCABULARY.size
    control = {token for token in range(VOCABULARY.size) if tokenizer.is_special_token(token)}
    # A byte 0xff, which is in no text, looks to the compiler like the beginning of a control token.
    assert control - {VOCABULARY.byte(0xFF)} == VOCABULARY.control_ids
    for token in set(range(VOCABULARY.size)) - control:
        assert tokenizer.decode_bytes([token]) == VOCABULARY.token_bytes(token)


def test_text_that_spells_a_control_token_is_text() -> None:
    tokens = tokenizer_of(VOCABULARY).tokenize_str("<|im_end|>")
    assert VOCABULARY.text(tokens) == "<|im_end|>"
    assert VOCABULARY.control_ids.isdisjoint(tokens)
    constraint = COMPILER.regex(r"<\|im_end\|>", ENDS, "r")
    assert not allowed(constraint) & VOCABULARY.control_ids


def test_the_end_is_the_vocabularys_main_one_or_else_its_first() -> None:
    vocabulary = ScriptedVocabulary()
    assert tokenizer_of(vocabulary).eos_token == vocabulary.eos_id == 2
    vocabulary.eos_id = None
    assert tokenizer_of(vocabulary).eos_token == min(vocabulary.end_ids) == 0
