"""The form in which a chat template takes earlier tool calls and their results."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = [
    "ID_STYLES",
    "PLACEMENTS",
    "REASONING",
    "WRITTEN",
    "HistoryForm",
    "IdStyle",
    "Placement",
    "Reasoning",
]

Placement: TypeAlias = Literal["one", "several", "written", "written_with_results"]
"""How one answer becomes messages.

- `one`: text and all calls in one message.
- `several`: the text, or each call with its results, in a message of its own.
- `written`: one message without calls; the calls are written out after the text.
- `written_with_results`: the same, and the results become a user message.
"""
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
WRITTEN: tuple[Placement, ...] = ("written", "written_with_results")

IdStyle: TypeAlias = Literal["kept", "short", "numbered", "numbered_in_message"]
"""How the ids of calls reach the template.

- `kept`: as they were sent.
- `short`: nine letters and digits (Mistral).
- `numbered`: `functions.NAME:INDEX`, counted from 0 through the conversation (Kimi).
- `numbered_in_message`: the same, counted in each message.
"""
ID_STYLES: tuple[IdStyle, ...] = get_args(IdStyle)


Reasoning: TypeAlias = Literal["all", "without_text", "none"]
"""Which answers with calls keep their reasoning."""
REASONING: tuple[Reasoning, ...] = get_args(Reasoning)


@dataclass(frozen=True, slots=True)
class HistoryForm:
    """The form in which a chat template takes earlier tool calls and their results.

    Where several placements apply to an answer, the last one in `PLACEMENTS` is used.

    Attributes:
        calls: Placement of an answer with calls.
        several_calls: Placement of an answer with several calls; `several` separates the calls.
        text: Placement of an answer with text and calls; `several` separates the text.
        interrupted: Placement of calls that a user message follows, instead of an answer.
        unanswered: Placement of calls not all of which have a result.
        free_arguments: Placement of calls whose arguments are not an object, for a template that
            takes objects; None if the template cannot take them.
        arguments: Whether the arguments are an object or JSON text.
        no_content: Content of a message that has only calls; None stands for null.
        has_content: Whether such a message has the key `content`.
        ids: Style of the ids.
        results: Whether results are messages of the role `tool`, or part of the user's messages.
        reasoning: The answers with calls that keep their reasoning.
        reasoning_key: The template's key of the reasoning.
    """

    calls: Placement = "one"
    several_calls: Placement = "one"
    text: Placement = "one"
    interrupted: Placement = "one"
    unanswered: Placement = "one"
    free_arguments: Placement | None = "one"
    arguments: Literal["object", "text"] = "object"
    no_content: Literal[""] | None = ""
    has_content: bool = True
    ids: IdStyle = "kept"
    results: Literal["tool", "user"] = "tool"
    reasoning: Reasoning = "all"
    reasoning_key: str = "reasoning_content"
