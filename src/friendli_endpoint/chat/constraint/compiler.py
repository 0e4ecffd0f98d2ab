"""Schemas, regular expressions and grammars to matchers, each compiled once."""

import json
import random
from collections.abc import Callable
from time import monotonic

import numpy as np
from llguidance import LLMatcher, LLParserLimits

from friendli_endpoint.chat.constraint.digits import DigitMasks, digit_masks
from friendli_endpoint.chat.constraint.following import Constraint
from friendli_endpoint.chat.constraint.native import (
    ConstraintError,
    contained,
    first_line,
    tokenizer_of,
)
from friendli_endpoint.chat.constraint.recent import RecentMatchers
from friendli_endpoint.chat.pattern import PatternError, whole_pattern
from friendli_endpoint.chat.schema import (
    LAYOUTS,
    FitSchema,
    JsonLayout,
    fault_of,
    fit_schema,
    in_words,
    schema_text,
)
from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.generation import Refusal, Vocabulary

__all__ = ["ConstraintCompiler"]

_KEPT = 128
_LONGEST_REGEX = 16 * 1024
_STACK_BYTES = 64 << 20
"""The compiler recurses once for each symbol of a sequence: 8 MiB end at 20,000 of them, and it
takes 65,525."""

_PROBE = 32
"""Tokens of an output that are tried before a grammar is taken."""


class ConstraintCompiler:
    """Compiles the constraints of requests for one model; safe to use from many threads.

    Args:
        vocabulary: The model's tokens.
        compiled: Told how many seconds each compilation took, in vain or not.
        layout: How the JSON of a schema is written.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        compiled: Callable[[float], None] = lambda _seconds: None,
        layout: JsonLayout = "free",
    ) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = tokenizer_of(vocabulary)
        self._limits = LLParserLimits(
            verbose_errors=False,
            max_items_in_row=10_000,  # An object of n optional properties needs 4 n.
            max_grammar_size=200_000,
        )
        self._digits = digit_masks(vocabulary)
        self._recent = RecentMatchers(_KEPT)
        self._compiled = compiled
        self._layout = LAYOUTS[layout]

    def json_schema(self, schema: object, end_ids: frozenset[int], param: str) -> Constraint:
        """Output is a JSON value that a schema allows.

        Raises:
            Refusal: The schema cannot be enforced; names the keyword and its place.
        """
        return self._constraint(self._of_schema(schema, param), end_ids, self._digits)

    def check_schema(self, schema: object, param: str) -> None:
        """Compiles a schema that will be part of a grammar.

        Raises:
            Refusal: The schema cannot be enforced; names the keyword and its place.
        """
        self._of_schema(schema, param)

    def regex(self, pattern: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Output is a text that a regular expression matches as a whole.

        Raises:
            Refusal: The pattern cannot be enforced.
        """
        return self._constraint(self._of_regex(pattern, param), end_ids)

    def lark(self, grammar: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Output is what a grammar in llguidance's dialect of Lark allows.

        Raises:
            Refusal: The grammar cannot be enforced.
        """
        return self._constraint(self._of_lark(grammar, param), end_ids)

    def _constraint(
        self, matcher: LLMatcher, end_ids: frozenset[int], digits: DigitMasks | None = None
    ) -> Constraint:
        own = matcher.deep_copy()
        return Constraint(own, self._tokenizer, self._vocabulary, end_ids, digits)

    def _of_schema(self, schema: object, param: str) -> LLMatcher:
        def compiled() -> LLMatcher:
            fit = fit_schema(schema, param)
            try:
                return self._compile(lambda: self._grammar(fit.root))
            except (ConstraintError, ValueError) as error:
                raise self._unfit(fit, str(error), param) from error

        return self._kept("json " + schema_text(schema, param), compiled)

    def _of_regex(self, pattern: str, param: str) -> LLMatcher:
        if len(pattern) > _LONGEST_REGEX:
            raise Refusal(
                f"{param} must have at most {_LONGEST_REGEX:,} characters",
                param=param,
                code="invalid_regex",
            )
        try:
            written = whole_pattern(pattern)
        except PatternError as error:
            raise _refusal(param, str(error), "unsupported_regex") from error

        def compiled() -> LLMatcher:
            try:
                return self._compile(lambda: LLMatcher.grammar_from_regex(written))
            except (ConstraintError, ValueError) as error:
                reason = in_words(first_line(str(error)))
                raise _refusal(param, reason, "unsupported_regex") from error

        return self._kept("regex " + written, compiled)

    def _of_lark(self, grammar: str, param: str) -> LLMatcher:
        def compiled() -> LLMatcher:
            try:
                return self._compile(lambda: str(LLMatcher.grammar_from_lark(grammar)))
            except (ConstraintError, ValueError) as error:
                reason = in_words(" ".join(str(error).split()))
                raise _refusal(param, reason, "unsupported_schema") from error

        return self._kept("lark " + grammar, compiled)

    def _kept(self, key: str, compile_it: Callable[[], LLMatcher]) -> LLMatcher:
        """The matcher of a key; tells of the time that its compilation takes."""

        def timed() -> LLMatcher:
            begun = monotonic()
            try:
                return compile_it()
            finally:
                self._compiled(monotonic() - begun)

        return self._recent.get(key, timed)

    def _unfit(self, fit: FitSchema, message: str, param: str) -> Refusal:
        """The compiler's refusal, at the innermost schema that has the same fault."""

        def complaint(part: dict[str, object]) -> str | None:
            try:
                self._compile(lambda: self._grammar({**part, "$defs": fit.definitions}))
            except (ConstraintError, ValueError) as error:
                return first_line(str(error))
            return None

        return fault_of(fit.parts, first_line(message), complaint).refusal(param)

    def _grammar(self, schema: dict[str, object]) -> str:
        laid_out = json.dumps({**schema, "x-guidance": self._layout})
        return str(LLMatcher.grammar_from_json_schema(laid_out))

    def _compile(self, grammar: Callable[[], str]) -> LLMatcher:
        return on_deep_stack(lambda: self._compile_here(grammar), _STACK_BYTES)

    def _compile_here(self, grammar: Callable[[], str]) -> LLMatcher:
        with contained():
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
            bits = np.unpackbits(mask, bitorder="little")
            allowed = np.flatnonzero(bits.view(np.bool_))  # Of 49,152: 21 µs, and 90 of numbers.
            if matcher.is_stopped():
                return
            if not allowed.size:
                raise ConstraintError("NoExtension")
            token = int(allowed[draw.randrange(allowed.size)])
            if token == self._tokenizer.eos_token:
                return
            if not matcher.consume_token(token):
                raise ConstraintError(matcher.get_error())


def _refusal(param: str, reason: str, code: str) -> Refusal:
    return Refusal(f"{param} cannot be enforced: {reason}", param=param, code=code)
