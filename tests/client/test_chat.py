"""HTTP request and response of a call."""

from __future__ import annotations

import json

import friendli
from friendli import models

from .conftest import Caller
from .wire import MESSAGES, Serve, answer, completion, json_answer, stream_answer, words


def test_request_line_headers_and_body(serve: Serve, caller: Caller) -> None:
    server = serve(json_answer(completion(), x_request_id="r-1"))
    result = caller.call(server.url, max_tokens=200)
    [request] = server.requests
    assert request.line == "POST /dedicated/v1/chat/completions HTTP/1.1"
    assert request.json == {"model": "e", "messages": MESSAGES, "max_tokens": 200}
    assert request.body.startswith(b'{"model":"e","messages":[{"content":"Hello!"')
    assert request.header("accept") == "application/json"
    assert request.header("content-type") == "application/json"
    assert request.header("authorization") == "Bearer t"
    assert request.header("x-friendli-team") is None
    assert request.header("user-agent") == f"friendli-dedicated/python {friendli.VERSION}"
    assert isinstance(result, models.ContainerChatCompleteSuccess)
    assert result.model_dump() == completion()
    assert result.request_id == "r-1"


def test_stream_field_and_accept_header(serve: Serve, caller: Caller) -> None:
    server = serve(stream_answer(words("a")))
    caller.call(server.url, "stream")
    caller.call(server.url, "complete", stream=True)
    assert [r.json["stream"] for r in server.requests] == [True, True]
    assert {r.header("accept") for r in server.requests} == {"text/event-stream"}
    assert server.requests[0].line == "POST /dedicated/v1/chat/completions HTTP/1.1"
    server = serve(json_answer(completion()))
    caller.call(server.url, stream=False)
    assert server.requests[0].json["stream"] is False


def test_compressed_answer_is_decoded(serve: Serve, caller: Caller) -> None:
    import gzip

    body = gzip.compress(json.dumps(completion("é" * 1000)).encode())
    server = serve(answer(body, content_encoding="gzip"))
    assert caller.call(server.url).choices[0].message.content == "é" * 1000
