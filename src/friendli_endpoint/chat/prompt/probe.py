"""Finds the form in which a chat template takes calls and results, by rendering conversations.

A template is a program: whether it loses a call, refuses a message or writes JSON twice only shows
in what it renders. The conversations are fixed, so the form depends on the template alone.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, TypeAlias

from friendli_endpoint.chat.prompt import probe_conversations
from friendli_endpoint.chat.prompt.exchanges import Write, with_calls
from friendli_endpoint.chat.prompt.history_form import (
    ID_STYLES,
    PLACEMENTS,
    REASONING,
    HistoryForm,
)
from friendli_endpoint.chat.prompt.probe_conversations import KEY_PREFIX, SINGLE, ProbeConversation
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.generation import RequestError

__all__ = ["Probe", "Render", "find_form"]

Message = dict[str, Any]
Render: TypeAlias = Callable[[Sequence[Message]], str | None]
"""Returns the prompt of a conversation, or None if there is none."""

_MAX_SECONDS = 5.0
"""CPU time after which no more is rendered, so that a hostile template delays the start only once.
The chat templates of 71 models take 0.06 s at most."""

_GARBLED = re.compile(rf"""'{KEY_PREFIX}[12]'|\\"{KEY_PREFIX}[12]""")
"""A key in single quotes is a Python object, one after a backslash JSON in a JSON string."""

_KINDS: tuple[tuple[str, Sequence[ProbeConversation]], ...] = (
    ("several_calls", probe_conversations.SEVERAL),
    ("text", probe_conversations.WITH_TEXT),
    ("interrupted", probe_conversations.INTERRUPTED),
    ("unanswered", probe_conversations.UNANSWERED),
)
"""Placements of a form, and conversations with answers of that kind."""


class Probe:
    """Renders conversations with one template, for a limited time.

    Args:
        template: The template.
    """

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self._remaining = _MAX_SECONDS

    def render(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None
    ) -> str | None:
        """Returns the prompt of a conversation; None if there is none, or no time is left."""
        if self._remaining <= 0:
            return None
        start = time.thread_time()
        try:
            return self._template.render([_plain(m) for m in messages], {}, tools=tools)
        except RequestError:
            return None
        finally:
            self._remaining -= time.thread_time() - start


@dataclass(frozen=True, slots=True, order=True)
class _Score:
    """Quality of the prompts of some conversations; the greater, the better.

    Attributes:
        num_complete: Number of prompts that show everything.
        num_shown: Number of texts, and of lists of ordered texts, that are shown.
        num_clean: Number of prompts with arguments that are neither a Python object nor JSON in a
            JSON string.
        num_linked: Number of prompts that show the id of a call with its result, or no ids.
    """

    num_complete: int = 0
    num_shown: int = 0
    num_clean: int = 0
    num_linked: int = 0

    @property
    def without_style(self) -> "_Score":
        """The score of what is shown, however it is written."""
        return _Score(self.num_complete, self.num_shown)


def find_form(
    render: Render, write: Write, *, reads_calls: bool, reasoning_key: str
) -> HistoryForm:
    """Returns the form in which a template loses least; of equal ones the most usual.

    Args:
        render: Returns the prompt of a conversation, or None if there is none.
        write: Returns calls in the format of the model's family.
        reads_calls: Whether the template reads the calls of messages at all.
        reasoning_key: The template's key of the reasoning.
    """
    search = _Search(render, write)
    default = HistoryForm("one" if reads_calls else "written", reasoning_key=reasoning_key)
    form, score = search.best_style(_native(default) if reads_calls else (), default)
    if score.num_complete < len(SINGLE):
        written, written_score = search.first_complete(_written(default), SINGLE, default)
        form, score = max(
            (form, score), (written, written_score), key=lambda pair: pair[1].without_style
        )
    if not score.num_shown:
        return default  # the template's own error reaches the client
    for kind, conversations in _KINDS:
        placed = [_changed(form, kind, place) for place in PLACEMENTS]
        form, _ = search.first_complete(placed, conversations, form)
    kept = [_changed(form, "reasoning", answers) for answers in REASONING]
    form, _ = search.first_complete(kept, probe_conversations.REASONED, form)
    free = [_changed(form, "free_arguments", place) for place in PLACEMENTS]
    form, score = search.first_complete(free, probe_conversations.FREE_ARGUMENTS, form)
    return form if score.num_complete else replace(form, free_arguments=None)


class _Search:
    """Compares forms by what the prompts of some conversations show."""

    def __init__(self, render: Render, write: Write) -> None:
        self._render = render
        self._write = write

    def first_complete(
        self,
        forms: Iterable[HistoryForm],
        conversations: Sequence[ProbeConversation],
        default: HistoryForm,
    ) -> tuple[HistoryForm, _Score]:
        """Returns the first form that loses nothing, or else the one that loses least."""
        chosen, highest = default, _Score()
        for form in forms:
            score = self._score(form, conversations).without_style
            if score > highest:
                chosen, highest = form, score
            if score.num_complete == len(conversations):
                break
        return chosen, highest

    def best_style(
        self, forms: Iterable[HistoryForm], default: HistoryForm
    ) -> tuple[HistoryForm, _Score]:
        """Returns the form that loses least of a single call, and writes it best."""
        chosen, highest = default, _Score()
        for form in forms:
            score = self._score(form, SINGLE)
            if score > highest:
                chosen, highest = form, score
            if min(score.num_complete, score.num_clean, score.num_linked) == len(SINGLE):
                break
        return chosen, highest

    def _score(self, form: HistoryForm, conversations: Sequence[ProbeConversation]) -> _Score:
        score = _Score()
        for conversation in conversations:
            messages = with_calls(conversation.messages, form, self._write)
            prompt = self._render(messages)
            if prompt is None:
                continue
            shown = [_in_order(texts, prompt) for texts in conversation.shown]
            shown += [text in prompt for texts in conversation.shown for text in texts]
            ids = {call["id"] for message in messages for call in message.get("tool_calls", ())}
            score = _Score(
                score.num_complete + all(shown),
                score.num_shown + sum(shown),
                score.num_clean + (_GARBLED.search(prompt) is None),
                score.num_linked + all(prompt.count(identity) != 1 for identity in ids),
            )
        return score


def _native(default: HistoryForm) -> Iterator[HistoryForm]:
    """Yields the forms in which a template may take calls, the usual ones first."""
    results: tuple[Literal["tool", "user"], ...] = ("tool", "user")
    contents: tuple[tuple[Literal[""] | None, bool], ...] = (("", True), (None, True), ("", False))
    arguments: tuple[Literal["object", "text"], ...] = ("object", "text")
    for role, ids, (content, present), kind in product(results, ID_STYLES, contents, arguments):
        yield replace(
            default,
            results=role,
            ids=ids,
            no_content=content,
            has_content=present,
            arguments=kind,
        )


def _written(default: HistoryForm) -> Iterator[HistoryForm]:
    """Yields the forms in which calls are written out."""
    yield replace(default, calls="written")
    yield replace(default, calls="written_with_results", results="user")


def _changed(form: HistoryForm, field: str, value: str) -> HistoryForm:
    changes: dict[str, Any] = {field: value}
    return replace(form, **changes)


def _in_order(texts: Iterable[str], prompt: str) -> bool:
    positions = [prompt.find(text) for text in texts]
    return -1 not in positions and positions == sorted(positions)


def _plain(message: Message) -> Message:
    return {**message, "content": str(message["content"])} if message.get("content") else message
