"""Helpers for the tests of `chat/`: bodies, guides, constraints, and a reader of choices."""

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
from friendli_endpoint.chat.structured import Constraint, GrammarMaker, MatcherCompiler, memory_for
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
"""Fields next to the tools `look` and `ask`, with the expected results: whether a call is required,
whether several calls are allowed, and the tools that may be called."""


def body_of(**fields: Any) -> DedicatedChatCompletionBody:
    """Returns a request body with these fields, and with one message unless they have messages."""
    return DedicatedChatCompletionBody.model_validate({"model": "m", "messages": [USER], **fields})


def chat_model(
    vocabulary: ScriptedVocabulary, template: str, defaults: ChatDefaults | None = None
) -> ChatModel:
    """Returns a chat model with a new rule compiler."""
    return ChatModel(RuleCompiler(vocabulary), template, vocabulary.context, defaults)


def prompt_ids(request: GenerationRequest) -> list[int]:
    """Returns the token ids of a prompt without media."""
    return list(request.prompt_ids)


def set_bits(mask: Bitmask, vocabulary: Vocabulary) -> set[int]:
    """Returns the token ids that a mask allows."""
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return {int(token) for token in np.flatnonzero(bits[: vocabulary.size])}


class OpenVocabulary(ScriptedVocabulary):
    """A vocabulary that adds a token for any bytes, with an id after the existing ones."""

    def token_of(self, content: bytes) -> int:
        """Returns the added token with these bytes, and adds it if necessary."""
        if content not in self._added:
            self._added[content] = len(self._texts)
            self._texts.append(content)
        return self._added[content]

    @cached_property
    def _added(self) -> dict[bytes, int]:
        return {}


class ConstraintMaker:
    """Makes constraints with a grammar maker and a matcher compiler.

    Args:
        vocabulary: The model's vocabulary.
        layout: White space of the JSON of a schema.
    """

    def __init__(self, vocabulary: Vocabulary, layout: JsonLayout = "free") -> None:
        self.matchers = MatcherCompiler(vocabulary)
        self.grammars = GrammarMaker(self.matchers, layout=layout)

    def json_schema(self, schema: object, end_ids: frozenset[int], param: str) -> Constraint:
        """Returns a constraint to the JSON values that a schema allows."""
        return self.of_grammar(self.grammars.json_schema(schema, param), end_ids)

    def regex(self, pattern: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Returns a constraint to the texts that a regular expression matches completely."""
        return self.of_grammar(self.grammars.regex(pattern, param), end_ids)

    def lark(self, text: str, end_ids: frozenset[int], param: str) -> Constraint:
        """Returns a constraint to the texts that a Lark grammar allows."""
        return self.of_grammar(self.grammars.lark(text, param, memory_for(len(text))), end_ids)

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
    """Returns stop criteria, with the EOS ids and control tokens of the model by default."""
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
    """Returns the token masks of a reasoning rule; all control tokens are suppressed by default."""
    silent = vocabulary.control_ids if suppressed_ids is None else suppressed_ids
    return TagMasks(rule, vocabulary, TokenIndex(vocabulary), silent)


def choice_guide(
    criteria: StopCriteria,
    vocabulary: Vocabulary,
    rule: ReasoningRule | None = None,
    tag_masks: TagMasks | None = None,
    constraint: Constraint | None = None,
) -> ChoiceGuide:
    """Returns a guide with the given parts.

    Args:
        criteria: Stop criteria of the choice.
        vocabulary: The model's vocabulary.
        rule: Rule of the reasoning before the answer, or None.
        tag_masks: Token masks of that rule. If None, the reasoning has no budget, and a constraint
            applies from the first token on.
        constraint: Constraint of the answer, not shared with other guides, or None.
    """
    splitter = ReasoningSplitter(rule) if rule is not None else None
    interpreter = OutputInterpreter(criteria, vocabulary, splitter)
    reasoning_state = None
    if rule is not None and splitter is not None and tag_masks is not None:
        reasoning_state = ReasoningState(splitter, interpreter, tag_masks, rule.budget)
    return ChoiceGuide(criteria, vocabulary, interpreter, constraint, reasoning_state)


class ChoiceReader:
    """Reads the tokens of one choice with a guide, as an engine does, and a reader.

    Tokens after the end of the choice are not read, because an engine never generates them.

    Args:
        guide: Guide of the choice.
        reader: Reader of the choice.

    Attributes:
        deltas: All deltas so far.
        finish: Finish reason of the choice, or None before its end.
    """

    def __init__(self, guide: ChoiceGuide, reader: Reader) -> None:
        self._guide = guide
        self._reader = reader
        self.deltas: list[Delta] = []
        self.finish: FinishReason | None = None

    @property
    def text(self) -> str:
        """Text of the answer so far."""
        return "".join(delta.text for delta in self.deltas)

    @property
    def reasoning(self) -> str:
        """Text of the reasoning so far."""
        return "".join(delta.reasoning for delta in self.deltas)

    def read(
        self,
        ids: Iterable[int],
        is_last: bool = False,
        top: tuple[TokenLogprob, ...] = (),
    ) -> list[Delta]:
        """Reads tokens up to the end of the choice; returns the delta of each.

        Args:
            ids: Token ids, each with a log probability of -0.5.
            is_last: Whether the limit on tokens is reached after them.
            top: The most likely tokens at each position, next to the token itself.
        """
        tokens, num_before = list(ids), len(self.deltas)
        for index, token in enumerate(tokens):
            if self.finish is not None:
                break
            findings = self._guide.accept(token, is_last and index == len(tokens) - 1)
            logprob = None if findings.is_end else TokenLogprob(token, -0.5)
            likeliest = () if logprob is None else (logprob, *top)
            self._take(TokenStep(0, token, findings, logprob, likeliest))
        return self.deltas[num_before:]

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
    """Returns a tool compiler with a new grammar maker."""
    return ToolCompiler(family, vocabulary, GrammarMaker(MatcherCompiler(vocabulary)))


def toolbox_of(
    body: DedicatedChatCompletionBody, vocabulary: Vocabulary, family: Family
) -> Toolbox | None:
    """Returns the toolbox of a request, or None without tools."""
    return tool_compiler(vocabulary, family).toolbox(validate(body, ModelFacts(vocabulary)))
