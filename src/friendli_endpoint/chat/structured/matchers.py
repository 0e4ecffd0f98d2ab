"""Compiles grammars into matchers, each grammar once."""

import random
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np
from cachetools import LRUCache
from llguidance import LLMatcher, LLParserLimits

from friendli_endpoint.chat.structured.constraint import Constraint
from friendli_endpoint.chat.structured.json_text import JsonMasks
from friendli_endpoint.chat.structured.native import ConstraintError, catch_panics, tokenizer_of
from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.generation import Grammar, Vocabulary

__all__ = ["CompiledGrammar", "MatcherCompiler"]

_MAX_CACHED = 128
"""Number of most recent grammars that stay in memory though no choice uses them."""
_MAX_CACHED_BYTES = 256 << 20
"""Estimated size of these grammars, of which fewer stay if they are large."""

_STACK_BYTES = 64 << 20
"""The compiler recurses once for each symbol of a sequence: 8 MiB overflow at 20,000 symbols, and
it allows 65,525."""

_PROBE_TOKENS = 32
"""Number of output tokens that are tried before a grammar is considered compiled."""


class CompiledGrammar:
    """A matcher at the beginning of the output; copy it, never advance it.

    Args:
        matcher: The matcher.
        is_json: Whether the output is JSON, whose numbers and white space are bounded.
        num_bytes: Estimate of its size.
    """

    def __init__(self, matcher: LLMatcher, is_json: bool, num_bytes: int) -> None:
        self.matcher = matcher
        self.is_json = is_json
        self.num_bytes = num_bytes


class MatcherCompiler:
    """Compiles grammars for one vocabulary; thread-safe.

    A grammar in use is never compiled again; an LRU cache keeps the most recent ones alive.

    Args:
        vocabulary: The model's tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = tokenizer_of(vocabulary)
        self._json = JsonMasks(vocabulary)
        self._limits = LLParserLimits(
            verbose_errors=False,
            max_items_in_row=10_000,  # An object of n optional properties needs 4 n.
            max_grammar_size=200_000,
            # The default of 200,000 rejects a password rule of four look-aheads after 6 ms. With
            # this, it takes 20 ms.
            step_lexer_fuel=1_000_000,
        )
        self._lock = Lock()
        self._alive: WeakValueDictionary[Grammar, CompiledGrammar] = WeakValueDictionary()
        self._recent: LRUCache[Grammar, CompiledGrammar] = LRUCache(
            _MAX_CACHED_BYTES, lambda grammar: _cached_size(grammar.num_bytes)
        )

    def __contains__(self, grammar: Grammar) -> bool:
        """Whether the compiled grammar is in memory."""
        with self._lock:
            return grammar in self._alive

    def compile(self, grammar: Grammar) -> CompiledGrammar:
        """Returns the compiled grammar, compiling it if it is not in memory.

        Raises:
            ConstraintError: The compiler does not support the grammar, or failed.
        """
        with self._lock:
            cached = self._alive.get(grammar)
            if cached is not None:
                self._recent[grammar] = cached
                return cached
        matcher = on_deep_stack(lambda: self._compile(grammar), _STACK_BYTES)
        new = CompiledGrammar(matcher, grammar.kind == "json_schema", grammar.num_bytes)
        with self._lock:  # another thread may have compiled it first
            compiled = self._recent[grammar] = self._alive.setdefault(grammar, new)
        return compiled

    def constraint(self, compiled: CompiledGrammar, end_ids: frozenset[int]) -> Constraint:
        """Creates the constraint of one choice.

        Args:
            compiled: The grammar; its matcher is copied.
            end_ids: Tokens that end the choice; allowed where the grammar is satisfied.
        """
        return Constraint(
            compiled.matcher.deep_copy(),
            self._tokenizer,
            self._vocabulary,
            end_ids,
            self._json if compiled.is_json else None,
        )

    def _compile(self, grammar: Grammar) -> LLMatcher:
        with catch_panics():
            try:
                serialized = self._serialize(grammar)
            except ValueError as error:
                raise ConstraintError(str(error)) from error
            matcher = LLMatcher(self._tokenizer, serialized, log_level=0, limits=self._limits)
            if matcher.is_error():
                raise ConstraintError(matcher.get_error())
            self._probe(matcher.deep_copy())
        return matcher

    @staticmethod
    def _serialize(grammar: Grammar) -> str:
        match grammar.kind:
            case "json_schema":
                return str(LLMatcher.grammar_from_json_schema(grammar.text))
            case "regex":
                return str(LLMatcher.grammar_from_regex(grammar.text))
            case "lark":
                return str(LLMatcher.grammar_from_lark(grammar.text))

    def _probe(self, matcher: LLMatcher) -> None:
        """Generates the beginning of an output: much of the work, and its limits, are lazy."""
        rng = random.Random(0)
        # Where only one text is possible, the compiler tokenizes all of it for a mask, 6 ms for
        # 8,192 bytes, and does so again at the next position.
        forced = matcher.compute_ff_tokens()[:_PROBE_TOKENS]
        if not matcher.consume_tokens(forced):
            raise ConstraintError(matcher.get_error())
        for _ in range(_PROBE_TOKENS - len(forced)):
            mask = np.frombuffer(matcher.compute_bitmask(), np.uint8)
            if matcher.is_error():
                raise ConstraintError(matcher.get_error())
            bits = np.unpackbits(mask, bitorder="little")
            # As bools, 21 µs for 49,152 tokens; as numbers, 90 µs.
            allowed = np.flatnonzero(bits.view(np.bool_))
            if matcher.is_stopped():
                return
            if not allowed.size:
                raise ConstraintError("NoExtension")
            token = int(allowed[rng.randrange(allowed.size)])
            if token == self._tokenizer.eos_token:
                return
            if not matcher.consume_token(token):
                raise ConstraintError(matcher.get_error())


def _cached_size(num_bytes: int) -> int:
    """Returns the share of the cache that a grammar takes."""
    return min(max(num_bytes, _MAX_CACHED_BYTES // _MAX_CACHED), _MAX_CACHED_BYTES)
