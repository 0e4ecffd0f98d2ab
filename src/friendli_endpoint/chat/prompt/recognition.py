"""The tool-call format of a chat template, from the calls that it writes.

A template that can write the calls of earlier answers shows the format: a call is rendered, and the
family whose parser reads exactly this call is used. Other templates are recognised by the format
that their instructions explain. A format that no family knows is unknown, never guessed: a model
that is asked for calls in a foreign format writes its own as text.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import meta, nodes

from friendli_endpoint.chat.prompt.template import ChatTemplate, syntax_tree
from friendli_endpoint.chat.tools import (
    DEFAULT_FAMILY,
    FAMILIES,
    CallArguments,
    CallBegin,
    CallEnd,
    CallEvent,
    CallText,
    Family,
    ToolSpec,
)
from friendli_endpoint.generation import RequestError

__all__ = ["family_of", "has_place_for_tools"]

Message = dict[str, Any]

_NAME: Final = "probe_of_calls"
_ARGUMENTS: Final = {"place": "here and there", "number": 7}
_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "place": {"type": "string", "description": "A place."},
        "number": {"type": "integer", "description": "A number."},
    },
    "required": ["place", "number"],
}
_DESCRIPTION: Final = "Looks up a place."
_SPEC: Final = ToolSpec(_NAME, _DESCRIPTION, _PARAMETERS)
_TOOLS: Final = [
    {
        "type": "function",
        "function": {"name": _NAME, "description": _DESCRIPTION, "parameters": _PARAMETERS},
    }
]
_ID: Final = "call00001"
_USER: Final[Message] = {"role": "user", "content": "question"}
_RESULT: Final[Message] = {"role": "tool", "tool_call_id": _ID, "name": _NAME, "content": "result"}
_ANSWERS: Final[tuple[tuple[Message, ...], ...]] = (
    ({"role": "assistant", "content": "answer"},),
    ({"role": "assistant", "content": "answer", "reasoning_content": "reasons"},),
)
_MAX_LENGTH: Final = 1 << 14
"""Maximum number of characters of a call that are parsed."""
_TAG: Final = re.compile(r"<[^<>\s][^<>]*>|\[[^\[\]\s]+\]")
"""Pattern of texts that look like a marker of a format."""
_CLOSING_TAG: Final = re.compile(r"\s*(<\|?/[^<>]*>|\[/[^\[\]]*\])")
"""Pattern of a tag that closes something."""


def has_place_for_tools(source: str) -> bool:
    """Whether a chat template reads tools, or writes the calls of earlier answers.

    Args:
        source: The template, in Jinja.

    Raises:
        ChatTemplateError: The template does not compile.
    """
    tree = syntax_tree(source)
    keys = {node.attr for node in tree.find_all(nodes.Getattr)}
    keys |= {node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)}
    return "tools" in meta.find_undeclared_variables(tree) or not keys.isdisjoint(
        {"tools", "tool_calls"}
    )


def family_of(source: str) -> Family | None:
    """Returns the family of a chat template, or None if its call format is unknown.

    Of several families that can read what a template writes, the one that leaves the least is
    used. A template without a place for tools has the default family, in whose format its model
    can be asked for calls.

    Args:
        source: The template, in Jinja.

    Raises:
        ChatTemplateError: The template does not compile.
    """
    has_place = has_place_for_tools(source)
    shown = False
    for call in _rendered_calls(source) if has_place else ():
        shown = True
        unread = [(call.unread(family), family) for family in FAMILIES]
        readers = [(length, family) for length, family in unread if length is not None]
        if readers:
            return min(readers, key=lambda reader: reader[0])[1]
    if shown:
        return None
    if family := next((family for family in FAMILIES if family.recognises(source)), None):
        return family
    return None if has_place else DEFAULT_FAMILY


@dataclass(frozen=True, slots=True)
class _RenderedCall:
    """Text that a template writes for an answer with one call.

    Attributes:
        text: The text after the opening of an answer.
        ordinary_tags: Tags of answers without calls, and of their openings.
    """

    text: str
    ordinary_tags: frozenset[str]

    def unread(self, family: Family) -> int | None:
        """Returns how much text a family leaves if its parser reads exactly this call.

        Returns:
            Number of characters; None if it reads anything else, or if a foreign tag is before the
            call or closes something after it. Such a tag belongs to a format that only contains
            the family's.
        """
        parser = family.parser([_SPEC])
        events = [*parser.feed(self.text), *parser.finish()]
        begins = [event for event in events if isinstance(event, CallBegin)]
        if len(begins) != 1 or CallEnd(0) not in events or _arguments(events) != _ARGUMENTS:
            return None
        before = _text(itertools.takewhile(lambda event: event != begins[0], events))
        after = _text(events)[len(before) :]
        closing = _CLOSING_TAG.match(after)
        tags = [*_TAG.findall(before), *([closing[1]] if closing else ())]
        return len(before) + len(after) if self.ordinary_tags.issuperset(tags) else None


def _text(events: Iterable[CallEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, CallText))


def _arguments(events: Sequence[CallEvent]) -> object:
    fragments = (event.fragment for event in events if isinstance(event, CallArguments))
    try:
        return json.loads("".join(fragments))
    except ValueError:
        return None


def _rendered_calls(source: str) -> Iterator[_RenderedCall]:
    """Yields the ways in which a template writes a call, for all forms of history that it takes."""
    template = ChatTemplate(source, {"bos_token": "", "eos_token": ""})
    opening = _render(template, [_USER])
    if opening is None:
        return
    # Without tools, since instructions may contain the tags of calls.
    plain = (_render(template, [_USER, *answer], tools=None) or "" for answer in ((), *_ANSWERS))
    ordinary = frozenset(tag for text in plain for tag in _TAG.findall(text))
    for arguments, content, results in itertools.product(
        (_ARGUMENTS, json.dumps(_ARGUMENTS)), (None, ""), ((), (_RESULT,))
    ):
        call = {"id": _ID, "type": "function", "function": {"name": _NAME, "arguments": arguments}}
        calling = {"role": "assistant", "content": content, "tool_calls": [call]}
        text = _render(template, [_USER, calling, *results])
        written = _after_opening(text, opening) if text is not None else ""
        if _NAME in written:
            yield _RenderedCall(written[:_MAX_LENGTH], ordinary)


def _after_opening(text: str, opening: str) -> str:
    """Returns the text of an answer: all that follows the prompt which the text begins with.

    The prompt may end with a tag that the text does not have; no tag is cut in two.
    """
    pairs = enumerate(zip(opening, text, strict=False))
    end = next((index for index, (a, b) in pairs if a != b), min(len(opening), len(text)))
    cut = (tag.start() for tag in _TAG.finditer(text) if tag.start() < end < tag.end())
    return text[next(cut, end) :]


def _render(
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None = _TOOLS,
) -> str | None:
    """Returns the prompt of a conversation; None if the template rejects it."""
    try:
        return template.render([dict(message) for message in messages], {}, tools=tools)
    except RequestError:
        return None
