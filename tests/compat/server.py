"""Scripted chat server for the programs: the model of a request names the answer.

The answers are deterministic: of one process of a program, and counted by model.

| model | answer |
|---|---|
| `plain` | one sentence |
| `echo` | the body that was sent, as JSON with sorted keys, without `model` and `stream` |
| `headers` | some headers that were sent, as JSON |
| `tools-N` | N tool calls; after a tool message, the sentence with its content |
| `logprobs` | two tokens with log probabilities |
| `reasoning` | a sentence with `reasoning_content` |
| `extra` | fields at every depth that no client knows |
| `structured` | text that fits the type of the `response_format` |
| `fail-S-N` | the status S for the first N requests, then the number of the request |
| `count:M` | the number of requests with model M |
| `status-S`, `status-S-text` | the status S with JSON, or with HTML |
| `not-json`, `wrong-shape`, `wrong-type` | an invalid body with status 200 |
| `hang` | nothing, until the client disconnects |
| `cut`, `no-done`, `error-event` | streams that break, end without `[DONE]`, or contain an error |
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SENTENCE = "Hello from the endpoint."
SHOWN_HEADERS = ("accept", "authorization", "content-type", "x-friendli-team", "x-program")
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
STRUCTURED = {
    "json_schema": '{"city": "Seoul", "degrees": 21.5}',
    "json_object": '{"anything": [1, 2]}',
    "regex": "2026-01-31",
    "text": "plain text",
}


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Runs the server on a free port of 127.0.0.1, and yields its URL."""
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Server(ThreadingHTTPServer):
    """Counts the requests by model, and says nothing of connections that clients break."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def count(self, model: str, increment: int = 0) -> int:
        """Adds to the number of requests with a model, and returns it."""
        with self._lock:
            self._counts[model] += increment
            return self._counts[model]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints errors of the server's own only."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""

    def do_POST(self) -> None:
        """Answers a chat request by its model."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/dedicated/v1/chat/completions":
            self._send(404, "application/json", json.dumps({"error": {"message": self.path}}))
            return
        model = body["model"]
        count = self.server.count(model, 1)
        name, *details = model.split("-")
        if name == "status" or (name == "fail" and count <= int(details[1])):
            self._fail(int(details[0]), as_text=details[-1] == "text")
        elif model == "hang":
            self.rfile.read(1)
            self.close_connection = True
        elif model == "not-json":
            self._send(200, "application/json", "{nothing")
        elif model == "wrong-shape":
            self._send(200, "application/json", json.dumps({"id": "x"}))
        elif model == "wrong-type":
            self._send(200, "text/plain", "hm")
        else:
            choice = self._choice(body, count)
            if body.get("stream"):
                self._stream(body, choice)
            else:
                self._send(200, "application/json", json.dumps(_completion(model, choice)))

    def _choice(self, body: dict[str, Any], count: int) -> dict[str, Any]:
        model = body["model"]
        name, *details = model.split("-")
        message: dict[str, Any] = {"role": "assistant", "content": SENTENCE}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        if name == "echo":
            sent = {key: body[key] for key in body if key not in ("model", "stream")}
            message["content"] = json.dumps(sent, sort_keys=True)
        elif name == "headers":
            shown = {key: self.headers.get_all(key) for key in SHOWN_HEADERS}
            message["content"] = json.dumps({key: shown[key] for key in shown if shown[key]})
        elif name == "tools" and body["messages"][-1]["role"] != "tool":
            message.update(content=None, tool_calls=[_call(i) for i in range(int(details[0]))])
            choice["finish_reason"] = "tool_calls"
        elif name == "tools":
            message["content"] = f"The tool said {body['messages'][-1]['content']}."
        elif name == "logprobs":
            message["content"] = "Hi!"
            choice["logprobs"] = {"content": [_token("Hi", -0.25), _token("!", -1.5)]}
        elif name == "reasoning":
            message["reasoning_content"] = "They greet me."
        elif name == "extra":
            message["mood"] = "calm"
            choice["stop_reason"] = 7
        elif name == "structured":
            message["content"] = STRUCTURED[body.get("response_format", {"type": "text"})["type"]]
        elif name == "fail":
            message["content"] = f"attempt {count}"
        elif name.startswith("count:"):
            message["content"] = str(self.server.count(model.removeprefix("count:")))
        return choice

    def _fail(self, status: int, as_text: bool) -> None:
        if as_text:
            self._send(status, "text/html; charset=utf-8", f"<h1>{status}</h1>")
        else:
            error = {"error": {"message": f"status {status}", "type": "scripted"}}
            self._send(status, "application/json", json.dumps(error))

    def _send(self, status: int, content_type: str, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        self.send_header("x-request-id", "r-1")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, body: dict[str, Any], choice: dict[str, Any]) -> None:
        model = body["model"]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        events = [json.dumps(chunk) for chunk in _chunks(body, choice)]
        if model == "cut":
            self._events(events[:3])
            self.wfile.flush()
            self.close_connection = True
            return
        if model == "error-event":
            events[3:] = [json.dumps({"error": {"message": "out of memory", "code": "oom"}})]
        self._events([*events, *(["[DONE]"] if model != "no-done" else [])])
        self.wfile.write(b"0\r\n\r\n")

    def _events(self, events: list[str]) -> None:
        for event in events:
            data = f"data: {event}\n\n".encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _call(index: int) -> dict[str, Any]:
    function = {"name": "weather", "arguments": json.dumps({"city": f"city {index}"})}
    return {"id": f"call-{index}", "type": "function", "function": function}


def _token(text: str, logprob: float) -> dict[str, Any]:
    token = {"token": text, "logprob": logprob, "bytes": list(text.encode())}
    rival = {"token": "?", "logprob": -3.0, "bytes": None}
    return {**token, "top_logprobs": [token, rival]}


def _completion(model: str, choice: dict[str, Any]) -> dict[str, Any]:
    whole = {"id": "c-1", "object": "chat.completion", "created": 1, "model": model}
    whole.update(choices=[choice], usage=USAGE)
    if model == "extra":
        whole["system_fingerprint"] = "f"
    return whole


def _chunks(body: dict[str, Any], choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the chunks of a stream: the role, the deltas, the reason of the end, the usage."""

    def chunk(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1}
        return {**head, "model": body["model"], "choices": choices, "usage": None, **more}

    def part(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return chunk(
            [{"index": 0, "delta": delta, "finish_reason": None, "logprobs": None, **more}]
        )

    message = choice["message"]
    yield part({"role": "assistant", "content": ""})
    if "reasoning_content" in message:
        yield part({"reasoning_content": message["reasoning_content"]})
    if choice["logprobs"]:
        for token in choice["logprobs"]["content"]:
            yield part({"content": token["token"]}, logprobs={"content": [token]})
    elif message["content"] is not None:
        for word in message["content"].split(" "):
            yield part({"content": word + " "})
    for index, call in enumerate(message.get("tool_calls", [])):
        head = {**call["function"], "arguments": ""}
        yield part({"tool_calls": [{**call, "index": index, "function": head}]})
        for text in (call["function"]["arguments"][:5], call["function"]["arguments"][5:]):
            yield part({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
    yield part({}, finish_reason=choice["finish_reason"])
    if (body.get("stream_options") or {}).get("include_usage"):
        yield chunk([], usage=USAGE)
