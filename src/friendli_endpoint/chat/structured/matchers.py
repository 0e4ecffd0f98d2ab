"""Compiles grammars into matchers, each grammar once."""

import random
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np
from cachetools import LRUCache
from llguidance import LLMatcher, LLParserLimits

from friendli_endpoint.chat.structured.constraint import Constraint
from friendli_endpoint.chat.structured.digits import digit_masks
from friendli_endpoint.chat.structured.native import ConstraintError, contained, tokenizer_of
from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.generation import Grammar, Vocabulary

__all__ = ["CompiledGrammar", "MatcherCompiler"]

_MAX_KEPT = 128
"""Grammars that are kept though nobody uses them."""

_STACK_BYTES = 64 << 20
"""The compiler recurses once for each symbol of a sequence: 8 MiB end at 20,000 of them, and it
takes 65,525."""

_PROBE = 32
"""Tokens of an output that are tried before a grammar is taken."""


class CompiledGrammar:
    """A matcher at the beginning of the output; to be copied, not used.

    Args:
        matcher: The matcher.
        is_json: Whether the output is JSON, whose numbers are bounded.
    """

    def __init__(self, matcher: LLMatcher, is_json: bool) -> None:
        self.matcher = matcher
        self.is_json = is_json


class MatcherCompiler:
    """Compiles grammars for one vocabulary; safe to use from many threads.

    A grammar that somebody uses is never compiled again, and the last ones are kept beside.

    Args:
        vocabulary: The model's tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = tokenizer_of(vocabulary)
        self._digits = digit_masks(vocabulary)
        self._limits = LLParserLimits(
            verbose_errors=False,
            max_items_in_row=10_000,  # An object of n optional properties needs 4 n.
            max_grammar_size=200_000,
        )
        self._lock = Lock()
        self._used: WeakValueDictionary[Grammar, CompiledGrammar] = WeakValueDictionary()
        self._last: LRUCache[Grammar, CompiledGrammar] = LRUCache(_MAX_KEPT)

    def __contains__(self, grammar: Grammar) -> bool:
        """Whether a grammar is there compiled."""
        with self._lock:
            return grammar in self._used

    def compile(self, grammar: Grammar) -> CompiledGrammar:
        """The grammar as a matcher, compiled if it is not there.

        Raises:
            ConstraintError: The compiler does not take it, or fails at it.
        """
        with self._lock:
            found = self._used.get(grammar)
            if found is not None:
                self._last[grammar] = found
                return found
        matcher = on_deep_stack(lambda: self._compile(grammar), _STACK_BYTES)
        made = CompiledGrammar(matcher, grammar.kind == "json_schema")
        with self._lock:  # another thread may have been sooner
            compiled = self._last[grammar] = self._used.setdefault(grammar, made)
        return compiled

    def constraint(self, compiled: CompiledGrammar, end_ids: frozenset[int]) -> Constraint:
        """A constraint of its own for one choice.

        Args:
            compiled: The grammar.
            end_ids: Tokens that end the choice; allowed where the grammar is satisfied.
        """
        return Constraint(
            compiled.matcher.deep_copy(),
            self._tokenizer,
            self._vocabulary,
            end_ids,
            self._digits if compiled.is_json else None,
        )

    def _compile(self, grammar: Grammar) -> LLMatcher:
        with contained():
            try:
                written = self._as_native(grammar)
            except ValueError as error:
                raise ConstraintError(str(error)) from error
            matcher = LLMatcher(self._tokenizer, written, log_level=0, limits=self._limits)
            if matcher.is_error():
                raise ConstraintError(matcher.get_error())
            self._probe(matcher.deep_copy())
        return matcher

    @staticmethod
    def _as_native(grammar: Grammar) -> str:
        match grammar.kind:
            case "json_schema":
                return str(LLMatcher.grammar_from_json_schema(grammar.text))
            case "regex":
                return str(LLMatcher.grammar_from_regex(grammar.text))
            case "lark":
                return str(LLMatcher.grammar_from_lark(grammar.text))

    def _probe(self, matcher: LLMatcher) -> None:
        """Follows the beginning of an output: much of the work, and its limits, comes only then."""
        draw = random.Random(0)
        for _ in range(_PROBE):
            mask = np.frombuffer(matcher.compute_bitmask(), np.uint8)
            if matcher.is_error():
                raise ConstraintError(matcher.get_error())
            bits = np.unpackbits(mask, bitorder="little")
            allowed = np.flatnonzero(bits.view(np.bool_))  # of 49,152: 21 µs, and 90 of numbers
            if matcher.is_stopped():
                return
            if not allowed.size:
                raise ConstraintError("NoExtension")
            token = int(allowed[draw.randrange(allowed.size)])
            if token == self._tokenizer.eos_token:
                return
            if not matcher.consume_token(token):
                raise ConstraintError(matcher.get_error())
