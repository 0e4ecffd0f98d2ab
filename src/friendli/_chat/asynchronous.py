"""`dedicated.chat` of AsyncFriendli: the methods `complete`, `stream` and `run_tools`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from typing_extensions import Unpack

from friendli._chat.raw import AsyncRawChat, send_async
from friendli._params import (
    MAX_ROUNDS,
    ChatParams,
    Format,
    Messages,
    NotStream,
    also_documents,
    documented,
    request_of,
    with_params,
)
from friendli._streaming.stream import EventStreamAsync
from friendli._transport.http import AsyncHttpProvider
from friendli._transport.options import Options
from friendli._transport.parse import ParsedCompletion
from friendli._typing import Argument
from friendli.models.chunk import ContainerChatCompletionStreamSuccess
from friendli.models.completion import ContainerChatCompleteSuccess
from friendli.types import UNSET, Unset

if TYPE_CHECKING:
    from friendli._tools import ToolRun

__all__ = ["AsyncChat"]

P = TypeVar("P")


class AsyncChat:
    """Chat completions of a dedicated endpoint, for programs with an event loop."""

    def __init__(self, options: Options, http: AsyncHttpProvider) -> None:
        self._options = options
        self._http = http

    def __getattr__(self, name: str) -> Any:
        from friendli._compat.absent import absent_attribute

        raise absent_attribute(self, "dedicated.chat.", name)

    @overload
    async def complete(
        self,
        *,
        model: Argument[str],
        messages: Messages,
        stream: Literal[True],
        response_format: Argument[Format] | type[Any] = ...,
        **params: Unpack[ChatParams],
    ) -> EventStreamAsync[ContainerChatCompletionStreamSuccess]: ...
    @overload
    async def complete(
        self,
        *,
        model: Argument[str],
        messages: Messages,
        stream: NotStream = ...,
        response_format: type[P],
        **params: Unpack[ChatParams],
    ) -> ParsedCompletion[P]: ...
    @overload
    async def complete(
        self,
        *,
        model: Argument[str],
        messages: Messages,
        stream: NotStream = ...,
        response_format: Argument[Format] = ...,
        **params: Unpack[ChatParams],
    ) -> ContainerChatCompleteSuccess: ...
    @overload
    async def complete(
        self,
        *,
        model: Argument[str],
        messages: Messages,
        stream: Argument[bool] | Unset | None = ...,
        response_format: Argument[Format] | type[Any] = ...,
        **params: Unpack[ChatParams],
    ) -> ContainerChatCompleteSuccess | EventStreamAsync[ContainerChatCompletionStreamSuccess]: ...

    @also_documents(AsyncRawChat.complete)
    @documented
    async def complete(self, **params: Any) -> Any:
        """Return the model's answer to a conversation.

        Example:
            async with AsyncFriendli() as friendli:
                answer = await friendli.dedicated.chat.complete(model="e", messages=messages)
                print(answer.choices[0].message.content)

        Args:
            model: ID of the endpoint, or `ENDPOINT_ID:ADAPTER_ROUTE` for one of its adapters.
            messages: The conversation so far, at least one message: models of `friendli.models`, or
                dicts.
            stream: Whether to return a stream, as `stream()` does. Default: False.
            response_format: Format that the output must match. A type (a pydantic model, a
                dataclass) makes the model write JSON of that type, parsed into `.parsed`.
                Default: free text. Not together with `tools` or `min_tokens`.
            **params: See `ChatParams`.

        Returns:
            A `friendli.models.ContainerChatCompleteSuccess`; a `friendli.ParsedCompletion` if
            `response_format` is a type; a `friendli.EventStreamAsync` if `stream` is True.

        Raises:
            friendli.SDKError: The server returned an error, or a response of the wrong kind.
            friendli.NetworkError: The connection failed, or timed out.
            friendli.ResponseValidationError: The response is not a valid completion.
            friendli.AnswerNotParsedError: The answer does not match the type `response_format`.
            pydantic.ValidationError: An argument of the body has the wrong type.
            TypeError: An argument is missing or unknown.
            ValueError: An argument is not usable, for example NaN or `timeout_ms=0`.
        """
        return await send_async(request_of("complete", self._options, params), self._http)

    @also_documents(AsyncRawChat.stream)
    @documented
    async def stream(
        self,
        *,
        model: str,
        messages: Messages,
        stream: bool | Unset | None = True,
        response_format: Format | type[Any] = UNSET,
        **params: Unpack[ChatParams],
    ) -> EventStreamAsync[ContainerChatCompletionStreamSuccess]:
        """Return the model's answer to a conversation as a stream of events.

        Example:
            async with await friendli.dedicated.chat.stream(model="e", messages=messages) as stream:
                async for text in stream.text_deltas:
                    print(text, end="", flush=True)

        Args:
            model: ID of the endpoint, or `ENDPOINT_ID:ADAPTER_ROUTE` for one of its adapters.
            messages: The conversation so far, at least one message: models of `friendli.models`, or
                dicts.
            stream: Value of the field `stream`. Default: True.
            response_format: Format that the output must match. A type (a pydantic model, a
                dataclass) makes the model write JSON of that type; `get_final_completion()`
                parses it. Default: free text. Not together with `tools` or `min_tokens`.
            **params: See `ChatParams`.

        Returns:
            A `friendli.EventStreamAsync` of `friendli.models.ContainerChatCompletionStreamSuccess`,
            an async iterator and an async context manager.

        Raises:
            friendli.SDKError: The server returned an error, or a response that is not a stream.
            friendli.NetworkError: The connection failed, or timed out.
            pydantic.ValidationError: An argument of the body has the wrong type.
            TypeError: An argument is missing or unknown.
            ValueError: An argument is not usable, for example NaN or `timeout_ms=0`.
        """
        arguments: dict[str, Any] = {
            "model": model,
            "messages": messages,
            "stream": stream,
            **params,
        }
        arguments["response_format"] = response_format
        del params  # so that no frame of the client holds headers in the clear
        request = request_of("stream", self._options, arguments)
        return cast(
            "EventStreamAsync[ContainerChatCompletionStreamSuccess]",
            await send_async(request, self._http),
        )

    @with_params
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

        Example:
            chat = friendli.dedicated.chat
            run = await chat.run_tools(model="e", messages=messages, functions=[weather])
            print(run.text)

        Args:
            model: ID of the endpoint, or `ENDPOINT_ID:ADAPTER_ROUTE` for one of its adapters.
            messages: The conversation so far, at least one message: models of `friendli.models`, or
                dicts.
            functions: Functions that the model may call. Schemas come from the annotations of the
                signatures, descriptions from the docstrings. Async functions of one
                round run concurrently.
            max_rounds: Maximum number of requests. Minimum: 1. Default: 10.
            response_format: Format that the answers must match. Default: free text.
            **params: See `ChatParams`.

        Returns:
            A `friendli.ToolRun`: the last answer and the whole conversation.

        Raises:
            friendli.ToolLoopError: The model still called functions in the last round.
            TypeError: The signature of a function cannot be described as a JSON Schema.
            ValueError: `n` is above 1, `max_rounds` is below 1, or two functions share a name.
            Exception: Any exception of `complete()`, and any that a function raises.
        """
        arguments = {"model": model, "messages": messages, "response_format": response_format}
        from friendli._tools import drive_tools_async, tool_loop

        loop = tool_loop(functions, max_rounds, {**arguments, **params})
        return await drive_tools_async(loop, self.complete)

    @property
    def with_raw_response(self) -> AsyncRawChat:
        """The same methods, returning the HTTP response: a `friendli.RawResponse`."""
        return AsyncRawChat(self._options, self._http)
