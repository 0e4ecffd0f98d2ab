"""Answers with calls and the results that follow, in the form that a template takes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, TypeAlias

from friendli_endpoint.chat.prompt.history_form import (
    PLACEMENTS,
    WRITTEN,
    HistoryForm,
    Placement,
)
from friendli_endpoint.chat.prompt.past_calls import CallIds, PastCall, WrittenCalls
from friendli_endpoint.chat.tools.written import WrittenCall

__all__ = ["Write", "with_calls"]

Message = dict[str, Any]
Write: TypeAlias = Callable[[Sequence[WrittenCall]], str]

_REASONING = "reasoning_content"
_RESULT = "result"
"""Role of a result that becomes part of the user's messages; no template sees it."""


def with_calls(messages: Sequence[Message], form: HistoryForm, write: Write) -> list[Message]:
    """Returns a conversation with its calls and results in the form of a template.

    Results are put in the order of their calls, since not every template writes their ids, and get
    the name of the called tool, which some templates write.

    Args:
        messages: Messages with text as content; `tool_calls` are `PastCall`s, at least one.
        form: The form.
        write: Returns calls in the format of the model's family.

    Raises:
        RequestError: The template cannot write the arguments of a call; names the call.
    """
    converted = _exchanges(list(_with_ids(messages, form)), form, write)
    return _with_results_of_users(_with_reasoning_key(converted, form.reasoning_key))


def _with_ids(messages: Iterable[Message], form: HistoryForm) -> Iterator[Message]:
    """Yields the messages with the ids of calls in the form's style, and with names of results."""
    messages = list(messages)
    ids = CallIds(form.ids, [call.identity for m in messages for call in m.get("tool_calls", ())])
    names: dict[str, str] = {}
    for message in messages:
        if "tool_calls" in message:
            calls: list[PastCall] = message["tool_calls"]
            names.update((call.identity, call.name) for call in calls)
            identities = [
                ids.of_call(call.identity, call.name, position)
                for position, call in enumerate(calls)
            ]
            calls = [
                replace(call, identity=identity)
                for call, identity in zip(calls, identities, strict=True)
            ]
            yield {**message, "tool_calls": calls}
        elif message["role"] == "tool":
            sent = message["tool_call_id"]
            name = {"name": names[sent]} if sent in names else {}
            yield {**name, **message, "tool_call_id": ids.of_result(sent)}
        else:
            yield message


def _exchanges(messages: Sequence[Message], form: HistoryForm, write: Write) -> Iterator[Message]:
    position = 0
    while position < len(messages):
        message = messages[position]
        position += 1
        if "tool_calls" in message:
            rest = (messages[index] for index in range(position, len(messages)))
            results = list(takewhile(_is_result, rest))
            position += len(results)
            following = messages[position]["role"] if position < len(messages) else ""
            yield from _exchange(message, results, following, form, write)
        else:
            yield _result(message, form) if _is_result(message) else message


def _exchange(
    message: Message,
    results: Sequence[Message],
    following: str,
    form: HistoryForm,
    write: Write,
) -> Iterator[Message]:
    """Yields the messages of one answer with calls, and of its results.

    Args:
        message: The answer.
        results: The results that follow it.
        following: Role of the next message, or an empty string.
        form: The form.
        write: Returns calls in the format of the model's family.
    """
    calls: list[PastCall] = message["tool_calls"]
    text: str = message["content"]
    by_call, others = _matched(calls, results)
    is_unanswered = not all(by_call)
    if not text.strip() and form.text != "one":
        text = ""  # blanks before a call do not count as text
    placement = _placement(form, calls, bool(text), following == "user", is_unanswered)
    groups: Sequence[Sequence[int]] = [range(len(calls))]
    fields = {k: v for k, v in message.items() if k not in ("content", "tool_calls")}
    if form.reasoning == "none" or (form.reasoning == "without_text" and text):
        fields.pop(_REASONING, None)
    if placement in WRITTEN:
        written = [call.written for call in calls]
        yield {**fields, "content": WrittenCalls(text, written, write)}
        form = form if placement == "written" else replace(form, results="user")
    elif form.several_calls == "several":
        groups = [[index] for index in range(len(calls))]
    if text and placement not in WRITTEN and form.text == "several":
        yield {**fields, "content": text}
        fields.pop(_REASONING, None)
        text = ""
    for group in groups:
        if placement not in WRITTEN:
            content = {"content": text or form.no_content} if text or form.has_content else {}
            own = [calls[index].for_template(form) for index in group]
            yield {**fields, **content, "tool_calls": own}
            fields.pop(_REASONING, None)
            text = ""
        yield from (_result(result, form) for index in group for result in by_call[index])
    yield from (_result(result, form) for result in others)


def _placement(
    form: HistoryForm,
    calls: Sequence[PastCall],
    has_text: bool,
    is_interrupted: bool,
    is_unanswered: bool,
) -> Placement:
    applicable = (
        (True, form.calls),
        (len(calls) > 1, form.several_calls),
        (has_text, form.text),
        (is_interrupted, form.interrupted),
        (is_unanswered, form.unanswered),
        (any(call.is_free(form) for call in calls), form.free_arguments or "one"),
    )
    return max((place for applies, place in applicable if applies), key=PLACEMENTS.index)


def _matched(
    calls: Sequence[PastCall], results: Iterable[Message]
) -> tuple[list[list[Message]], list[Message]]:
    """Returns the results of each call, and those of other calls.

    Of calls with the same id, each one without a result gets the next.
    """
    positions: dict[str, list[int]] = {}
    for index, call in enumerate(calls):
        positions.setdefault(call.identity, []).append(index)
    by_call: list[list[Message]] = [[] for _ in calls]
    others: list[Message] = []
    for result in results:
        same = positions.get(result["tool_call_id"])
        if same is None:
            others.append(result)
        else:
            by_call[same[0]].append(result)
            if len(same) > 1:
                del same[0]
    return by_call, others


def _is_result(message: Mapping[str, Any]) -> bool:
    role: str = message["role"]
    return role == "tool"


def _result(message: Message, form: HistoryForm) -> Message:
    return message if form.results == "tool" else {**message, "role": _RESULT}


def _with_reasoning_key(messages: Iterable[Message], key: str) -> Iterator[Message]:
    for message in messages:
        if key != _REASONING and _REASONING in message:
            message = {(key if k == _REASONING else k): v for k, v in message.items()}
        yield message


def _with_results_of_users(messages: Iterable[Message]) -> list[Message]:
    """Turns results into user messages, merged with a user message that follows.

    Most templates that do not support results require user and assistant to alternate.
    """
    converted: list[Message] = []
    after_result = False
    for message in messages:
        is_result = message["role"] == _RESULT
        if is_result:
            content = f"<tool_response>\n{message['content']}\n</tool_response>"
            message = {"role": "user", "content": content}
        if after_result and message["role"] == "user":
            content = f"{converted.pop()['content']}\n{message['content']}"
            message = {**message, "content": content}
        converted.append(message)
        after_result = is_result
    return converted
