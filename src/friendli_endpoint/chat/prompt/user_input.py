"""The user input of a prompt, rendered with a change to every string in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from friendli_endpoint.chat.prompt.past_calls import WrittenCalls
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.generation import RequestError

__all__ = ["Change", "UserInput", "escaped", "own_tag", "unused_characters"]

Change: TypeAlias = Callable[[str], str]

_NONCHARACTERS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
"""Unicode reserves them for internal use, so texts rarely contain one."""


@dataclass(frozen=True, slots=True)
class UserInput:
    """User input of a request, as chat templates take it.

    Attributes:
        messages: The conversation.
        template_kwargs: The request's `chat_template_kwargs`.
        tools: Definitions of the offered tools, or None.
    """

    messages: list[dict[str, Any]]
    template_kwargs: Mapping[str, Any]
    tools: Sequence[Mapping[str, Any]] | None

    def render(self, template: ChatTemplate, change: Change, *, continues: bool = False) -> str:
        """Renders the template, with every string of the user input changed.

        Args:
            template: The chat template.
            change: Applied to each string.
            continues: Whether the answer continues the last message.

        Raises:
            RequestError: The template rejects the conversation.
        """
        extra = _changed(dict(self.template_kwargs), change)
        return template.render(
            _changed(self.messages, change),
            extra,
            "chat_template_kwargs" if extra else "messages",
            _changed(self.tools, change),
            continues=continues,
        )

    def strings(self) -> Iterator[str]:
        """Yields every string, names of fields included."""
        yield from _strings((self.messages, self.template_kwargs, self.tools))


def unused_characters(user_input: UserInput, count: int) -> list[str]:
    """Returns different characters that occur nowhere in the user input.

    Raises:
        RequestError: The user input contains almost all of the characters to choose from.
    """
    text = "".join(user_input.strings())
    unused = [
        character
        for character in _NONCHARACTERS
        if character not in text and escaped(character) not in text
    ][:count]
    if len(unused) < count:
        raise RequestError(
            "the messages must not contain all of Unicode's noncharacters U+FDD0 to U+FDEF",
            param="messages",
        )
    return unused


def escaped(character: str) -> str:
    """Returns a character as a template writes it that prints a list, or ASCII only."""
    return repr(character)[1:-1]


def own_tag(
    text: str,
    tags: Sequence[str],
    user_input: UserInput,
    mark: str,
    render: Callable[[Change], str],
) -> str:
    """Returns the tag at the end of a text if the template wrote it, else an empty string.

    If user input contains the same tag, the text is rendered again with that tag broken.

    Args:
        text: The rendered text.
        tags: The tags to look for.
        user_input: The user input of the text.
        mark: A character that does not occur in it.
        render: Renders the text again, with a change to every string of the user input.
    """
    tag = next((tag for tag in tags if text.rstrip().endswith(tag)), "")
    if tag and any(tag in part for part in user_input.strings()):
        broken = tag[0] + mark + tag[1:]
        probe = render(lambda part: part.replace(tag, broken))
        return tag if probe.rstrip().endswith(tag) else ""
    return tag


def _changed(value: Any, change: Change) -> Any:
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
