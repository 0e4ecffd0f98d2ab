"""The state of one choice under a grammar."""

import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from itertools import islice
from time import thread_time

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

from friendli_endpoint.chat.structured.json_text import JsonMasks, JsonText
from friendli_endpoint.chat.structured.native import ConstraintError, catch_panics, first_line
from friendli_endpoint.chat.structured.unique_items import UniqueItems
from friendli_endpoint.generation import Vocabulary

__all__ = ["Constraint"]

log = logging.getLogger("friendli_endpoint.chat")

_MAX_FORCED = 64
"""Number of fast-forward tokens that are returned at once; the engine takes at most 16 of them."""

_PREFIX_CHUNK = 8
"""Number of tokens of a prefix that are read without letting other threads run: 5 µs, or 32 ms with
a schema of 2,000 optional properties."""


class Constraint:
    """The state of one choice under a grammar.

    If the compiler fails in the middle of an output, because it exceeds its limits or because no
    continuation exists, no token is allowed any more and the output counts as unfinished.

    Args:
        matcher: A new matcher; the constraint owns it.
        tokenizer: The compiler's view of the vocabulary.
        vocabulary: The model's tokens.
        end_ids: Tokens that end the choice; allowed where the grammar is satisfied.
        json: Masks that bound numbers and white space, if the output is JSON.
        unique: State of the arrays whose items must differ, if the schema has some.
    """

    def __init__(
        self,
        matcher: LLMatcher,
        tokenizer: LLTokenizer,
        vocabulary: Vocabulary,
        end_ids: frozenset[int],
        json: JsonMasks | None = None,
        unique: UniqueItems | None = None,
    ) -> None:
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._end_ids = np.array(sorted(end_ids), np.uint32)
        self._compiler_eos = np.array([tokenizer.eos_token], np.uint32)
        self._mask = np.zeros((vocabulary.size + 31) // 32, np.uint32)
        self._vocabulary = vocabulary
        self._json = json
        self._unique = unique
        self._json_text = JsonText()
        self._failed = False
        self._forced: deque[int] = deque()

    def mask(self) -> NDArray[np.uint32]:
        """Returns the bitmask of allowed tokens: uint32, ceil(vocabulary size / 32) words.

        The array is reused: it is valid until the next call.
        """
        if not self._failed:
            with self._guarded():
                self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        if self._failed:
            self._mask.fill(0)
            return self._mask
        if self._json is not None:
            self._json.restrict(self._mask, self._json_text)
        if self._unique is not None:
            self._unique.restrict(self._mask)
        # The compiler's EOS token is an ordinary token if the request sets other EOS ids.
        np.bitwise_and.at(self._mask, *_clear_bits(self._compiler_eos))
        np.bitwise_and.at(self._mask, *_clear_bits(self._end_ids))
        if self.satisfied:
            words, bits = _clear_bits(self._end_ids)
            np.bitwise_or.at(self._mask, words, ~bits)
        return self._mask

    def fast_forward_tokens(self) -> list[int]:
        """Returns the next tokens as long as the grammar allows exactly one; possibly none.

        The compiler tokenizes the whole text that must come next, 6 ms for 8,192 bytes. So its
        tokens are kept while they are accepted, and `_MAX_FORCED` are returned at a time.
        """
        if not self._forced and not self._failed:
            with self._guarded():
                self._forced = deque(self._matcher.compute_ff_tokens())
        if self._failed:
            return []
        forced = list(islice(self._forced, _MAX_FORCED))
        return forced if self._unique is None else self._keeping_items_unique(self._unique, forced)

    def _keeping_items_unique(self, unique: UniqueItems, forced: list[int]) -> list[int]:
        """Returns these tokens up to the first after which two items of an array would be equal."""
        following = unique.copy() if forced else unique
        for number, token in enumerate(forced):
            if not following.feed(self._vocabulary.token_bytes(token), True) or following.is_dead:
                return forced[:number]
        return forced

    @property
    def satisfied(self) -> bool:
        """Whether the output may end here."""
        accepting = False
        if not self._failed:
            with self._guarded():
                accepting = bool(self._matcher.is_accepting())
        return accepting and not self._failed

    def accept(self, token_id: int) -> bool:
        """Accepts a token that is not an EOS token.

        Returns:
            Whether the output must end here.
        """
        stopped = False
        is_forced = bool(self._forced) and self._forced.popleft() == token_id
        if not is_forced:
            self._forced.clear()
        if not self._failed:
            with self._guarded():
                if self._matcher.consume_token(token_id):
                    token_bytes = self._vocabulary.token_bytes(token_id)
                    self._json_text.feed(token_bytes)
                    stopped = bool(self._matcher.is_stopped())
                    if self._unique is not None and not self._unique.feed(token_bytes, is_forced):
                        self._fail("two items of an array are equal, and must not be")
                else:
                    self._fail(f"token {token_id} is not allowed: {self._matcher.get_error()}")
        return stopped and self.satisfied

    def read_prefix(self, text: str, max_seconds: float = math.inf) -> str:
        """Reads the beginning of the answer, which was not generated.

        Which tokens it consists of makes no difference.

        Args:
            text: The beginning of the answer; nothing was read before.
            max_seconds: Maximum CPU time of this thread, in seconds.

        Returns:
            The rest of the text from the first token on that is not allowed, empty if all is.

        Raises:
            ConstraintError: It takes more than `max_seconds`.
        """
        started = thread_time()
        encoded = text.encode()
        tokens: list[int] = []
        with self._guarded():
            tokens = list(self._tokenizer.greedy_tokenize(text))
        num_read = 0
        step = _PREFIX_CHUNK if self._unique is None else 1
        for start in range(0, len(tokens), step):
            chunk = tokens[start : start + step]
            if self._unique is not None and not self._read_items(self._unique, chunk):
                break
            with self._guarded():
                num_read += self._matcher.try_consume_tokens(chunk)
            if self._failed or num_read < start + len(chunk):
                break
            if thread_time() - started > max_seconds:
                raise ConstraintError(f"reading it takes more than {max_seconds:g} s of CPU time")
        num_bytes = 0
        for token in tokens[:num_read]:
            token_bytes = self._vocabulary.token_bytes(token)
            if not self._json_text.feed(token_bytes) and self._json is not None:
                break  # more white space than the limits allow
            num_bytes += len(token_bytes)
        return encoded[num_bytes:].decode(errors="replace")

    def _read_items(self, unique: UniqueItems, tokens: list[int]) -> bool:
        """Reads tokens of a prefix; returns whether the items of all arrays still differ."""
        if unique.is_inside:
            self.mask()  # which notes where another item would be possible
        return all(unique.feed(self._vocabulary.token_bytes(token)) for token in tokens)

    def tokenize(self, text: bytes) -> list[int]:
        """Tokenizes a text that is only a part of a generated token."""
        tokens: list[int] = []
        with self._guarded():
            tokens = list(self._tokenizer.greedy_tokenize(text.decode(errors="replace")))
        return tokens

    def allows(self, token_ids: Sequence[int]) -> bool:
        """Whether this sequence of tokens, without EOS tokens, is allowed next."""
        num_valid = 0
        if not self._failed:
            with self._guarded():
                num_valid = self._matcher.validate_tokens(list(token_ids))
        return not self._failed and num_valid == len(token_ids) and self._is_bounded(token_ids)

    def _is_bounded(self, token_ids: Sequence[int]) -> bool:
        """Whether these tokens keep JSON within the limits, and the items of arrays unique."""
        if self._json is None:
            return True
        text, unique = copy(self._json_text), self._unique
        unique = unique.copy() if unique is not None else None
        tokens = map(self._vocabulary.token_bytes, token_ids)
        return all(text.feed(token) and (unique is None or unique.feed(token)) for token in tokens)

    def copy(self) -> "Constraint":
        """Returns an independent copy of this state."""
        copied = copy(self)
        copied._matcher = self._matcher.deep_copy()
        copied._mask = self._mask.copy()
        copied._json_text = copy(self._json_text)
        copied._unique = self._unique.copy() if self._unique is not None else None
        copied._forced = self._forced.copy()
        return copied

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with catch_panics():
                yield
                failed = self._matcher.is_error()
            if failed and not self._failed:
                self._fail(self._matcher.get_error())
        except Exception as error:
            self._fail(str(error))

    def _fail(self, reason: str) -> None:
        log.warning("the constraint of a choice failed, the choice ends: %s", first_line(reason))
        self._failed = True


def _clear_bits(ids: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Returns the indexes of the mask words that hold the tokens, and bits to `and` them with."""
    return ids // 32, ~(np.uint32(1) << (ids % np.uint32(32)))
