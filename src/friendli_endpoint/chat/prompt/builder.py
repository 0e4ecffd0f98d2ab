"""From a conversation to prompt tokens; user text never becomes a control token.

Rendering joins the template's text and the user's text in one string. Tokenizing them separately
would give other tokens at the boundaries than the model was trained on. So before rendering, every
control token in user text, complete or begun at its end, is broken by a mark: a character that
occurs in no user text. The rendered string is then split at the template's own control tokens, and
the spans between them are tokenized as plain text, without the marks. The markers of calls that are
written out count as the template's own text.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from friendli_endpoint.chat.prompt.control_text import ControlText
from friendli_endpoint.chat.prompt.past_calls import WrittenCalls
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.request.rules import check_prompt_bytes
from friendli_endpoint.generation import RequestError, Vocabulary

__all__ = ["Prompt", "PromptBuilder"]

_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
"""Noncharacters: Unicode reserves them for internal use, so texts rarely contain one."""

UserInput: TypeAlias = tuple[
    list[dict[str, Any]], dict[str, Any], Sequence[Mapping[str, Any]] | None
]
"""User input: messages, template_kwargs, tools."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered and tokenized conversation.

    Attributes:
        ids: Token ids, at least one.
        text: The rendered text.
        tag: The tag that the template wrote at the end, ignoring white space; empty if none.
    """

    ids: tuple[int, ...]
    text: str
    tag: str


class PromptBuilder:
    """Renders and tokenizes conversations for one model.

    Args:
        template: The model's chat template.
        vocabulary: The model's tokens.
        context: Maximum number of tokens of prompt and answer together.
        tags: Reasoning tags; one at the end of the prompt decides how the output starts.
    """

    def __init__(
        self,
        template: ChatTemplate,
        vocabulary: Vocabulary,
        context: int,
        tags: Collection[str] = (),
    ) -> None:
        self._template = template
        self._vocabulary = vocabulary
        self._tags = tags
        self._control = ControlText(vocabulary)
        max_token_bytes = max(
            len(vocabulary.token_bytes(token)) for token in range(vocabulary.size)
        )
        self._context = context
        self._max_bytes = context * max_token_bytes

    def build(
        self,
        messages: list[dict[str, Any]],
        template_kwargs: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Prompt:
        """Renders and tokenizes a conversation up to the start of the answer.

        Args:
            messages: Messages as the template expects them.
            template_kwargs: The request's `chat_template_kwargs`.
            tools: Definitions of the offered tools, for the template.

        Raises:
            RequestError: The template rejects the conversation, or the prompt has more bytes than
                the context can hold.
        """
        user_input = (messages, dict(template_kwargs), tools)
        mark = self._mark(user_input)
        text = self._render(user_input, lambda part: self._control.broken(part, mark))
        text = text.replace(_escaped(mark), mark)
        self.check_size(text.replace(mark, ""), "messages")
        ids = self._control.tokens(text, mark)
        bos = self._vocabulary.bos_id
        if bos is not None and self._vocabulary.adds_bos and ids[:1] != [bos]:
            ids.insert(0, bos)
        if not ids:
            raise RequestError(
                "the model's chat template renders these messages to an empty prompt",
                param="messages",
            )
        return Prompt(tuple(ids), text.replace(mark, ""), self._own_tag(text, user_input, mark))

    def check_size(self, text: str, param: str) -> None:
        """Rejects a text that cannot fit into a prompt; see `check_prompt_bytes`."""
        check_prompt_bytes(text, self._max_bytes, self._context, param)

    def _render(self, user_input: UserInput, change: Callable[[str], str]) -> str:
        """Renders the template, with every string of the user input changed."""
        messages, extra, tools = (_changed(part, change) for part in user_input)
        return self._template.render(
            messages, extra, "chat_template_kwargs" if extra else "messages", tools
        )

    def _own_tag(self, text: str, user_input: UserInput, mark: str) -> str:
        """Returns the tag at the end of a text if the template wrote it, else an empty string.

        If user input contains the same tag, the prompt is rendered again with that tag broken.
        """
        tag = next((tag for tag in self._tags if text.rstrip().endswith(tag)), "")
        if tag and any(tag in part for part in _strings(user_input)):
            broken = tag[0] + mark + tag[1:]
            probe = self._render(user_input, lambda part: part.replace(tag, broken))
            return tag if probe.rstrip().endswith(tag) else ""
        return tag

    def _mark(self, user_input: UserInput) -> str:
        text = "".join(_strings(user_input))
        for mark in _MARKS:
            if mark not in text and _escaped(mark) not in text:
                return mark
        raise RequestError(
            "the messages must not contain all of Unicode's noncharacters U+FDD0 to U+FDEF",
            param="messages",
        )


def _escaped(mark: str) -> str:
    """Returns a mark as a template writes it that prints a list, or ASCII only."""
    return repr(mark)[1:-1]


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """Returns a copy of a value with its strings changed."""
    if isinstance(value, WrittenCalls):
        return value.changed(lambda part: _changed(part, change))
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): _changed(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    return value


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _strings(name)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
