"""Helpers for the tests of `chat/`: request bodies, constraints, and readers of choices."""

import dataclasses
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

import numpy as np

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.decoding.guide import ChoiceGuide
from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter, StopCriteria
from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.output.reader import Delta, Reader
from friendli_endpoint.chat.reasoning.splitter import ReasoningSplitter
from friendli_endpoint.chat.reasoning.tag_masks import TagMasks
from friendli_endpoint.chat.request.validation import ModelFacts, validate
from friendli_endpoint.chat.stop_strings import StopSet
from friendli_endpoint.chat.structured import Constraint, GrammarMaker, MatcherCompiler
from friendli_endpoint.chat.structured.json_schema import JsonLayout
from friendli_endpoint.chat.tokens import Bitmask, TokenIndex, bitmask_without
from friendli_endpoint.chat.tools import Family
from friendli_endpoint.chat.tools.toolbox import Toolbox, ToolCompiler
from friendli_endpoint.generation import (
    FinishReason,
    GenerationRequest,
    Grammar,
    ReasoningRule,
    TokenLogprob,
    TokenStep,
    Vocabulary,
)
from tests.support.scripted import ScriptedVocabulary

__all__ = [
    "CHOICES",
    "USER",
    "ChoiceReader",
    "ConstraintMaker",
    "OpenVocabulary",
    "body_of",
    "chat_model",
    "choice_guide",
    "criteria_of",
    "prompt_ids",
    "set_bits",
    "tag_masks_of",
    "tool_compiler",
    "toolbox_of",
]

USER = {"role": "user", "content": "hi"}

CHOICES: list[tuple[dict[str, Any], bool, bool, list[str]]] = [
    ({}, False, True, ["look", "ask"]),
    ({"tool_choice": "auto"}, False, True, ["look", "ask"]),
    ({"tool_choice": "required"}, True, True, ["look", "ask"]),
    ({"tool_choice": {"type": "function", "function": {"name": "ask"}}}, True, False, ["ask"]),
    ({"parallel_tool_calls": True}, False, True, ["look", "ask"]),
    ({"parallel_tool_calls": False}, False, False, ["look", "ask"]),
    ({"tool_choice": "required", "parallel_tool_calls": False}, True, False, ["look", "ask"]),
    (
        {
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "parallel_tool_calls": True,
        },
        True,
        False,
        ["look"],
    ),
]
"""Fields of a request with the tools `look` and `ask`; whether a call is required, whether several
are allowed, and the tools that may be called."""


def body_of(**fields: Any) -> DedicatedChatCompletionBody:
    """Returns a request body with these fields, and with one message by default."""
    return DedicatedChatCompletionBody.model_validate({"model": "m", "messages": [USER], **fields})


def chat_model(
    vocabulary: ScriptedVocabulary, template: str, defaults: ChatDefaults | None = None
) -> ChatModel:
    """Returns a chat model of a vocabulary, with its own rule compiler."""
    return ChatModel(RuleCompiler(vocabulary), template, vocabulary.context, defaults)


def prompt_ids(request: GenerationRequest) -> list[int]:
    """Returns the tokens of a text-only prompt."""
    return list(request.prompt_ids)


def set_bits(mask: Bitmask, vocabulary: Vocabulary) -> set[int]:
    """Returns the tokens that a mask allows."""
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return {int(token) for token in np.flatnonzero(bits[: vocabulary.size])}


class OpenVocabulary(ScriptedVocabulary):
    """A vocabulary that adds a token for any bytes on demand, after the existing ids."""

    def token_of(self, data: bytes) -> int:
        """Returns the added token of these bytes; never one of the original tokens."""
        if data not in self._added:
            self._added[data] = len(self._texts)
            self._texts.append(data)
        return self._added[data]

    @cached_property
    def _added(self) -> dict[bytes, int]:
        return {}


class ConstraintMaker:
    """Creates constraints with a grammar maker and a matcher compiler.

    Args:
        vocabulary: The model's tokens.
        layout: Layout of the JSON of a schema.
    """

    def __init__(self, vocabulary: Vocabulary, layout: JsonLayout = "free") -> None:
        self.matchers = MatcherCompiler(vocabulary)
        self.grammars = GrammarMaker(self.matchers, layout=layout)

    def json_schema(self, schema: object, end_ids: frozenset[int], param: str) -> Constraint:
        """Returns a constraint to the JSON values that a schema allows."""
        return self.of_grammar(self.grammars.json_schema(schema, param), end_ids)

    def regex(self, pattern: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Returns a constraint to the texts that a regular expression fully matches."""
        return self.of_grammar(self.grammars.regex(pattern, param), end_ids)

    def lark(self, text: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Returns a constraint to the texts that a Lark grammar allows."""
        return self.of_grammar(self.grammars.lark(text, param), end_ids)

    def of_grammar(self, grammar: Grammar, end_ids: frozenset[int]) -> Constraint:
        """Returns a constraint to a grammar."""
        return self.matchers.constraint(self.matchers.compile(grammar), end_ids)


def criteria_of(
    vocabulary: Vocabulary,
    *stops: str,
    min_tokens: int = 0,
    ends: Collection[int] | None = None,
    suppressed: Collection[int] | None = None,
) -> StopCriteria:
    """Returns stop criteria of a choice; by default, those of the model."""
    end_ids = vocabulary.end_ids if ends is None else frozenset(ends)
    return StopCriteria(
        end_ids,
        vocabulary.control_ids | end_ids if suppressed is None else frozenset(suppressed),
        StopSet(stops) if stops else None,
        min_tokens,
        bitmask_without(end_ids, vocabulary.size),
    )


def tag_masks_of(
    rule: ReasoningRule, vocabulary: Vocabulary, suppressed_ids: Collection[int] | None = None
) -> TagMasks:
    """Returns the tag masks of a rule; by default, all control tokens are suppressed."""
    suppressed = vocabulary.control_ids if suppressed_ids is None else suppressed_ids
    return TagMasks(rule, vocabulary, TokenIndex(vocabulary), suppressed)


def choice_guide(
    criteria: StopCriteria,
    vocabulary: Vocabulary,
    rule: ReasoningRule | None = None,
    tag_masks: TagMasks | None = None,
    constraint: Constraint | None = None,
) -> ChoiceGuide:
    """Returns a guide built from its parts.

    Args:
        criteria: Stop criteria of the choice.
        vocabulary: The model's tokens.
        rule: The reasoning before the answer, if any.
        tag_masks: The tag masks of that rule; without them, the reasoning has no budget, and a
            constraint applies from the first token on.
        constraint: Constraint of the answer, owned by this guide.
    """
    splitter = ReasoningSplitter(rule) if rule is not None else None
    interpreter = OutputInterpreter(criteria, vocabulary, splitter)
    reasoning_state = None
    if rule is not None and splitter is not None and tag_masks is not None:
        reasoning_state = ReasoningState(splitter, interpreter, tag_masks, rule.budget)
    return ChoiceGuide(criteria, vocabulary, interpreter, constraint, reasoning_state)


class ChoiceReader:
    """Reads the tokens of one choice as an engine and a reader do together.

    Tokens after the end of the choice are ignored, because an engine never generates them.

    Args:
        guide: Guide of the choice.
        reader: Reader of the choice.

    Attributes:
        deltas: The deltas so far.
        finish: The finish reason, or None.
    """

    def __init__(self, guide: ChoiceGuide, reader: Reader) -> None:
        self._guide = guide
        self._reader = reader
        self.deltas: list[Delta] = []
        self.finish: FinishReason | None = None

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(delta.text for delta in self.deltas)

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return "".join(delta.reasoning for delta in self.deltas)

    def read(
        self,
        ids: Iterable[int],
        is_last: bool = False,
        top: tuple[TokenLogprob, ...] = (),
    ) -> list[Delta]:
        """Reads tokens up to the end of the choice; returns the delta of each.

        Args:
            ids: The tokens, each with a log probability of -0.5.
            is_last: Whether `max_tokens` or the context allows no token after them.
            top: The likeliest other tokens at each position.
        """
        tokens, start = list(ids), len(self.deltas)
        for index, token in enumerate(tokens):
            if self.finish is not None:
                break
            findings = self._guide.accept(token, is_last and index == len(tokens) - 1)
            logprob = None if findings.is_end else TokenLogprob(token, -0.5)
            likeliest = () if logprob is None else (logprob, *top)
            self._take(TokenStep(0, token, findings, logprob, likeliest))
        return self.deltas[start:]

    def end(self, finish: FinishReason) -> Delta:
        """Ends the choice without a token, with this finish reason; it must not have ended."""
        assert self.finish is None
        findings = dataclasses.replace(self._guide.exhausted(), finish=finish)
        self._take(TokenStep(0, None, findings))
        return self.deltas[-1]

    def _take(self, step: TokenStep) -> None:
        self.finish = step.findings.finish
        self.deltas.append(self._reader.read(step))


def tool_compiler(vocabulary: Vocabulary, family: Family) -> ToolCompiler:
    """Returns a tool compiler with its own grammar maker."""
    return ToolCompiler(family, vocabulary, GrammarMaker(MatcherCompiler(vocabulary)))


def toolbox_of(
    body: DedicatedChatCompletionBody, vocabulary: Vocabulary, family: Family
) -> Toolbox | None:
    """Returns the tools of a request."""
    return tool_compiler(vocabulary, family).toolbox(validate(body, ModelFacts(vocabulary)))
