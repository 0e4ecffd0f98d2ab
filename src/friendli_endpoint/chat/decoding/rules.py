"""Compiles decoding rules: what all choices of a request share is made once."""

from collections.abc import Collection
from functools import cached_property
from threading import Lock
from weakref import WeakValueDictionary

from cachetools import LRUCache, cachedmethod

from friendli_endpoint.chat.decoding.guide import ChoiceGuide
from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter, StopCriteria
from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.reasoning.splitter import Splitter
from friendli_endpoint.chat.reasoning.tag_masks import TagMasks
from friendli_endpoint.chat.stop_strings import StopSet
from friendli_endpoint.chat.structured import CompiledGrammar, MatcherCompiler
from friendli_endpoint.chat.tokens import TokenIndex, bitmask_without
from friendli_endpoint.generation import DecodingRules, ReasoningRule, Vocabulary

__all__ = ["CompiledRules", "RuleCompiler"]

_MAX_BORDERS = 16
"""TagMasks that are kept: one for each way in which reasoning and answers meet."""


class CompiledRules:
    """The rules of a request, ready for its choices; while it is held they are not compiled again.

    Args:
        rules: The rules.
        vocabulary: The model's tokens.
        matchers: Makes constraints.
        grammar: The grammar of the rules, if they have one.
        tag_masks: The tag_masks of their reasoning, if they have any.
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
            without_ends=bitmask_without(end_ids, vocabulary.size),
        )

    def guide(self) -> ChoiceGuide:
        """A guide for one choice."""
        criteria, reasoning = self._criteria, self._rules.reasoning
        splitter = Splitter(reasoning) if reasoning is not None else None
        interpreter = OutputInterpreter(criteria, self._vocabulary, splitter)
        thinking = None
        if reasoning is not None and splitter is not None and self._tag_masks is not None:
            thinking = ReasoningState(splitter, interpreter, self._tag_masks, reasoning.budget)
        constraint = None
        if self._grammar is not None:
            constraint = self._matchers.constraint(self._grammar, criteria.end_ids)
        return ChoiceGuide(criteria, self._vocabulary, interpreter, constraint, thinking)


class RuleCompiler:
    """Compiles the rules of requests for one vocabulary; safe to use from many threads.

    Args:
        vocabulary: The model's tokens.

    Attributes:
        vocabulary: The same.
        matchers: Compiles grammars.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.matchers = MatcherCompiler(vocabulary)
        self.vocabulary = vocabulary
        self._lock = Lock()
        self._used: WeakValueDictionary[DecodingRules, CompiledRules] = WeakValueDictionary()
        self._kept_borders: LRUCache[object, TagMasks] = LRUCache(_MAX_BORDERS)

    def compile(self, rules: DecodingRules) -> CompiledRules:
        """The rules, compiled unless somebody holds them.

        Raises:
            ConstraintError: The grammar cannot be compiled.
        """
        with self._lock:
            found = self._used.get(rules)
        if found is None:
            grammar = self.matchers.compile(rules.grammar) if rules.grammar is not None else None
            tag_masks = None
            if rules.reasoning is not None:
                tag_masks = self.tag_masks(rules.reasoning, rules.visible_ids)
            made = CompiledRules(rules, self.vocabulary, self.matchers, grammar, tag_masks)
            with self._lock:  # another thread may have been sooner
                found = self._used.setdefault(rules, made)
        return found

    def guide(self, rules: DecodingRules) -> ChoiceGuide:
        """A guide for one choice of a request: the endpoint's `GuideMaker`."""
        return self.compile(rules).guide()

    def tag_masks(self, rule: ReasoningRule, visible_ids: Collection[int]) -> TagMasks:
        """The tag_masks between reasoning and answer in tokens; takes a while the first time."""
        tags = ReasoningRule(rule.open, rule.close, rule.preludes, rule.interruptions, rule.trims)
        return self._tag_masks(tags, self.vocabulary.control_ids - frozenset(visible_ids))

    @cachedmethod(lambda self: self._kept_borders, lock=lambda self: self._lock)
    def _tag_masks(self, tags: ReasoningRule, silent: frozenset[int]) -> TagMasks:
        return TagMasks(tags, self.vocabulary, self._pieces, silent)

    @cached_property
    def _pieces(self) -> TokenIndex:
        return TokenIndex(self.vocabulary)
