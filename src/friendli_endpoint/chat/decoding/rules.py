"""Compiles decoding rules; the choices of a request share the result."""

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from threading import Lock
from weakref import WeakValueDictionary

from cachetools import LRUCache, cachedmethod

from friendli_endpoint.chat.decoding.guide import ChoiceGuide
from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter, StopCriteria
from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.reasoning.splitter import ReasoningSplitter
from friendli_endpoint.chat.reasoning.tag_masks import TagMasks
from friendli_endpoint.chat.stop_strings import StopSet
from friendli_endpoint.chat.structured import CompiledGrammar, Constraint, MatcherCompiler
from friendli_endpoint.chat.tokens import TokenIndex, bitmask_without
from friendli_endpoint.generation import DecodingRules, GuideMaker, ReasoningRule, Vocabulary

__all__ = ["CompiledRules", "RuleCompiler", "guide_maker"]

_MAX_TAG_MASKS = 16
"""Maximum number of cached tag masks: one for each combination of tags and options."""


class CompiledRules:
    """Compiled rules of a request; equal rules are not compiled again while this object lives.

    Args:
        rules: The rules.
        vocabulary: The model's tokens.
        matchers: Creates constraints.
        grammar: The compiled grammar of the rules, or None.
        tag_masks: The tag masks of their reasoning, or None.
    """

    def __init__(
        self,
        rules: DecodingRules,
        vocabulary: Vocabulary,
        matchers: MatcherCompiler,
        grammar: CompiledGrammar | None,
        tag_masks: TagMasks | None,
    ) -> None:
        self._rules = rules
        self._vocabulary = vocabulary
        self._matchers = matchers
        self._grammar = grammar
        self._tag_masks = tag_masks
        end_ids = frozenset(rules.end_ids)
        self._criteria = StopCriteria(
            end_ids=end_ids,
            suppressed_ids=(vocabulary.control_ids - frozenset(rules.visible_ids)) | end_ids,
            stops=StopSet(rules.stop) if rules.stop else None,
            min_tokens=rules.min_tokens,
            no_end_mask=bitmask_without(end_ids, vocabulary.size),
        )
        self._prefixed: Constraint | None = None
        if grammar is not None and rules.answer_prefix:  # read only once for all choices
            self._prefixed = matchers.constraint(grammar, end_ids)
            self._prefixed.read_prefix(rules.answer_prefix)

    def guide(self) -> ChoiceGuide:
        """Returns a new guide for one choice."""
        criteria, reasoning = self._criteria, self._rules.reasoning
        splitter = ReasoningSplitter(reasoning) if reasoning is not None else None
        interpreter = OutputInterpreter(criteria, self._vocabulary, splitter)
        reasoning_state = None
        if reasoning is not None and splitter is not None and self._tag_masks is not None:
            reasoning_state = ReasoningState(
                splitter, interpreter, self._tag_masks, reasoning.budget
            )
        constraint = None
        if self._prefixed is not None:
            constraint = self._prefixed.copy()
        elif self._grammar is not None:
            constraint = self._matchers.constraint(self._grammar, criteria.end_ids)
        return ChoiceGuide(criteria, self._vocabulary, interpreter, constraint, reasoning_state)


class RuleCompiler:
    """Compiles the rules of requests for one vocabulary; thread-safe.

    Args:
        vocabulary: The model's tokens.

    Attributes:
        vocabulary: The model's tokens.
        matchers: Compiles grammars.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.matchers = MatcherCompiler(vocabulary)
        self.vocabulary = vocabulary
        self._lock = Lock()
        self._live: WeakValueDictionary[DecodingRules, CompiledRules] = WeakValueDictionary()
        self._tag_masks_cache: LRUCache[object, TagMasks] = LRUCache(_MAX_TAG_MASKS)

    def compile(self, rules: DecodingRules) -> CompiledRules:
        """Compiles rules, or returns the compiled rules of a live request with equal rules.

        Raises:
            ConstraintError: The grammar cannot be compiled.
        """
        with self._lock:
            compiled = self._live.get(rules)
        if compiled is None:
            grammar = self.matchers.compile(rules.grammar) if rules.grammar is not None else None
            tag_masks = None
            if rules.reasoning is not None:
                tag_masks = self.tag_masks(rules.reasoning, rules.visible_ids)
            new = CompiledRules(rules, self.vocabulary, self.matchers, grammar, tag_masks)
            with self._lock:  # another thread may have been faster
                compiled = self._live.setdefault(rules, new)
        return compiled

    def guide(self, rules: DecodingRules) -> ChoiceGuide:
        """Returns a new guide for one choice of a request; the endpoint's `GuideMaker`."""
        return self.compile(rules).guide()

    def tag_masks(self, rule: ReasoningRule, visible_ids: Collection[int]) -> TagMasks:
        """Returns the tag masks of a reasoning rule; slow when they are not cached yet."""
        tags = replace(rule, start="start", budget=None)
        return self._tag_masks(tags, self.vocabulary.control_ids - frozenset(visible_ids))

    @cachedmethod(lambda self: self._tag_masks_cache, lock=lambda self: self._lock)
    def _tag_masks(self, tags: ReasoningRule, suppressed_ids: frozenset[int]) -> TagMasks:
        return TagMasks(tags, self.vocabulary, self._token_index, suppressed_ids)

    @cached_property
    def _token_index(self) -> TokenIndex:
        return TokenIndex(self.vocabulary)


def guide_maker(vocabulary: Vocabulary) -> GuideMaker:
    """Returns the endpoint's `GuideMaker`; engines in other processes know it by its dotted name.

    Args:
        vocabulary: The model's tokens.
    """
    return RuleCompiler(vocabulary).guide
