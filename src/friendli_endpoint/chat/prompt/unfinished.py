"""Prompts that end inside the last message, which the answer continues.

The text of that message is rendered as a single character, the place. The prompt is what the
template writes before the place, and then the text as it was sent: a template cannot trim or change
it, and what it writes after the place is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.prompt.user_input import Change, UserInput, own_tag
from friendli_endpoint.chat.request.continuation import Continuation
from friendli_endpoint.generation import RequestError

__all__ = ["UnfinishedPrompt"]

Message = dict[str, Any]


class UnfinishedPrompt:
    """Text that a chat template writes before the text that the answer continues.

    Args:
        template: The model's chat template.
        user_input: User input; its last message is to be continued.
        continuation: The text of that message.
        tags: The opening and the closing tag of reasoning, and what else may precede an answer; or
            nothing.
        opening: The opening tag as it begins reasoning, possibly with a line break.
        unused: Three different characters that do not occur in the user input.
    """

    def __init__(
        self,
        template: ChatTemplate,
        user_input: UserInput,
        continuation: Continuation,
        tags: Sequence[str],
        opening: str,
        unused: Sequence[str],
    ) -> None:
        self._template = template
        self._continuation = continuation
        self._tags = tags
        self._opening = opening
        self._mark, self._place, self._probe = unused
        *before, last = user_input.messages
        placed = {**last, continuation.field: self._place}
        self._before = replace(user_input, messages=before)
        self._placed = replace(user_input, messages=[*before, placed])

    def render(self, change: Change) -> tuple[str, str]:
        """Renders the prompt up to the text to continue.

        Args:
            change: Applied to every string of the user input, the text to continue included.

        Returns:
            The rendered text, and the tag at its end if the template wrote one, else an empty
            string.

        Raises:
            RequestError: The template rejects the conversation, or does not write the text.
        """
        if self._continuation.field == "content":
            return self._content(change)
        return self._reasoning(change)

    def lead(self, head: str, change: Change) -> str:
        """Returns the text between the place where an answer begins and the text to continue.

        The model would have written it: an empty reasoning, or `all` as the recipient of the text.

        Args:
            head: The rendered prompt up to the text to continue.
            change: As for `render`.
        """
        try:
            start = self._before.render(self._template, change)
        except RequestError:  # nothing precedes the message, for example
            return ""
        lead = head.removeprefix(start) if head.startswith(start) else ""
        for tag in self._tags[1:]:
            lead = lead.rpartition(tag)[2].lstrip()
        return lead

    def _content(self, change: Change) -> tuple[str, str]:
        head = self._head(change)
        if head is None:
            raise self._error("the model's chat template does not write this message as it is")
        tag = self._tag(head, self._placed, lambda change: self._head(change) or "")
        if tag and tag == self._tags[0]:  # a template may write it before every last message
            return head.rstrip() + self._tags[1], self._tags[1]
        return head, tag

    def _reasoning(self, change: Change) -> tuple[str, str]:
        if not self._tags:
            raise self._error("the model's chat template has no known tags of reasoning")
        opening, closing = self._tags[:2]
        try:
            head = self._head(change)
        except RequestError:  # some templates reject messages without content
            head = None
        if head is not None and head.rstrip().endswith(opening):
            return head, opening
        # The template does not write reasoning: it begins where the answer would begin.
        render = partial(self._before.render, self._template)
        head = render(change)
        if self._tag(head, self._before, render) == closing:
            head = head.rstrip().removesuffix(closing)
        if not head.rstrip().endswith(opening):
            head += self._opening
        return head, opening

    def _head(self, change: Change) -> str | None:
        """Returns the rendered text before the last place; None without a place.

        Raises:
            RequestError: The template rejects the conversation, or writes other messages or tools
                after the last message.
        """
        rendered = self._placed.render(self._template, change, continues=True)
        head, place, tail = rendered.rpartition(self._place)
        if not place:
            return None
        if self._may_contain_input(tail) and self._contains_input():
            raise self._error("the model's chat template writes other text after this message")
        return head.replace(self._place, change(self._continuation.text))

    def _may_contain_input(self, tail: str) -> bool:
        """Whether the text after the place contains text of another message or of a tool."""
        texts = [str(message.get("content")).strip() for message in self._before.messages]
        texts += [str(tool.get("function", {}).get("name")) for tool in self._before.tools or ()]
        return any(text and text in tail for text in texts)

    def _contains_input(self) -> bool:
        """Renders again, with a probe in each other message and tool, and looks for it."""
        messages = [self._probed(message, "content") for message in self._before.messages]
        tools = self._before.tools and [
            {**tool, "function": self._probed(dict(tool.get("function", {})), "name")}
            for tool in self._before.tools
        ]
        probed = replace(self._placed, messages=[*messages, self._placed.messages[-1]], tools=tools)
        rendered = probed.render(self._template, lambda text: text, continues=True)
        return self._probe in rendered.rpartition(self._place)[2]

    def _probed(self, value: Message, field: str) -> Message:
        text = value.get(field)
        return {**value, field: text + self._probe} if isinstance(text, str) else value

    def _tag(self, head: str, user_input: UserInput, render: Callable[[Change], str]) -> str:
        return own_tag(head, self._tags, user_input, self._mark, render)

    def _error(self, reason: str) -> RequestError:
        param = self._continuation.param
        return RequestError(
            f"{param} cannot be continued: {reason}", param=param, code="not_supported"
        )
