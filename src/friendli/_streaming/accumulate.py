"""A streamed answer put together again: chunks in, one whole answer out.

The endpoint builds its whole answers here too, so a whole answer and an accumulated stream cannot
differ. Knows no network and no bytes.

How pieces join: text (content, reasoning_content, arguments, and unknown text of a delta) is
concatenated, entries of logprobs are appended, a call's id and name are taken from the first piece
that has them, and of everything else the last value that is not absent wins. An explicit null
counts only where no value ever came.
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
    """Adds up the chunks of one answer."""

    __slots__ = ("_choices", "_created", "_extra", "_id", "_model", "_usage")

    def __init__(self) -> None:
        self._id: str | None = None
        self._created = 0
        self._model: OptionalNullable[str] = UNSET
        self._usage: OptionalNullable[ChatUsage] = UNSET
        self._extra: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: StreamedChatData) -> None:
        """Take in the next chunk."""
        if self._id is None:
            self._id = chunk.id
            self._created = chunk.created
            self._model = chunk.model
        if chunk.usage:
            self._usage = chunk.usage
        if chunk.__pydantic_extra__:
            self._extra.update(chunk.__pydantic_extra__)
        choices = self._choices
        for piece in chunk.choices:
            choice = choices.get(piece.index)
            if choice is None:
                choice = choices[piece.index] = _Choice(piece.index)
            choice.add(piece)

    def completion(self) -> ContainerChatCompleteSuccess:
        """Build the answer as far as it has come, choices by index.

        `finish_reason` of a choice that has not ended, and `usage` if no chunk carried it, are
        UNSET.

        Raises:
            ValueError: No chunk has been added.
        """
        if self._id is None:
            raise ValueError("the stream carried no chunk, so there is no completion")
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
        """Name the choices that have no finish_reason yet, by index."""
        return sorted(i for i, choice in self._choices.items() if not choice.finish_reason)


class _Text:
    """Text that comes in pieces, and may be absent or null."""

    __slots__ = ("_null", "_pieces")

    def __init__(self) -> None:
        self._null = False
        self._pieces: list[str] = []

    def add(self, piece: OptionalNullable[str]) -> None:
        if piece is None:
            self._null = True
        elif not isinstance(piece, Unset):
            self._pieces.append(piece)

    def text(self) -> OptionalNullable[str]:
        if self._pieces:
            self._pieces = ["".join(self._pieces)]
            return self._pieces[0]
        return None if self._null else UNSET


class _Choice:
    """One choice in the making."""

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
        self._seed: OptionalNullable[int] = UNSET
        self._extra: dict[str, Any] = {}
        self.finish_reason: OptionalNullable[str] = UNSET

    def add(self, piece: StreamedChatChoice) -> None:
        delta = piece.delta
        if delta.content is not UNSET:
            self._content.add(delta.content)
        if delta.reasoning_content is not UNSET:
            self._reasoning.add(delta.reasoning_content)
        if delta.role:
            self._role = delta.role
        if delta.tool_calls is None:
            self._calls_null = True
        elif delta.tool_calls:
            for call in delta.tool_calls:
                self._calls.setdefault(call.index, _Call()).add(call)
        if delta.__pydantic_extra__:
            _join_extra(self._delta_extra, delta.__pydantic_extra__)
        if piece.logprobs is not UNSET:
            self._add_logprobs(piece.logprobs)
        if piece.finish_reason:
            self.finish_reason = piece.finish_reason
        if not isinstance(piece.seed, Unset):
            self._seed = piece.seed
        if piece.__pydantic_extra__:
            self._extra.update(piece.__pydantic_extra__)

    def _add_logprobs(self, piece: OptionalNullable[ChatLogprobs]) -> None:
        if not piece:
            if self._logprobs is UNSET:
                self._logprobs = None
            return
        if not self._logprobs:
            self._logprobs = ChatLogprobs()
        whole = self._logprobs
        if piece.content:
            if not whole.content:
                whole.content = []
            whole.content.extend(piece.content)
        elif whole.content is UNSET:
            whole.content = piece.content
        for name, value in (piece.__pydantic_extra__ or {}).items():
            setattr(whole, name, value)

    def choice(self) -> ChatChoice:
        calls: OptionalNullable[list[ToolCallResult]] = None if self._calls_null else UNSET
        if self._calls:
            calls = [self._calls[index].call() for index in sorted(self._calls)]
        message = ChatChoiceMessage.model_construct(
            role=self._role,
            content=self._content.text(),
            reasoning_content=self._reasoning.text(),
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
    """One tool call in the making."""

    __slots__ = ("_arguments", "_extra", "_function_extra", "_id", "_name", "_type")

    def __init__(self) -> None:
        self._id = ""
        self._name = ""
        self._type = "function"
        self._arguments = _Text()
        self._extra: dict[str, Any] = {}
        self._function_extra: dict[str, Any] = {}

    def add(self, piece: StreamedToolCallResult) -> None:
        if piece.id and not self._id:
            self._id = piece.id
        if piece.TYPE:
            self._type = piece.TYPE
        if piece.__pydantic_extra__:
            self._extra.update(piece.__pydantic_extra__)
        if piece.function:
            if piece.function.name and not self._name:
                self._name = piece.function.name
            self._arguments.add(piece.function.arguments)
            if piece.function.__pydantic_extra__:
                self._function_extra.update(piece.function.__pydantic_extra__)

    def call(self) -> ToolCallResult:
        function = FunctionResult.model_construct(
            arguments=self._arguments.text() or "", name=self._name
        )
        call = ToolCallResult.model_construct(
            id=self._id, function=_with_extra(function, self._function_extra), TYPE=self._type
        )
        return _with_extra(call, self._extra)


def _join_extra(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        before = whole.get(name)
        if isinstance(before, str) and isinstance(value, str):
            whole[name] = before + value
        elif value is not None or name not in whole:
            whole[name] = value


def _with_extra(model: M, extra: dict[str, Any]) -> M:
    if extra:
        # Not through the constructor: a server may call a field whatever it likes.
        assert model.model_extra is not None
        model.model_extra.update(extra)
    return model
