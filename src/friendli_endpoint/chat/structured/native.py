"""Interface to the native compiler: its view of a vocabulary, and its errors and panics."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from llguidance import LLTokenizer, TokenizerWrapper

from friendli_endpoint.generation import Vocabulary

__all__ = ["COMPILER_VERSION", "ConstraintError", "catch_panics", "first_line", "tokenizer_of"]

COMPILER_VERSION = tuple(map(int, version("llguidance").split(".")[:2]))
"""Major and minor version. vLLM has 1.7, whose limits differ."""


class ConstraintError(Exception):
    """The compiler does not support a grammar, or failed to compile it."""


def tokenizer_of(vocabulary: Vocabulary) -> LLTokenizer:
    """Builds the compiler's view of a vocabulary."""
    return LLTokenizer(TokenizerWrapper(_TokenizerView(vocabulary)), eos_token=_eos_of(vocabulary))


@contextmanager
def catch_panics() -> Iterator[None]:
    """Turns a panic of the native code, which is not an `Exception`, into a `ConstraintError`."""
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as panic:
        raise ConstraintError(f"the constraint engine failed: {panic}") from panic


def first_line(message: str) -> str:
    """Returns the first line of an error; the compiler appends its state below it."""
    return message.strip().partition("\n")[0]


class _TokenizerView:
    """Tokenizer protocol of llguidance; the bytes of control tokens begin with 0xff."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.eos_token_id = _eos_of(vocabulary)
        self.bos_token_id = vocabulary.bos_id
        self.special_token_ids = sorted(vocabulary.control_ids)
        self.tokens = [
            b"\xff" * (token in vocabulary.control_ids) + vocabulary.token_bytes(token)
            for token in range(vocabulary.size)
        ]

    def __call__(self, text: str | bytes) -> list[int]:
        decoded = text if isinstance(text, str) else text.decode(errors="replace")
        return self._vocabulary.tokenize(decoded, False)


def _eos_of(vocabulary: Vocabulary) -> int:
    return vocabulary.eos_id if vocabulary.eos_id is not None else min(vocabulary.end_ids)
