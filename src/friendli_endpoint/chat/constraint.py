"""Constraints on the output: compiled by llguidance, one matcher a choice.

A grammar is compiled once and kept in a cache of bounded size; each choice works on a copy of the
matcher. The compiler is native code and may fail in its own ways, a panic included; all of them
become a `Refusal` where the request is checked, and a `ConstraintError` where it runs, so that a
constraint can only ever fail its own request.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from friendli_endpoint.chat.schema import explained, prepared
from friendli_endpoint.generation import Refusal, Vocabulary

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

__all__ = ["Constraint", "ConstraintCompiler", "ConstraintError"]

_CACHED = 128
"""Compiled grammars that are kept, by least recent use."""

_WHITESPACE = r"( |\n {0,16})?"
"""Between two tokens of JSON: nothing, a space, or a new line and its indentation. Unbounded white
space is a trap that small models do not leave."""

_LONGEST_REGEX = 16 * 1024


class ConstraintError(Exception):
    """A constraint that was accepted cannot be followed any further."""


class Constraint:
    """The state of one choice under a grammar.

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
        self._mask = np.zeros((size + 31) // 32, np.uint32)

    def mask(self) -> NDArray[np.uint32]:
        """The tokens that the grammar allows next; valid until the next call."""
        with _contained():
            self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        words, bits = self._end_ids // 32, np.uint32(1) << (self._end_ids % np.uint32(32))
        if self.satisfied:
            np.bitwise_or.at(self._mask, words, bits)
        else:
            np.bitwise_and.at(self._mask, words, ~bits)
        return self._mask

    def forced(self) -> list[int]:
        """Tokens that the grammar leaves no choice about."""
        with _contained():
            return list(self._matcher.compute_ff_tokens())

    @property
    def satisfied(self) -> bool:
        """Whether the output may end here."""
        with _contained():
            return bool(self._matcher.is_accepting())

    def accept(self, token_id: int) -> bool:
        """Takes a token that is no end; answers whether the output must end here.

        Raises:
            ConstraintError: The grammar does not allow it.
        """
        with _contained():
            taken = self._matcher.consume_token(token_id)
        if not taken:
            self._check()
            raise ConstraintError(f"the grammar does not allow token {token_id} here")
        with _contained():
            return bool(self._matcher.is_stopped())

    def accept_bytes(self, text: bytes) -> bool:
        """Takes text that came in a token together with something else, as `accept` does.

        Raises:
            ConstraintError: The grammar does not allow it.
        """
        with _contained():
            tokens = self._tokenizer.greedy_tokenize(text.decode(errors="replace"))
        ended = False
        for token in tokens:
            ended = self.accept(token)
        return ended

    def _check(self) -> None:
        with _contained():
            failed = self._matcher.is_error()
        if failed:
            raise ConstraintError(_first_line(self._matcher.get_error()))


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
        self._limits = LLParserLimits(verbose_errors=False)
        self._cache: OrderedDict[str, LLMatcher] = OrderedDict()
        self._gate = threading.Lock()

    def json_schema(self, schema: object, end_ids: frozenset[int], param: str) -> Constraint:
        """Output is a JSON value that a schema allows.

        Raises:
            Refusal: The schema cannot be enforced; names the keyword and its place.
        """
        fit = prepared(schema, param)
        options: JsonCompileOptions = {
            "whitespace_flexible": True,
            "whitespace_pattern": _WHITESPACE,
        }

        def grammar() -> str:
            return str(LLMatcher.grammar_from_json_schema(json.dumps(fit), overrides=options))

        return self._constraint(
            "json " + json.dumps(fit),
            grammar,
            end_ids,
            lambda message: explained(message, fit, param),
        )

    def regex(self, pattern: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Output is a text that a regular expression matches as a whole.

        A leading `^` and a trailing `$` say nothing and are taken off.

        Raises:
            Refusal: The pattern cannot be enforced.
        """
        if len(pattern) > _LONGEST_REGEX:
            raise Refusal(
                f"{param} must have at most {_LONGEST_REGEX:,} characters",
                param=param,
                code="invalid_regex",
            )

        def refusal(message: str) -> Refusal:
            reason = " ".join(message.split())[:300]
            return Refusal(
                f"{param} cannot be enforced: {reason}", param=param, code="unsupported_regex"
            )

        return self._constraint(
            "regex " + pattern,
            lambda: str(LLMatcher.grammar_from_regex(_unanchored(pattern))),
            end_ids,
            refusal,
        )

    def _constraint(
        self,
        key: str,
        grammar: Callable[[], str],
        end_ids: frozenset[int],
        refusal: Callable[[str], Refusal],
    ) -> Constraint:
        with self._gate:
            matcher = self._cache.get(key)
            if matcher is not None:
                self._cache.move_to_end(key)
        if matcher is None:
            try:
                matcher = self._compile(grammar)
            except (ConstraintError, ValueError) as error:
                raise refusal(str(error)) from error
            with self._gate:
                self._cache[key] = matcher
                while len(self._cache) > _CACHED:
                    self._cache.popitem(last=False)
        size = self._vocabulary.size
        return Constraint(matcher.deep_copy(), self._tokenizer, end_ids, size)

    def _compile(self, grammar: Callable[[], str]) -> LLMatcher:
        with _contained():
            matcher = LLMatcher(self._tokenizer, grammar(), limits=self._limits)
            if not matcher.is_error():
                matcher.deep_copy().compute_bitmask()
        if matcher.is_error():
            raise ConstraintError(matcher.get_error())
        return matcher


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


def _unanchored(pattern: str) -> str:
    pattern = pattern.removeprefix("^")
    slashes = len(pattern[:-1]) - len(pattern[:-1].rstrip("\\"))
    return pattern[:-1] if pattern.endswith("$") and slashes % 2 == 0 else pattern


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
