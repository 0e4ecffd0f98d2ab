"""Constraints on the output: compiled by llguidance, one matcher a choice.

A grammar is compiled once and kept in a cache of bounded size; each choice works on a copy of the
matcher. The compiler is native code and may fail in its own ways, a panic included; all of them
become a `Refusal` where the request is checked, and the end of the choice where it runs, so that a
constraint can only ever cut short its own request.
"""

import json
import logging
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from friendli_endpoint.chat.pattern import PatternError, whole_pattern
from friendli_endpoint.chat.schema import (
    OPTIONS,
    FitSchema,
    fault_of,
    fit_schema,
    in_words,
    schema_text,
)
from friendli_endpoint.generation import Refusal, Vocabulary

__all__ = ["Constraint", "ConstraintCompiler"]

log = logging.getLogger("friendli_endpoint.chat")

_CACHED = 128
"""Compiled grammars that are kept, by least recent use."""

_LONGEST_REGEX = 16 * 1024

_MOST_ITEMS = 10_000
"""States of the parser at one position; an object of n optional properties needs 4 n."""

_MOST_SYMBOLS = 200_000

_PROBE = 32
"""Tokens of an output that are tried before a grammar is taken."""


class ConstraintError(Exception):
    """The compiler does not take a grammar, or failed at it."""


class Constraint:
    """The state of one choice under a grammar.

    Where the compiler gives up in the middle of an output, because it has become too much work or
    because nothing can follow, no token is allowed any more and the output counts as unfinished.

    Args:
        matcher: A fresh matcher of its own.
        tokenizer: The compiler's view of the vocabulary.
        end_ids: Tokens that end the choice; allowed where the grammar is satisfied.
        size: Number of token ids.
    """

    def __init__(
        self, matcher: LLMatcher, tokenizer: LLTokenizer, end_ids: frozenset[int], size: int
    ) -> None:
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._end_ids = np.array(sorted(end_ids), np.uint32)
        self._compilers_end = np.array([tokenizer.eos_token], np.uint32)
        self._mask = np.zeros((size + 31) // 32, np.uint32)
        self._failed = False

    def mask(self) -> NDArray[np.uint32]:
        """The tokens that the grammar allows next; valid until the next call."""
        if not self._failed:
            with self._guarded():
                self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        if self._failed:
            self._mask.fill(0)
            return self._mask
        # The compiler's own end is an ordinary token where the request has others.
        np.bitwise_and.at(self._mask, *_clearing(self._compilers_end))
        np.bitwise_and.at(self._mask, *_clearing(self._end_ids))
        if self.satisfied:
            words, bits = _clearing(self._end_ids)
            np.bitwise_or.at(self._mask, words, ~bits)
        return self._mask

    def forced(self) -> list[int]:
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
        return copied

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with _contained():
                yield
                failed = self._matcher.is_error()
            if failed and not self._failed:
                self._give_up(self._matcher.get_error())
        except Exception as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        log.warning("a constraint cannot be followed any further: %s", _first_line(reason))
        self._failed = True


class ConstraintCompiler:
    """Compiles the constraints of requests for one model; safe to use from many threads.

    Args:
        vocabulary: The model's tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = LLTokenizer(
            TokenizerWrapper(_TokenizerView(vocabulary)), eos_token=_end_of(vocabulary)
        )
        self._limits = LLParserLimits(
            verbose_errors=False, max_items_in_row=_MOST_ITEMS, max_grammar_size=_MOST_SYMBOLS
        )
        self._cache: OrderedDict[str, LLMatcher] = OrderedDict()
        self._gate = threading.Lock()

    def json_schema(self, schema: object, end_ids: frozenset[int], param: str) -> Constraint:
        """Output is a JSON value that a schema allows.

        Raises:
            Refusal: The schema cannot be enforced; names the keyword and its place.
        """
        key = "json " + schema_text(schema, param)
        kept = self._kept(key)
        if kept is not None:
            return self._constraint(kept, end_ids)
        fit = fit_schema(schema, param)
        text = json.dumps(fit.root)
        try:
            matcher = self._compile(lambda: str(LLMatcher.grammar_from_json_schema(text)))
        except (ConstraintError, ValueError) as error:
            raise self._unfit(fit, str(error), param) from error
        self._keep(key, matcher)
        return self._constraint(matcher, end_ids)

    def regex(self, pattern: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Output is a text that a regular expression matches as a whole.

        Raises:
            Refusal: The pattern cannot be enforced.
        """

        def refusal(reason: str) -> Refusal:
            return Refusal(
                f"{param} cannot be enforced: {reason}", param=param, code="unsupported_regex"
            )

        if len(pattern) > _LONGEST_REGEX:
            raise Refusal(
                f"{param} must have at most {_LONGEST_REGEX:,} characters",
                param=param,
                code="invalid_regex",
            )
        try:
            written = whole_pattern(pattern)
        except PatternError as error:
            raise refusal(str(error)) from error
        return self._followed(
            "regex " + written,
            lambda: LLMatcher.grammar_from_regex(written),
            end_ids,
            lambda message: refusal(in_words(_first_line(message))),
        )

    def _unfit(self, fit: FitSchema, message: str, param: str) -> Refusal:
        """The compiler's refusal, at the innermost schema that has the same fault."""

        def complaint(part: dict[str, Any]) -> str | None:
            text = json.dumps({**part, "$defs": fit.definitions, "x-guidance": OPTIONS})
            try:
                self._compile(lambda: str(LLMatcher.grammar_from_json_schema(text)))
            except (ConstraintError, ValueError) as error:
                return _first_line(str(error))
            return None

        return fault_of(fit.parts, _first_line(message), complaint).refusal(param)

    def lark(self, grammar: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Output is what a grammar in llguidance's dialect of Lark allows.

        Raises:
            Refusal: The grammar cannot be enforced.
        """

        def refusal(message: str) -> Refusal:
            reason = " ".join(message.split())[:300]
            return Refusal(
                f"{param} cannot be enforced: {reason}", param=param, code="unsupported_schema"
            )

        return self._followed(
            "lark " + grammar, lambda: str(LLMatcher.grammar_from_lark(grammar)), end_ids, refusal
        )

    def _followed(
        self,
        key: str,
        grammar: Callable[[], str],
        end_ids: frozenset[int],
        refusal: Callable[[str], Refusal],
    ) -> Constraint:
        matcher = self._kept(key)
        if matcher is None:
            try:
                matcher = self._compile(grammar)
            except (ConstraintError, ValueError) as error:
                raise refusal(str(error)) from error
            self._keep(key, matcher)
        return self._constraint(matcher, end_ids)

    def _constraint(self, matcher: LLMatcher, end_ids: frozenset[int]) -> Constraint:
        size = self._vocabulary.size
        return Constraint(matcher.deep_copy(), self._tokenizer, end_ids, size)

    def _kept(self, key: str) -> LLMatcher | None:
        with self._gate:
            matcher = self._cache.get(key)
            if matcher is not None:
                self._cache.move_to_end(key)
            return matcher

    def _keep(self, key: str, matcher: LLMatcher) -> None:
        with self._gate:
            self._cache[key] = matcher
            while len(self._cache) > _CACHED:
                self._cache.popitem(last=False)

    def _compile(self, grammar: Callable[[], str]) -> LLMatcher:
        with _contained():
            matcher = LLMatcher(self._tokenizer, grammar(), log_level=0, limits=self._limits)
            if matcher.is_error():
                raise ConstraintError(matcher.get_error())
            self._probe(matcher.deep_copy())
        return matcher

    def _probe(self, matcher: LLMatcher) -> None:
        """Follows the beginning of an output: much of the work, and its limits, comes only then."""
        draw = random.Random(0)
        for _ in range(_PROBE):
            mask = np.frombuffer(matcher.compute_bitmask(), np.uint8)
            if matcher.is_error():
                raise ConstraintError(matcher.get_error())
            allowed = np.flatnonzero(np.unpackbits(mask, bitorder="little"))
            if matcher.is_stopped():
                return
            if not allowed.size:
                raise ConstraintError("NoExtension")
            token = int(allowed[draw.randrange(allowed.size)])
            if token == self._tokenizer.eos_token:
                return
            if not matcher.consume_token(token):
                raise ConstraintError(matcher.get_error())


class _TokenizerView:
    """What the compiler asks of a tokenizer; control tokens' bytes begin with 0xff."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.eos_token_id = _end_of(vocabulary)
        self.bos_token_id = vocabulary.bos_id
        self.special_token_ids = sorted(vocabulary.control_ids)
        self.tokens = [
            b"\xff" * (token in vocabulary.control_ids) + vocabulary.piece(token)
            for token in range(vocabulary.size)
        ]

    def __call__(self, text: str | bytes) -> list[int]:
        readable = text if isinstance(text, str) else text.decode(errors="replace")
        return self._vocabulary.tokenize(readable, False)


def _end_of(vocabulary: Vocabulary) -> int:
    return vocabulary.eos_id if vocabulary.eos_id is not None else min(vocabulary.end_ids)


def _clearing(ids: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The words of a mask that tokens are in, and what to `and` them with to forbid the tokens."""
    return ids // 32, ~(np.uint32(1) << (ids % np.uint32(32)))


@contextmanager
def _contained() -> Iterator[None]:
    """Turns a panic of the native code, which is no `Exception`, into a `ConstraintError`."""
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as panic:
        raise ConstraintError(f"the constraint engine failed: {panic}") from panic


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0]
