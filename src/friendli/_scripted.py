"""Scripted endpoint on a loopback port, without a model, for tests of programs."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pydantic

_PATH = "/dedicated/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """Request that a scripted endpoint received.

    Attributes:
        headers: Headers; names in lower case.
        body: Parsed JSON body.
    """

    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Any
    headers: dict[str, str]
    events: tuple[Any, ...] = ()
    cut: bool = False


class ScriptedEndpoint:
    """Endpoint that serves the queued answers, one per request; after the last one, "ok".

    Attributes:
        url: Base URL, for `server_url=`.
        requests: Received requests, in order.
    """

    real = False

    def __init__(self) -> None:
        self.requests: list[SeenRequest] = []
        self._answers: deque[_Answer] = deque()
        self._server = _QuietServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def answer(self, answer: str | dict[str, Any] | pydantic.BaseModel, **headers: str) -> None:
        """Queue an answer: a text, or a whole completion. It is streamed if the request is."""
        if isinstance(answer, pydantic.BaseModel):
            answer = answer.model_dump()
        body = completion_body(answer) if isinstance(answer, str) else answer
        self._answers.append(_Answer(200, body, headers))

    def error(self, status: int, message: str = "scripted", **headers: str) -> None:
        """Queue an error; `retry_after="1"` and the like become headers."""
        self._answers.append(_Answer(status, {"error": {"message": message}}, headers))

    def stream(self, events: Iterable[Any], *, cut: bool = False, **headers: str) -> None:
        """Queue a stream: texts become content deltas, dicts and models whole events.

        Args:
            events: Events in order; the final chunk and `[DONE]` are added if the last is a text.
            cut: Whether to cut the connection instead of ending the stream.
            **headers: Headers of the response.
        """
        self._answers.append(_Answer(200, None, headers, _events(list(events), cut), cut))

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _next(self, request: SeenRequest) -> _Answer:
        self.requests.append(request)
        return self._answers.popleft() if self._answers else _Answer(200, completion_body("ok"), {})


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients may disconnect early


def completion_body(text: str) -> dict[str, Any]:
    """Build the JSON of a whole answer with the content `text`."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": None,
    }
    words = len(text.split())
    return {
        "id": "scripted",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1},
    }


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}],
    }


def _events(items: list[Any], cut: bool) -> tuple[Any, ...]:
    events = [_chunk({"content": e}) if isinstance(e, str) else e for e in items]
    if items and isinstance(items[0], str):
        events.insert(0, _chunk({"role": "assistant", "content": ""}))
    if not cut and (not items or isinstance(items[-1], str)):
        events += [_chunk({}, "stop"), "[DONE]"]
    return tuple(e.model_dump() if isinstance(e, pydantic.BaseModel) else e for e in events)


def _handler(endpoint: ScriptedEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(_Answer(200 if self.path == "/health" else 404, {}, {}))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path.partition("?")[0] != _PATH:
                return self._send(_Answer(404, {"error": {"message": "not found"}}, {}))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(raw)
            answer = endpoint._next(SeenRequest(headers, body))
            if answer.body is not None and answer.status == 200 and body.get("stream"):
                message = answer.body["choices"][0]["message"]
                answer = _Answer(200, None, answer.headers, _events([message["content"]], False))
            if answer.body is None:
                self._stream(answer)
            else:
                self._send(answer)

        def _head(self, answer: _Answer, **more: str) -> None:
            self.send_response(answer.status)
            for name, value in {**more, **answer.headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def _send(self, answer: _Answer) -> None:
            body = json.dumps(answer.body).encode()
            self._head(answer, content_type="application/json", content_length=str(len(body)))
            self.wfile.write(body)

        def _stream(self, answer: _Answer) -> None:
            self._head(answer, content_type="text/event-stream", transfer_encoding="chunked")
            for event in answer.events:
                text = event if isinstance(event, str) else json.dumps(event)
                payload = f"data: {text}\n\n".encode()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(payload), payload))
                self.wfile.flush()
            if answer.cut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
