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
from friendli_endpoint.chat.structured.unique_arrays import UniqueArrays
from friendli_endpoint.chat.structured.unique_items import UniqueItems
from friendli_endpoint.chat.structured.unique_masks import UniqueMasks
from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.generation import Grammar, Vocabulary
from friendli_endpoint.heap import trim_heap

__all__ = ["CompiledGrammar", "MatcherCompiler", "memory_for"]

_MAX_CACHED = 128
"""Number of most recent grammars that stay in memory though no choice uses them."""
_MAX_CACHED_BYTES = 256 << 20
"""Estimated size of these grammars, of which fewer stay if they are large."""

_STACK_BYTES = 64 << 20
"""The compiler recurses once for each symbol of a sequence: 8 MiB overflow at 20,000 symbols, and
it allows 65,525."""

_MAX_SYMBOLS = 200_000
_SYMBOL_BYTES = 750
"""Memory of a symbol in a compiled grammar: 600 to 900 bytes in the schemas that were measured."""
_FREE_BYTES, _BYTES_PER_CHARACTER = 7 << 19, 50
"""Memory that any compiled grammar may take, and more for each character of its field."""
_TOOL_BYTES = 7 << 9
"""Memory that a tool takes beside its symbols: as an object of the request, and for its name."""

_LARGE_CHARACTERS = 8 * 1024
"""Length of a grammar whose compilation takes memory that is worth returning to the system: twice
to four times the memory of the compiled grammar. So there is one compilation at a time."""
_MAX_PREFIX_SECONDS = 1.0
"""CPU time in which a prefix must be read. A byte takes 0.5 µs, but with a schema of 2,000 optional
properties 1.5 ms and 6 KB of memory."""

_PROBE_TOKENS = 32
"""Number of output tokens that are tried before a grammar is considered compiled."""


class CompiledGrammar:
    """A matcher at the beginning of the output; copy it, never advance it.

    Args:
        matcher: The matcher.
        is_json: Whether the output is JSON, whose numbers and white space are bounded.
        num_bytes: Estimate of its size.
        unique: The arrays of the schema whose items must differ; None if there are none.
    """

    def __init__(
        self,
        matcher: LLMatcher,
        is_json: bool,
        num_bytes: int,
        unique: UniqueArrays | None = None,
    ) -> None:
        self.matcher = matcher
        self.is_json = is_json
        self.num_bytes = num_bytes
        self.unique = unique


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
        self._masks_of_items: UniqueMasks | None = None
        self._lock = Lock()
        self._compiling_large = Lock()
        self._alive: WeakValueDictionary[Grammar, CompiledGrammar] = WeakValueDictionary()
        self._recent: LRUCache[Grammar, CompiledGrammar] = LRUCache(
            _MAX_CACHED_BYTES, lambda grammar: _cached_size(grammar.num_bytes)
        )

    def __contains__(self, grammar: Grammar) -> bool:
        """Whether the compiled grammar is in memory."""
        with self._lock:
            return grammar in self._alive

    def compile(self, grammar: Grammar, max_bytes: int | None = None) -> CompiledGrammar:
        """Returns the compiled grammar, compiling it if it is not in memory.

        Args:
            grammar: The grammar.
            max_bytes: Memory that the compiled grammar may take, see `memory_for`; None for a
                grammar that was compiled before, by a worker.

        Raises:
            ConstraintError: The compiler does not support the grammar, or failed.
        """
        with self._lock:
            cached = self._alive.get(grammar)
            if cached is not None:
                self._recent[grammar] = cached
                return cached
        max_symbols = _MAX_SYMBOLS
        if max_bytes is not None:
            max_symbols = min(max(0, max_bytes) // _SYMBOL_BYTES, _MAX_SYMBOLS)
        if len(grammar.text) <= _LARGE_CHARACTERS:
            return self._compile_and_keep(grammar, max_symbols)
        with self._compiling_large:
            try:
                return self._compile_and_keep(grammar, max_symbols)
            finally:
                trim_heap()

    def _compile_and_keep(self, grammar: Grammar, max_symbols: int) -> CompiledGrammar:
        with self._lock:
            cached = self._alive.get(grammar)
        if cached is not None:
            return cached
        is_json, unique = grammar.kind == "json_schema", None
        text = grammar.text
        if is_json:
            text, unique = UniqueArrays.of_text(text)
        taken = Grammar(grammar.kind, text)
        matcher = on_deep_stack(lambda: self._compile(taken, max_symbols), _STACK_BYTES)
        if unique is not None:
            self._unique_masks()  # a tenth of a second, once
        new = CompiledGrammar(matcher, is_json, grammar.num_bytes, unique)
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
            UniqueItems(compiled.unique, self._unique_masks()) if compiled.unique else None,
        )

    def _unique_masks(self) -> UniqueMasks:
        with self._lock:
            if self._masks_of_items is None:
                self._masks_of_items = UniqueMasks(self._vocabulary)
            return self._masks_of_items

    def rest_of_prefix(self, grammar: Grammar, prefix: str) -> str:
        """Returns the part of a prefix that a grammar does not allow as the beginning of an answer.

        Raises:
            ConstraintError: The compiler does not support the grammar, or failed; or reading the
                prefix takes too long.
        """
        constraint = self.constraint(self.compile(grammar), frozenset())
        return constraint.read_prefix(prefix, _MAX_PREFIX_SECONDS)

    def _compile(self, grammar: Grammar, max_symbols: int) -> LLMatcher:
        with catch_panics():
            try:
                serialized = self._serialize(grammar)
            except ValueError as error:
                raise ConstraintError(str(error)) from error
            limits = LLParserLimits(
                verbose_errors=False,
                max_items_in_row=10_000,  # An object of n optional properties needs 4 n.
                # With the default of 50,000, versions before 1.8 reject 2,000 optional properties.
                step_max_items=100_000,
                max_grammar_size=max_symbols,
                # The default of 200,000 rejects a password rule of four look-aheads after 6 ms.
                # With this, it takes 20 ms.
                step_lexer_fuel=1_000_000,
            )
            matcher = LLMatcher(self._tokenizer, serialized, log_level=0, limits=limits)
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


def memory_for(num_characters: int, num_tools: int = 0) -> int:
    """Returns the memory that the compiled grammar of a field of a request may take, in bytes.

    A request may take 4 MiB and 50 times its size. Of 1,009 published schemas of more than 2,000
    characters, 2 take more.

    Args:
        num_characters: Number of characters of the field.
        num_tools: Number of tools in it.
    """
    return _FREE_BYTES + _BYTES_PER_CHARACTER * num_characters - _TOOL_BYTES * num_tools


def _cached_size(num_bytes: int) -> int:
    """Returns the share of the cache that a grammar takes."""
    return min(max(num_bytes, _MAX_CACHED_BYTES // _MAX_CACHED), _MAX_CACHED_BYTES)
