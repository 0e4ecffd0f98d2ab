"""The beginning of an answer that the request contains, as far as decoding is concerned."""

from dataclasses import replace
from typing import Literal

from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.request.continuation import Continuation
from friendli_endpoint.chat.structured.native import ConstraintError
from friendli_endpoint.chat.tools.toolbox import Toolbox, control_markers
from friendli_endpoint.generation import Grammar, ReasoningRule, RequestError

__all__ = ["answer_prefix", "continued_rule"]

_MAX_SHOWN = 40
"""Number of characters that an error quotes from a message."""
_MAX_BEFORE = 256
"""Number of characters in which a tag may have begun: more than any tag has."""


def answer_prefix(
    continuation: Continuation | None,
    grammar: Grammar | None,
    toolbox: Toolbox | None,
    rules: RuleCompiler,
    lead: str = "",
) -> str:
    """Returns the text that the grammar of the answer has to read first.

    Args:
        continuation: The text that the answer continues, or None.
        grammar: The grammar of the answer, or None.
        toolbox: The tools that may be called, or None.
        rules: Compiles grammars.
        lead: Text of the format of tool calls that the template wrote before that text.

    Raises:
        RequestError: The grammar does not allow the text or takes too long to read it; or the text
            has a tool call, or a marker of calls that is a control token, which no user's text can
            contain.
    """
    if continuation is None or grammar is None or continuation.field != "content":
        return ""
    param, text = continuation.param, lead + continuation.text
    if toolbox is not None and (
        toolbox.has_call(text)
        or any(
            rules.vocabulary.token_bytes(token) in text.encode()
            for token in control_markers(toolbox.family, rules.vocabulary)
        )
    ):
        raise RequestError(
            f"{param} has a tool call or the beginning of one, which cannot be continued",
            param=param,
            code="not_supported",
        )
    try:
        rest = rules.matchers.rest_of_prefix(grammar, text) if text else ""
    except ConstraintError as error:
        raise RequestError(
            f"{param} cannot be continued: {error}", param=param, code="too_complex"
        ) from error
    if rest:
        wanted = "response_format" if toolbox is None else "the format of tool calls"
        raise RequestError(
            f"{param} does not fit {wanted}, from {rest[:_MAX_SHOWN]!r} on",
            param=param,
            code="conflict",
        )
    return text


def continued_rule(
    rule: ReasoningRule | None, continuation: Continuation | None
) -> ReasoningRule | None:
    """Returns the reasoning rule of an output that begins inside the text of a message."""
    if rule is None or continuation is None or not continuation.text:
        return rule
    start: Literal["answer", "reasoning"] = (
        "answer" if continuation.field == "content" else "reasoning"
    )
    return replace(rule, start=start, before=continuation.text[-_MAX_BEFORE:])
