"""What the native compiler asks of Python, and what may come out of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from llguidance import LLTokenizer, TokenizerWrapper

from friendli_endpoint.generation import Vocabulary

__all__ = ["ConstraintError", "contained", "first_line", "tokenizer_of"]


class ConstraintError(Exception):
    """The compiler does not take a grammar, or failed at it."""


def tokenizer_of(vocabulary: Vocabulary) -> LLTokenizer:
    """The compiler's view of a vocabulary."""
    return LLTokenizer(TokenizerWrapper(_TokenizerView(vocabulary)), eos_token=_end_of(vocabulary))


@contextmanager
def contained() -> Iterator[None]:
    """Turns a panic of the native code, which is no `Exception`, into a `ConstraintError`."""
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as panic:
        raise ConstraintError(f"the constraint engine failed: {panic}") from panic


def first_line(message: str) -> str:
    """What a fault says, without the state of the compiler below it."""
    return message.strip().partition("\n")[0]


class _TokenizerView:
    """What the compiler asks of a tokenizer; control tokens' bytes begin with 0xff."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.eos_token_id = _end_of(vocabulary)
        self.bos_token_id = vocabulary.bos_id
        self.special_token_ids = sorted(vocabulary.control_ids)
        self.tokens = [
            b"\xff" * (token in vocabulary.control_ids) + vocabulary.token_bytes(token)
            for token in range(vocabulary.size)
        ]

    def __call__(self, text: str | bytes) -> list[int]:
        readable = text if isinstance(text, str) else text.decode(errors="replace")
        return self._vocabulary.tokenize(readable, False)


def _end_of(vocabulary: Vocabulary) -> int:
    return vocabulary.eos_id if vocabulary.eos_id is not None else min(vocabulary.end_ids)
