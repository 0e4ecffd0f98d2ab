"""The state of one choice under a grammar."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

from friendli_endpoint.chat.structured.digits import DigitMasks, JsonNumber
from friendli_endpoint.chat.structured.native import contained, first_line
from friendli_endpoint.generation import Vocabulary

__all__ = ["Constraint"]

log = logging.getLogger("friendli_endpoint.chat")


class Constraint:
    """The state of one choice under a grammar.

    Where the compiler gives up in the middle of an output, because it has become too much work or
    because nothing can follow, no token is allowed any more and the output counts as unfinished.

    Args:
        matcher: A fresh matcher of its own.
        tokenizer: The compiler's view of the vocabulary.
        vocabulary: The model's tokens.
        end_ids: Tokens that end the choice; allowed where the grammar is satisfied.
        digits: What bounds the numbers, where the output is JSON.
    """

    def __init__(
        self,
        matcher: LLMatcher,
        tokenizer: LLTokenizer,
        vocabulary: Vocabulary,
        end_ids: frozenset[int],
        digits: DigitMasks | None = None,
    ) -> None:
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._end_ids = np.array(sorted(end_ids), np.uint32)
        self._compilers_end = np.array([tokenizer.eos_token], np.uint32)
        self._mask = np.zeros((vocabulary.size + 31) // 32, np.uint32)
        self._vocabulary = vocabulary
        self._digits = digits
        self._number = JsonNumber()
        self._failed = False

    def mask(self) -> NDArray[np.uint32]:
        """The tokens that the grammar allows next; valid until the next call."""
        if not self._failed:
            with self._guarded():
                self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        if self._failed:
            self._mask.fill(0)
            return self._mask
        if self._digits is not None:
            self._number.restrict(self._mask, self._digits)
        # The compiler's own end is an ordinary token where the request has others.
        np.bitwise_and.at(self._mask, *_clearing(self._compilers_end))
        np.bitwise_and.at(self._mask, *_clearing(self._end_ids))
        if self.satisfied:
            words, bits = _clearing(self._end_ids)
            np.bitwise_or.at(self._mask, words, ~bits)
        return self._mask

    def fast_forward_tokens(self) -> list[int]:
        """Tokens that the grammar leaves no choice about."""
        tokens: list[int] = []
        if not self._failed:
            with self._guarded():
                tokens = list(self._matcher.compute_ff_tokens())
        return [] if self._failed else tokens

    @property
    def satisfied(self) -> bool:
        """Whether the output may end here."""
        accepting = False
        if not self._failed:
            with self._guarded():
                accepting = bool(self._matcher.is_accepting())
        return accepting and not self._failed

    def accept(self, token_id: int) -> bool:
        """Takes a token that is no end; answers whether the output must end here."""
        stopped = False
        if not self._failed:
            with self._guarded():
                if self._matcher.consume_token(token_id):
                    self._number.feed(self._vocabulary.token_bytes(token_id))
                    stopped = bool(self._matcher.is_stopped())
                else:
                    self._give_up(f"token {token_id} was refused: {self._matcher.get_error()}")
        return stopped and self.satisfied

    def spelt(self, text: bytes) -> list[int]:
        """The tokens of a text that came in a token together with something else."""
        tokens: list[int] = []
        with self._guarded():
            tokens = list(self._tokenizer.greedy_tokenize(text.decode(errors="replace")))
        return tokens

    def takes(self, token_ids: Sequence[int]) -> bool:
        """Whether these tokens, none of them an end, can come next, one after the other."""
        taken = 0
        if not self._failed:
            with self._guarded():
                taken = self._matcher.validate_tokens(list(token_ids))
        return not self._failed and taken == len(token_ids)

    def copy(self) -> "Constraint":
        """The same state, for another way to go on."""
        copied = copy(self)
        copied._matcher = self._matcher.deep_copy()
        copied._mask = self._mask.copy()
        copied._number = copy(self._number)
        return copied

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with contained():
                yield
                failed = self._matcher.is_error()
            if failed and not self._failed:
                self._give_up(self._matcher.get_error())
        except Exception as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        log.warning("a constraint cannot be followed any further: %s", first_line(reason))
        self._failed = True


def _clearing(ids: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The words of a mask that tokens are in, and what to `and` them with to forbid the tokens."""
    return ids // 32, ~(np.uint32(1) << (ids % np.uint32(32)))
