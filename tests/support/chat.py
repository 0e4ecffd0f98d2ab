"""Helpers for the tests of `chat/`: bodies, constraints, and choices that are read as they grow."""

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
from friendli_endpoint.chat.reasoning.splitter import Splitter
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
    "borders_of",
    "chat_model",
    "choice_guide",
    "criteria_of",
    "prompt_ids",
    "set_bits",
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
"""Fields beside the tools `look` and `ask`, to whether a call is required, whether several may be
made, and the tools that may be called."""


def body_of(**fields: Any) -> DedicatedChatCompletionBody:
    """A body of a request with these fields, of one message where they hold none."""
    return DedicatedChatCompletionBody.model_validate({"model": "m", "messages": [USER], **fields})


def chat_model(
    vocabulary: ScriptedVocabulary, template: str, defaults: ChatDefaults | None = None
) -> ChatModel:
    """A chat model of a vocabulary, with a compiler of rules of its own."""
    return ChatModel(RuleCompiler(vocabulary), template, vocabulary.context, defaults)


def prompt_ids(request: GenerationRequest) -> list[int]:
    """The tokens of a prompt that is all text."""
    return list(request.prompt_ids)


def set_bits(mask: Bitmask, vocabulary: Vocabulary) -> set[int]:
    """The tokens that a mask allows."""
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return {int(token) for token in np.flatnonzero(bits[: vocabulary.size])}


class OpenVocabulary(ScriptedVocabulary):
    """A vocabulary that makes a token of any bytes; its id lies beyond the others."""

    def token_of(self, piece: bytes) -> int:
        """A token of these bytes, made if it does not exist; none of the others is used."""
        if piece not in self._made:
            self._made[piece] = len(self._texts)
            self._texts.append(piece)
        return self._made[piece]

    @cached_property
    def _made(self) -> dict[bytes, int]:
        return {}


class ConstraintMaker:
    """Makes the constraints of requests as a grammar maker and a matcher compiler do together.

    Args:
        vocabulary: The model's tokens.
        layout: How the JSON of a schema is written.
    """

    def __init__(self, vocabulary: Vocabulary, layout: JsonLayout = "free") -> None:
        self.matchers = MatcherCompiler(vocabulary)
        self.grammars = GrammarMaker(self.matchers, layout=layout)

    def json_schema(self, schema: object, end_ids: frozenset[int], param: str) -> Constraint:
        """A constraint to the JSON values that a schema allows."""
        return self.of_grammar(self.grammars.json_schema(schema, param), end_ids)

    def regex(self, pattern: str, end_ids: frozenset[int], param: str) -> Constraint:
        """A constraint to the texts that a regular expression matches as a whole."""
        return self.of_grammar(self.grammars.regex(pattern, param), end_ids)

    def lark(self, text: str, end_ids: frozenset[int], param: str) -> Constraint:
        """A constraint to what a Lark grammar allows."""
        return self.of_grammar(self.grammars.lark(text, param), end_ids)

    def of_grammar(self, grammar: Grammar, end_ids: frozenset[int]) -> Constraint:
        """A constraint to a grammar."""
        return self.matchers.constraint(self.matchers.compile(grammar), end_ids)


def criteria_of(
    vocabulary: Vocabulary,
    *stops: str,
    min_tokens: int = 0,
    ends: Collection[int] | None = None,
    silent: Collection[int] | None = None,
) -> StopCriteria:
    """Criteria of a choice: those of the model where nothing else is given."""
    end_ids = vocabulary.end_ids if ends is None else frozenset(ends)
    return StopCriteria(
        end_ids,
        vocabulary.control_ids | end_ids if silent is None else frozenset(silent),
        StopSet(stops) if stops else None,
        min_tokens,
        bitmask_without(end_ids, vocabulary.size),
    )


def borders_of(
    rule: ReasoningRule, vocabulary: Vocabulary, suppressed_ids: Collection[int] | None = None
) -> TagMasks:
    """The tag_masks of a rule; all control tokens are silent where nothing else is given."""
    silent = vocabulary.control_ids if suppressed_ids is None else suppressed_ids
    return TagMasks(rule, vocabulary, TokenIndex(vocabulary), silent)


def choice_guide(
    criteria: StopCriteria,
    vocabulary: Vocabulary,
    rule: ReasoningRule | None = None,
    tag_masks: TagMasks | None = None,
    constraint: Constraint | None = None,
) -> ChoiceGuide:
    """A guide made by hand.

    Args:
        criteria: What ends the choice.
        vocabulary: The model's tokens.
        rule: The reasoning before the answer, if any.
        tag_masks: The tag_masks of that rule; without, the reasoning has no budget, and a
        constraint
            holds from the first token on.
        constraint: What the answer must be like, of this guide alone.
    """
    splitter = Splitter(rule) if rule is not None else None
    interpreter = OutputInterpreter(criteria, vocabulary, splitter)
    thinking = None
    if rule is not None and splitter is not None and tag_masks is not None:
        thinking = ReasoningState(splitter, interpreter, tag_masks, rule.budget)
    return ChoiceGuide(criteria, vocabulary, interpreter, constraint, thinking)


class ChoiceReader:
    """Reads the tokens of one choice as an engine and a reader do together.

    What comes after the end of the choice is not read, because an engine never generates it.

    Args:
        guide: Of the choice.
        reader: Of the choice.

    Attributes:
        deltas: What has been read so far.
        finish: How the choice has ended, if it has.
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
        """Reads tokens up to the end of the choice; gives the delta of each.

        Args:
            ids: The tokens, each with a log probability of -0.5.
            is_last: Whether the engine has no room for another token after them.
            top: The likeliest tokens at each position, beside the token itself.
        """
        tokens, begun = list(ids), len(self.deltas)
        for index, token in enumerate(tokens):
            if self.finish is not None:
                break
            findings = self._guide.accept(token, is_last and index == len(tokens) - 1)
            logprob = None if findings.is_end else TokenLogprob(token, -0.5)
            likeliest = () if logprob is None else (logprob, *top)
            self._take(TokenStep(0, token, findings, logprob, likeliest))
        return self.deltas[begun:]

    def end(self, finish: FinishReason) -> Delta:
        """Ends the choice without a token, with this finish; must not have ended."""
        assert self.finish is None
        findings = dataclasses.replace(self._guide.exhausted(), finish=finish)
        self._take(TokenStep(0, None, findings))
        return self.deltas[-1]

    def _take(self, step: TokenStep) -> None:
        self.finish = step.findings.finish
        self.deltas.append(self._reader.read(step))


def tool_compiler(vocabulary: Vocabulary, family: Family) -> ToolCompiler:
    """A compiler of tools with a maker of grammars of its own."""
    return ToolCompiler(family, vocabulary, GrammarMaker(MatcherCompiler(vocabulary)))


def toolbox_of(
    body: DedicatedChatCompletionBody, vocabulary: Vocabulary, family: Family
) -> Toolbox | None:
    """The tools of a request."""
    return tool_compiler(vocabulary, family).toolbox(validate(body, ModelFacts(vocabulary)))
