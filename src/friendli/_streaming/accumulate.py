"""Accumulation of a stream: chunks in, one whole answer out.

The endpoint builds its whole answers here too, so a whole answer and an accumulated stream cannot
differ. No I/O.

Rules: text (content, reasoning_content, arguments, and unknown text of a delta) is concatenated;
entries of logprobs are appended; the id and the name of a tool call are taken from the first chunk
that has them; of every other field the last value that is not absent is kept. A null is kept only
if no chunk has a value.
"""

from __future__ import annotations

from typing import Any, TypeVar

from friendli.models.chunk import StreamedChatChoice, StreamedChatData, StreamedToolCallResult
from friendli.models.completion import (
    ChatChoice,
    ChatChoiceMessage,
    ChatLogprobs,
    ChatUsage,
    ContainerChatCompleteSuccess,
    FunctionResult,
    ToolCallResult,
)
from friendli.types import UNSET, BaseModel, OptionalNullable, Unset

M = TypeVar("M", bound=BaseModel)


class Accumulator:
    """Accumulates the chunks of one answer."""

    __slots__ = ("_choices", "_created", "_extra", "_id", "_model", "_usage")

    def __init__(self) -> None:
        self._id: str | None = None
        self._created = 0
        self._model: OptionalNullable[str] = UNSET
        self._usage: OptionalNullable[ChatUsage] = UNSET
        self._extra: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: StreamedChatData) -> None:
        """Add the next chunk."""
        if self._id is None:
            self._id = chunk.id
            self._created = chunk.created
            self._model = chunk.model
        if chunk.usage:
            self._usage = chunk.usage
        if chunk.__pydantic_extra__:
            self._extra.update(chunk.__pydantic_extra__)
        choices = self._choices
        for streamed in chunk.choices:
            choice = choices.get(streamed.index)
            if choice is None:
                choice = choices[streamed.index] = _Choice(streamed.index)
            choice.add(streamed)

    def completion(self) -> ContainerChatCompleteSuccess:
        """Build the answer from the chunks so far, with its choices in the order of their index.

        `finish_reason` of an unfinished choice, and `usage` if no chunk had it, are UNSET.

        Raises:
            ValueError: No chunk has been added.
        """
        if self._id is None:
            raise ValueError("there is no completion, because no chunk has been added")
        usage: Any = self._usage
        answer = ContainerChatCompleteSuccess.model_construct(
            id=self._id,
            choices=[self._choices[index].choice() for index in sorted(self._choices)],
            usage=usage,
            created=self._created,
            model=self._model,
        )
        return _with_extra(answer, self._extra)

    def unfinished(self) -> list[int]:
        """Return the indices of the choices without a finish_reason."""
        return sorted(i for i, choice in self._choices.items() if not choice.finish_reason)


class _Text:
    """Concatenated fragments of a text, which may be absent or null."""

    __slots__ = ("_fragments", "_null")

    def __init__(self) -> None:
        self._null = False
        self._fragments: list[str] = []

    def add(self, fragment: OptionalNullable[str]) -> None:
        if fragment is None:
            self._null = True
        elif not isinstance(fragment, Unset):
            self._fragments.append(fragment)

    def text(self) -> OptionalNullable[str]:
        if self._fragments:
            self._fragments = ["".join(self._fragments)]
            return self._fragments[0]
        return None if self._null else UNSET


class _Choice:
    """Accumulates one choice."""

    __slots__ = (
        "_calls",
        "_calls_null",
        "_content",
        "_delta_extra",
        "_extra",
        "_index",
        "_logprobs",
        "_reasoning",
        "_role",
        "_seed",
        "finish_reason",
    )

    def __init__(self, index: int) -> None:
        self._index = index
        self._role = "assistant"
        self._content = _Text()
        self._reasoning = _Text()
        self._calls: dict[int, _Call] = {}
        self._calls_null = False
        self._delta_extra: dict[str, Any] = {}
        self._logprobs: OptionalNullable[ChatLogprobs] = UNSET
        self._seed: Any = UNSET
        self._extra: dict[str, Any] = {}
        self.finish_reason: OptionalNullable[str] = UNSET

    def add(self, streamed: StreamedChatChoice) -> None:
        delta = streamed.delta
        if delta.content is not UNSET:
            self._content.add(delta.content)
        reasoning = delta.__dict__["reasoning_content"]  # as an attribute, absent reads as null
        if reasoning is not UNSET:
            self._reasoning.add(reasoning)
        if delta.role:
            self._role = delta.role
        if delta.tool_calls is None:
            self._calls_null = True
        elif delta.tool_calls:
            for call in delta.tool_calls:
                self._calls.setdefault(call.index, _Call()).add(call)
        if delta.__pydantic_extra__:
            _join_extra(self._delta_extra, delta.__pydantic_extra__)
        if streamed.logprobs is not UNSET:
            self._add_logprobs(streamed.logprobs)
        if streamed.finish_reason:
            self.finish_reason = streamed.finish_reason
        seed = streamed.__dict__["seed"]
        if seed is not UNSET:
            self._seed = seed
        if streamed.__pydantic_extra__:
            self._extra.update(streamed.__pydantic_extra__)

    def _add_logprobs(self, logprobs: OptionalNullable[ChatLogprobs]) -> None:
        if not logprobs:
            if self._logprobs is UNSET:
                self._logprobs = None
            return
        if not self._logprobs:
            self._logprobs = ChatLogprobs()
        total = self._logprobs
        if logprobs.content:
            if not total.content:
                total.content = []
            total.content.extend(logprobs.content)
        elif total.content is UNSET:
            total.content = logprobs.content
        for name, value in (logprobs.__pydantic_extra__ or {}).items():
            setattr(total, name, value)

    def choice(self) -> ChatChoice:
        calls: OptionalNullable[list[ToolCallResult]] = None if self._calls_null else UNSET
        if self._calls:
            calls = [self._calls[index].call() for index in sorted(self._calls)]
        reasoning: Any = self._reasoning.text()  # UNSET if absent
        message = ChatChoiceMessage.model_construct(
            role=self._role,
            content=self._content.text(),
            reasoning_content=reasoning,
            tool_calls=calls,
        )
        choice = ChatChoice.model_construct(
            index=self._index,
            message=_with_extra(message, self._delta_extra),
            finish_reason=self.finish_reason,
            logprobs=self._logprobs.model_copy(deep=True) if self._logprobs else self._logprobs,
            seed=self._seed,
        )
        return _with_extra(choice, self._extra)


class _Call:
    """Accumulates one tool call."""

    __slots__ = ("_arguments", "_extra", "_function_extra", "_id", "_name", "_type")

    def __init__(self) -> None:
        self._id = ""
        self._name = ""
        self._type = "function"
        self._arguments = _Text()
        self._extra: dict[str, Any] = {}
        self._function_extra: dict[str, Any] = {}

    def add(self, streamed: StreamedToolCallResult) -> None:
        if streamed.id and not self._id:
            self._id = streamed.id
        if streamed.TYPE:
            self._type = streamed.TYPE
        if streamed.__pydantic_extra__:
            self._extra.update(streamed.__pydantic_extra__)
        if streamed.function:
            if streamed.function.name and not self._name:
                self._name = streamed.function.name
            self._arguments.add(streamed.function.arguments)
            if streamed.function.__pydantic_extra__:
                self._function_extra.update(streamed.function.__pydantic_extra__)

    def call(self) -> ToolCallResult:
        function = FunctionResult.model_construct(
            arguments=self._arguments.text() or "", name=self._name
        )
        call = ToolCallResult.model_construct(
            id=self._id, function=_with_extra(function, self._function_extra), TYPE=self._type
        )
        return _with_extra(call, self._extra)


def _join_extra(total: dict[str, Any], extra: dict[str, Any]) -> None:
    for name, value in extra.items():
        before = total.get(name)
        if isinstance(before, str) and isinstance(value, str):
            total[name] = before + value
        elif value is not None or name not in total:
            total[name] = value


def _with_extra(model: M, extra: dict[str, Any]) -> M:
    if extra:
        # Not through the constructor: unknown fields may have any name, that of a parameter too.
        assert model.model_extra is not None
        model.model_extra.update(extra)
    return model
