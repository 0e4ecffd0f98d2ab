"""Requests: from the arguments of a chat method to a call, from its response to an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pydantic

from friendli._errors import ResponseValidationError, describe
from friendli._text import body_text
from friendli._transport import otel, parse
from friendli._transport.body import encode
from friendli._transport.call import Arguments, Call, prepare
from friendli._transport.flow import Flow, exchange
from friendli._transport.hooks import CallHooks, HookContext
from friendli._transport.options import Options
from friendli.models.completion import ContainerChatCompleteSuccess
from friendli.types import UNSET, Unset

_OPERATIONS: Final = {"complete": "dedicatedChatComplete", "stream": "dedicatedChatStream"}

_answer = ContainerChatCompleteSuccess.__pydantic_validator__.validate_json


@dataclass(slots=True)
class Request:
    """Call, and the type to parse its answer into, if any."""

    call: Call
    kind: type[Any] | None = None
    trace: otel.Trace | None = None

    @classmethod
    def of(cls, method: str, options: Options, arguments: Arguments) -> Request:
        """Build the request for the arguments of `method`.

        Raises:
            pydantic.ValidationError: An argument of the body has the wrong type.
            ValueError: An argument cannot be sent, or has an invalid value.
        """
        body = arguments.body
        kind: Any = body.get("response_format")
        if parse.is_format_type(kind):
            body["response_format"] = parse.format_of(kind)
        else:
            kind = None
        if method == "stream" and isinstance(body.get("stream", UNSET), Unset):
            body["stream"] = True
        stream = method == "stream" or body.get("stream") is True
        content = encode(body, arguments.extra_body)
        call = prepare(options, arguments.options, content, str(body["model"]), stream)
        if options.hooks.registered:
            context = HookContext(
                config=options.configuration,
                base_url=call.server_url,
                operation_id=_OPERATIONS[method],
                oauth2_scopes=[],
                security_source=options.token,
            )
            call.hooks = CallHooks(options.hooks, context)
        return cls(call, kind, otel.begin(call, body))

    def flow(self) -> Flow:
        """Return the flow of this request, inside its span if there is one."""
        flow = exchange(self.call)
        return flow if self.trace is None else self.trace.during(flow)

    def answer(self, response: Any) -> ContainerChatCompleteSuccess:
        """Parse the response with a whole answer.

        Raises:
            ResponseValidationError: The body is not valid JSON, or lacks required fields.
            AnswerNotParsedError: The answer does not match the requested type.
        """
        try:
            completion = _answer(response.content)
        except pydantic.ValidationError as cause:
            text = body_text(response)
            message = describe(
                f"Response validation failed: {cause}\n", response, text, self.call.where
            )
            error = ResponseValidationError(message, response, cause, text)
            self.end(None, error)
            raise error from cause
        self.end(completion)
        return self.finish(completion, response)

    def end(
        self, completion: ContainerChatCompleteSuccess | None, error: BaseException | None = None
    ) -> None:
        """End the span of the call; later calls of this method have no effect."""
        if self.trace is None:
            return
        if error is None:
            self.trace.succeed(completion)
        else:
            self.trace.fail(error)

    def finish(
        self, completion: ContainerChatCompleteSuccess, response: Any
    ) -> ContainerChatCompleteSuccess:
        """Add the parsed value and the request id to a whole answer.

        Raises:
            AnswerNotParsedError: The answer does not match the requested type.
        """
        if self.kind is not None:
            completion = parse.parse(completion, self.kind)
        request_id = response.headers.get("x-request-id")
        if request_id is not None:
            completion.__dict__["_request_id"] = request_id
        return completion
