"""llama.cpp's tokenizer: texts, control tokens, and texts on which it recurses deeply."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary
from tests.contract.live import environment
from tests.support.pre_tokenizers import write_with_pre_tokenizer

pytestmark = pytest.mark.model

NAMES = ("deepseek-llm", "deepseek-v3", "tekken", "bloom", "gpt-4o", "default", "smollm")
"""Pre-tokenizers to test. 21 have regular expressions that recurse once per character of a run;
these are the ones that differ in the kinds of characters, and one that does not recurse."""


def test_long_runs_of_a_character_do_not_overflow_the_stack(tmp_path: Path) -> None:
    paths = [
        str(write_with_pre_tokenizer(tmp_path / f"{name}.gguf", name, weights=False))
        for name in NAMES
    ]
    program = [sys.executable, "-m", "tests.engine.llama.long_runs", *paths]
    done = subprocess.run(
        program, capture_output=True, text=True, env=environment(), timeout=200, check=False
    )
    assert done.stdout.splitlines() == paths, (done.returncode, done.stderr[-2000:])


@pytest.fixture(scope="module")
def known(vocabulary: LlamaVocabulary) -> bytes:
    """The bytes that are tokens of the model; its training data do not contain the others."""
    tokens = {vocabulary.token_bytes(token) for token in range(vocabulary.size)}
    known = bytes(value for value in range(256) if bytes([value]) in tokens)
    assert set("\n\t aZ09é日本🙂".encode()) <= set(known)
    return known


@settings(max_examples=300, deadline=None)
@given(st.text(), st.booleans())
def test_the_token_bytes_of_a_text_are_the_text(
    vocabulary: LlamaVocabulary, known: bytes, text: str, special: bool
) -> None:
    ids = vocabulary.tokenize(text, special)
    assert b"".join(map(vocabulary.token_bytes, ids)) == bytes(
        b for b in text.encode() if b in known
    )
    assert all(0 <= token < vocabulary.size for token in ids)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["<|im_end|>", "<|im_start|>", "<|", "|>", "im_end", "a", " "])))
def test_control_tokens_are_recognised_only_with_special(
    vocabulary: LlamaVocabulary, parts: list[str]
) -> None:
    text = "".join(parts)
    assert not vocabulary.control_ids.intersection(vocabulary.tokenize(text, False))
    found = [t for t in vocabulary.tokenize(text, True) if t in vocabulary.control_ids]
    assert len(found) == text.count("<|im_end|>") + text.count("<|im_start|>")


def test_the_bytes_of_a_control_token_tokenize_to_it(vocabulary: LlamaVocabulary) -> None:
    assert vocabulary.end_ids <= vocabulary.control_ids
    assert vocabulary.eos_id in vocabulary.end_ids
    for token in vocabulary.control_ids:
        text = vocabulary.token_bytes(token).decode()
        assert vocabulary.tokenize(text, True) == [token]
        assert token not in vocabulary.tokenize(text, False)


def test_an_empty_text_has_no_tokens(vocabulary: LlamaVocabulary) -> None:
    assert vocabulary.tokenize("", True) == vocabulary.tokenize("", False) == []
