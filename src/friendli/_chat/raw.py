"""The chat methods that return the HTTP response, and how a request is sent and answered.

The methods of `SyncChat` and `AsyncChat` pass their arguments and signatures on to those of the
same name here (`also_documents`).
"""

from __future__ import annotations

from typing import Any

from friendli._params import request_of
from friendli._raw import RawResponse
from friendli._streaming.stream import EventStream, EventStreamAsync
from friendli._transport.drive import drive, drive_async
from friendli._transport.http import AsyncHttpProvider, SyncHttpProvider
from friendli._transport.options import Options
from friendli._transport.request import Request
from friendli.models.chunk import ContainerChatCompletionStreamSuccess

__all__ = ["AsyncRawChat", "SyncRawChat", "send", "send_async"]


class SyncRawChat:
    """Methods of `SyncChat` that return the HTTP response instead of the answer."""

    def __init__(self, options: Options, http: SyncHttpProvider) -> None:
        self._options = options
        self._http = http

    def complete(self, **params: Any) -> RawResponse[Any]:
        """Return the HTTP response to a request for a completion.

        Example:
            chat = friendli.dedicated.chat.with_raw_response
            raw = chat.complete(model="e", messages=messages)
            print(raw.status_code, raw.parse())

        Args:
            **params: The arguments of `SyncChat.complete`.

        Returns:
            A `friendli.RawResponse`, whose `parse()` returns the result of `SyncChat.complete`.

        Raises:
            friendli.SDKError: The server returned an error, or a response of the wrong kind.
            friendli.NetworkError: The connection failed, or timed out.
            pydantic.ValidationError: An argument of the body has the wrong type.
            TypeError: An argument is missing or unknown.
            ValueError: An argument is not usable, for example NaN or `timeout_ms=0`.
        """
        return _send_raw(request_of("complete", self._options, params), self._http)

    def stream(
        self, **params: Any
    ) -> RawResponse[EventStream[ContainerChatCompletionStreamSuccess]]:
        """Return the HTTP response to a request for a stream.

        Example:
            chat = friendli.dedicated.chat.with_raw_response
            raw = chat.stream(model="e", messages=messages)
            print(raw.status_code, list(raw.parse().text_deltas))

        Args:
            **params: The arguments of `SyncChat.stream`.

        Returns:
            A `friendli.RawResponse`, whose `parse()` returns the result of `SyncChat.stream`.

        Raises:
            friendli.SDKError: The server returned an error, or a response of the wrong kind.
            friendli.NetworkError: The connection failed, or timed out.
            pydantic.ValidationError: An argument of the body has the wrong type.
            TypeError: An argument is missing or unknown.
            ValueError: An argument is not usable, for example NaN or `timeout_ms=0`.
        """
        return _send_raw(request_of("stream", self._options, params), self._http)


class AsyncRawChat:
    """Methods of `AsyncChat` that return the HTTP response instead of the answer."""

    def __init__(self, options: Options, http: AsyncHttpProvider) -> None:
        self._options = options
        self._http = http

    async def complete(self, **params: Any) -> RawResponse[Any]:
        """Return the HTTP response to a request for a completion.

        Example:
            chat = friendli.dedicated.chat.with_raw_response
            raw = await chat.complete(model="e", messages=messages)
            print(raw.status_code, raw.parse())

        Args:
            **params: The arguments of `AsyncChat.complete`.

        Returns:
            A `friendli.RawResponse`, whose `parse()` returns the result of `AsyncChat.complete`.

        Raises:
            friendli.SDKError: The server returned an error, or a response of the wrong kind.
            friendli.NetworkError: The connection failed, or timed out.
            pydantic.ValidationError: An argument of the body has the wrong type.
            TypeError: An argument is missing or unknown.
            ValueError: An argument is not usable, for example NaN or `timeout_ms=0`.
        """
        return await _send_raw_async(request_of("complete", self._options, params), self._http)

    async def stream(
        self, **params: Any
    ) -> RawResponse[EventStreamAsync[ContainerChatCompletionStreamSuccess]]:
        """Return the HTTP response to a request for a stream.

        Example:
            chat = friendli.dedicated.chat.with_raw_response
            raw = await chat.stream(model="e", messages=messages)
            print(raw.status_code, [text async for text in raw.parse().text_deltas])

        Args:
            **params: The arguments of `AsyncChat.stream`.

        Returns:
            A `friendli.RawResponse`, whose `parse()` returns the result of `AsyncChat.stream`.

        Raises:
            friendli.SDKError: The server returned an error, or a response of the wrong kind.
            friendli.NetworkError: The connection failed, or timed out.
            pydantic.ValidationError: An argument of the body has the wrong type.
            TypeError: An argument is missing or unknown.
            ValueError: An argument is not usable, for example NaN or `timeout_ms=0`.
        """
        return await _send_raw_async(request_of("stream", self._options, params), self._http)


def send(request: Request, http: SyncHttpProvider) -> Any:
    """Send a request; return its answer, or its stream."""
    return _send_raw(request, http).parse()


async def send_async(request: Request, http: AsyncHttpProvider) -> Any:
    """Send a request; return its answer, or its stream."""
    return (await _send_raw_async(request, http)).parse()


def _send_raw(request: Request, http: SyncHttpProvider) -> RawResponse[Any]:
    response = drive(request.flow(), http.get())
    if request.call.stream:
        return RawResponse(response, lambda: EventStream(response, http, request=request))
    return RawResponse(response, lambda: request.answer(response))


async def _send_raw_async(request: Request, http: AsyncHttpProvider) -> RawResponse[Any]:
    response = await drive_async(request.flow(), http.get())
    if request.call.stream:
        return RawResponse(response, lambda: EventStreamAsync(response, http, request=request))
    return RawResponse(response, lambda: request.answer(response))
