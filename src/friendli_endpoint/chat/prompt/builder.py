"""From a conversation to prompt tokens; what users wrote never becomes a control token.

The template's text and the users' are one string once rendered, and tokenising them apart would
give other tokens at the seams than the model was trained on. So before rendering, every control
token that is written out in a user's text, or begun at its end, is broken by a mark, a character
that occurs in none of the texts; the rendered string is cut at the marks' stretches, and those are
tokenised as text.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from friendli_endpoint.chat.prompt.control_text import ControlText
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.request.rules import check_prompt_bytes
from friendli_endpoint.generation import RequestError, Vocabulary

__all__ = ["Prompt", "PromptBuilder"]

_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
"""Noncharacters: Unicode sets them aside for internal use, so texts rarely hold one."""

Written: TypeAlias = tuple[list[dict[str, Any]], dict[str, Any], Sequence[Mapping[str, Any]] | None]
"""What users wrote: messages, template_kwargs, tools."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as the model reads it.

    Attributes:
        ids: Token ids, at least one.
        text: The same as text.
        tag: The tag that the template itself wrote last, white space aside; empty if it did not.
    """

    ids: tuple[int, ...]
    text: str
    tag: str


class PromptBuilder:
    """Renders and tokenises conversations for one model.

    Args:
        template: The model's chat template.
        vocabulary: The model's tokens.
        context: Tokens that a prompt and its answer may have together.
        tags: Texts that tell where the answer begins if the template ends with one.
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
        longest_piece = max(len(vocabulary.token_bytes(token)) for token in range(vocabulary.size))
        self._context = context
        self._max_bytes = context * longest_piece

    def build(
        self,
        messages: list[dict[str, Any]],
        template_kwargs: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Prompt:
        """A conversation as the model reads it, up to where the answer begins.

        Args:
            messages: Messages as the template expects them.
            template_kwargs: The request's `chat_template_kwargs`.
            tools: The tools that are offered, for the template.

        Raises:
            RequestError: The template refuses, or the prompt has more bytes than the context can
            hold.
        """
        written = (messages, dict(template_kwargs), tools)
        mark = self._mark(written)
        text = self._render(written, lambda each: self._control.broken(each, mark))
        self.check_size(text.replace(mark, ""), "messages")
        ids = self._control.tokens(text, mark)
        bos = self._vocabulary.bos_id
        if bos is not None and self._vocabulary.adds_bos and ids[:1] != [bos]:
            ids.insert(0, bos)
        if not ids:
            raise RequestError("the chat template makes an empty prompt of this", param="messages")
        return Prompt(tuple(ids), text.replace(mark, ""), self._own_tag(text, written, mark))

    def check_size(self, text: str, param: str) -> None:
        """Refuses a text that no prompt could hold; see `check_prompt_bytes`."""
        check_prompt_bytes(text, self._max_bytes, self._context, param)

    def _render(self, written: Written, change: Callable[[str], str]) -> str:
        """What the template makes of what was written, once that is changed."""
        messages, extra, tools = (_changed(each, change) for each in written)
        return self._template.render(
            messages, extra, "chat_template_kwargs" if extra else "messages", tools
        )

    def _own_tag(self, text: str, written: Written, mark: str) -> str:
        """The tag at the end of a text, if nobody but the template wrote it.

        Where users wrote the same tag somewhere, it is broken in their texts and looked for again.
        """
        tag = next((each for each in self._tags if text.rstrip().endswith(each)), "")
        if tag and any(tag in each for each in _strings(written)):
            probe = self._render(written, lambda each: each.replace(tag, tag[0] + mark + tag[1:]))
            return tag if probe.rstrip().endswith(tag) else ""
        return tag

    def _mark(self, written: Written) -> str:
        text = "".join(_strings(written))
        for mark in _MARKS:
            if mark not in text:
                return mark
        raise RequestError(
            "the messages hold every one of Unicode's noncharacters U+FDD0 to U+FDEF",
            param="messages",
        )


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with its strings changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): _changed(each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [_changed(each, change) for each in value]
    return value


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _strings(name)
            yield from _strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each)
