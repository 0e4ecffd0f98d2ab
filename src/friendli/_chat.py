"""`dedicated.chat`: complete() and stream().

Only signatures are here, sync and async; `_transport/request.py` makes the call and reads the
answer, `_transport/flow.py` decides how it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, cast, overload

from typing_extensions import Unpack

from friendli._params import ChatParams, Format, Messages, NotStream, documented, request_of
from friendli._raw import RawResponse
from friendli._streaming.stream import EventStream, EventStreamAsync
from friendli._tools import MAX_ROUNDS, ToolRun, drive_tools, drive_tools_async, tool_loop
from friendli._transport.drive import drive, drive_async
from friendli._transport.http import AsyncOwned, SyncOwned
from friendli._transport.options import Options
from friendli._transport.parse import ParsedCompletion
from friendli._transport.request import Request
from friendli.models.chunk import ContainerChatCompletionStreamSuccess
from friendli.models.completion import ContainerChatCompleteSuccess
from friendli.types import UNSET, Unset

P = TypeVar("P")
Completion: TypeAlias = ContainerChatCompleteSuccess
Result: TypeAlias = ContainerChatCompletionStreamSuccess


class SyncChat:
    """Chat completions of a dedicated endpoint."""

    def __init__(self, options: Options, http: SyncOwned) -> None:
        self._options = options
        self._http = http

    @overload
    def complete(
        self,
        *,
        model: str,
        messages: Messages,
        stream: Literal[True],
        response_format: Format = ...,
        **params: Unpack[ChatParams],
    ) -> EventStream[Result]: ...
    @overload
    def complete(
        self,
        *,
        model: str,
        messages: Messages,
        stream: NotStream = ...,
        response_format: type[P],
        **params: Unpack[ChatParams],
    ) -> ParsedCompletion[P]: ...
    @overload
    def complete(
        self,
        *,
        model: str,
        messages: Messages,
        stream: NotStream = ...,
        response_format: Format = ...,
        **params: Unpack[ChatParams],
    ) -> Completion: ...
    @overload
    def complete(
        self,
        *,
        model: str,
        messages: Messages,
        stream: bool | Unset | None = ...,
        response_format: Format = ...,
        **params: Unpack[ChatParams],
    ) -> Completion | EventStream[Result]: ...

    @documented
    def complete(self, **params: Any) -> Any:
        """Have the model answer a conversation.

        The arguments are those of `ChatParams`, and three more. A type (a pydantic model, a
        dataclass) as `response_format` makes the model write JSON of that type, read into
        `.parsed`. `stream=True` gives the stream that `stream()` gives.

        Args:
            model: The endpoint's id, or `ENDPOINT_ID:ADAPTER_ROUTE`.
            messages: The conversation, as models or dicts.
            **params: See `ChatParams`.

        Returns:
            The whole answer.

        Raises:
            SDKError: The server answered with an error.
            ResponseValidationError: The answer is not what it should be.
            NetworkError: No answer came.
            AnswerNotParsedError: The answer does not fit the type given as `response_format`.
            pydantic.ValidationError: An argument has the wrong type.
        """
        return self._send(request_of("complete", self._options, params))

    @documented
    def stream(
        self,
        *,
        model: str,
        messages: Messages,
        stream: bool | Unset | None = True,
        response_format: Format | type[Any] = UNSET,
        **params: Unpack[ChatParams],
    ) -> EventStream[Result]:
        """Have the model answer a conversation, and read the answer as it is made.

        Args:
            model: The endpoint's id, or `ENDPOINT_ID:ADAPTER_ROUTE`.
            messages: The conversation, as models or dicts.
            stream: Sent as it is; true unless given.
            response_format: The format forced on the answer.
            **params: See `ChatParams`.

        Returns:
            The events; a context manager.

        Raises:
            SDKError: The server answered with an error.
            NetworkError: No answer came.
            pydantic.ValidationError: An argument has the wrong type.
        """
        given: dict[str, Any] = {"model": model, "messages": messages, "stream": stream, **params}
        given["response_format"] = response_format
        del params  # so that no frame of ours holds headers in clear
        request = request_of("stream", self._options, given)
        return cast("EventStream[Result]", self._send(request))

    def run_tools(
        self,
        *,
        model: str,
        messages: Messages,
        functions: Sequence[Callable[..., Any]],
        max_rounds: int = MAX_ROUNDS,
        response_format: Format = UNSET,
        **params: Unpack[ChatParams],
    ) -> ToolRun:
        """Let the model call functions of the program until it answers.

        Args:
            model: The endpoint's id, or `ENDPOINT_ID:ADAPTER_ROUTE`.
            messages: The conversation, as models or dicts.
            functions: What the model may call. Schemas come from the signatures' annotations,
                descriptions from the docstrings.
            max_rounds: Most requests; >= 1.
            response_format: The format forced on the answers.
            **params: See `ChatParams`; every request is made with them.

        Returns:
            The last answer and the whole conversation.

        Raises:
            ToolLoopError: The model still called functions in the last round.
            TypeError: A function's signature cannot be described.
            ValueError: `n` is above 1, or two functions share a name.
        """
        given = {"model": model, "messages": messages, "response_format": response_format}
        loop = tool_loop(functions, max_rounds, {**given, **params})
        return drive_tools(loop, self.complete)

    @property
    def with_raw_response(self) -> SyncRawChat:
        """The same methods, giving the HTTP response beside the answer."""
        return SyncRawChat(self._options, self._http)

    def _send(self, request: Request) -> Any:
        return self._answer(request, drive(request.flow(), self._http.get()))

    def _answer(self, request: Request, response: Any) -> Any:
        if not request.call.stream:
            return request.answer(response)
        return EventStream(response, self._http, request=request)


class AsyncChat:
    """Chat completions of a dedicated endpoint."""

    def __init__(self, options: Options, http: AsyncOwned) -> None:
        self._options = options
        self._http = http

    @overload
    async def complete(
        self,
        *,
        model: str,
        messages: Messages,
        stream: Literal[True],
        response_format: Format = ...,
        **params: Unpack[ChatParams],
    ) -> EventStreamAsync[Result]: ...
    @overload
    async def complete(
        self,
        *,
        model: str,
        messages: Messages,
        stream: NotStream = ...,
        response_format: type[P],
        **params: Unpack[ChatParams],
    ) -> ParsedCompletion[P]: ...
    @overload
    async def complete(
        self,
        *,
        model: str,
        messages: Messages,
        stream: NotStream = ...,
        response_format: Format = ...,
        **params: Unpack[ChatParams],
    ) -> Completion: ...
    @overload
    async def complete(
        self,
        *,
        model: str,
        messages: Messages,
        stream: bool | Unset | None = ...,
        response_format: Format = ...,
        **params: Unpack[ChatParams],
    ) -> Completion | EventStreamAsync[Result]: ...

    @documented
    async def complete(self, **params: Any) -> Any:
        """Have the model answer a conversation.

        The arguments are those of `ChatParams`, and three more. A type (a pydantic model, a
        dataclass) as `response_format` makes the model write JSON of that type, read into
        `.parsed`. `stream=True` gives the stream that `stream()` gives.

        Args:
            model: The endpoint's id, or `ENDPOINT_ID:ADAPTER_ROUTE`.
            messages: The conversation, as models or dicts.
            **params: See `ChatParams`.

        Returns:
            The whole answer.

        Raises:
            SDKError: The server answered with an error.
            ResponseValidationError: The answer is not what it should be.
            NetworkError: No answer came.
            AnswerNotParsedError: The answer does not fit the type given as `response_format`.
            pydantic.ValidationError: An argument has the wrong type.
        """
        return await self._send(request_of("complete", self._options, params))

    @documented
    async def stream(
        self,
        *,
        model: str,
        messages: Messages,
        stream: bool | Unset | None = True,
        response_format: Format | type[Any] = UNSET,
        **params: Unpack[ChatParams],
    ) -> EventStreamAsync[Result]:
        """Have the model answer a conversation, and read the answer as it is made.

        Args:
            model: The endpoint's id, or `ENDPOINT_ID:ADAPTER_ROUTE`.
            messages: The conversation, as models or dicts.
            stream: Sent as it is; true unless given.
            response_format: The format forced on the answer.
            **params: See `ChatParams`.

        Returns:
            The events; a context manager.

        Raises:
            SDKError: The server answered with an error.
            NetworkError: No answer came.
            pydantic.ValidationError: An argument has the wrong type.
        """
        given: dict[str, Any] = {"model": model, "messages": messages, "stream": stream, **params}
        given["response_format"] = response_format
        del params  # so that no frame of ours holds headers in clear
        request = request_of("stream", self._options, given)
        return cast("EventStreamAsync[Result]", await self._send(request))

    async def run_tools(
        self,
        *,
        model: str,
        messages: Messages,
        functions: Sequence[Callable[..., Any]],
        max_rounds: int = MAX_ROUNDS,
        response_format: Format = UNSET,
        **params: Unpack[ChatParams],
    ) -> ToolRun:
        """Let the model call functions of the program until it answers.

        Args:
            model: The endpoint's id, or `ENDPOINT_ID:ADAPTER_ROUTE`.
            messages: The conversation, as models or dicts.
            functions: What the model may call. Schemas come from the signatures' annotations,
                descriptions from the docstrings. Async ones of one round run side by side.
            max_rounds: Most requests; >= 1.
            response_format: The format forced on the answers.
            **params: See `ChatParams`; every request is made with them.

        Returns:
            The last answer and the whole conversation.

        Raises:
            ToolLoopError: The model still called functions in the last round.
            TypeError: A function's signature cannot be described.
            ValueError: `n` is above 1, or two functions share a name.
        """
        given = {"model": model, "messages": messages, "response_format": response_format}
        loop = tool_loop(functions, max_rounds, {**given, **params})
        return await drive_tools_async(loop, self.complete)

    @property
    def with_raw_response(self) -> AsyncRawChat:
        """The same methods, giving the HTTP response beside the answer."""
        return AsyncRawChat(self._options, self._http)

    async def _send(self, request: Request) -> Any:
        return self._answer(request, await drive_async(request.flow(), self._http.get()))

    def _answer(self, request: Request, response: Any) -> Any:
        if not request.call.stream:
            return request.answer(response)
        return EventStreamAsync(response, self._http, request=request)


class SyncRawChat:
    """`SyncChat` whose methods give the HTTP response beside the answer."""

    def __init__(self, options: Options, http: SyncOwned) -> None:
        self._chat = SyncChat(options, http)
        self._options = options
        self._http = http

    @documented
    def complete(self, **params: Any) -> RawResponse[Any]:
        """As `SyncChat.complete`; the answer is read by `parse()`."""
        return self._send(request_of("complete", self._options, params))

    @documented
    def stream(self, **params: Any) -> RawResponse[EventStream[Result]]:
        """As `SyncChat.stream`; the stream is given by `parse()`."""
        return self._send(request_of("stream", self._options, params))

    def _send(self, request: Request) -> RawResponse[Any]:
        response = drive(request.flow(), self._http.get())
        return RawResponse(response, lambda: self._chat._answer(request, response))


class AsyncRawChat:
    """`AsyncChat` whose methods give the HTTP response beside the answer."""

    def __init__(self, options: Options, http: AsyncOwned) -> None:
        self._chat = AsyncChat(options, http)
        self._options = options
        self._http = http

    @documented
    async def complete(self, **params: Any) -> RawResponse[Any]:
        """As `AsyncChat.complete`; the answer is read by `parse()`."""
        return await self._send(request_of("complete", self._options, params))

    @documented
    async def stream(self, **params: Any) -> RawResponse[EventStreamAsync[Result]]:
        """As `AsyncChat.stream`; the stream is given by `parse()`."""
        return await self._send(request_of("stream", self._options, params))

    async def _send(self, request: Request) -> RawResponse[Any]:
        response = await drive_async(request.flow(), self._http.get())
        return RawResponse(response, lambda: self._chat._answer(request, response))
