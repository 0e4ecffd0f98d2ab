"""A server on the loopback address that replies with streams from a test."""

import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

PATH = "/v1/chat/completions"
WORDS_OF_TEMPLATE = 10

Reply = Callable[[dict[str, Any]], Sequence[Any] | Response]
"""Function from a request's body to the payloads of its stream, or to another response."""


@dataclass
class Loopback:
    """The server's URL, and the bodies and Authorization headers that it received."""

    url: str
    received: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)


@contextlib.contextmanager
def serving(reply: Reply) -> Iterator[Loopback]:
    """Runs the server until the block ends."""
    app = FastAPI()
    listener = socket.create_server(("127.0.0.1", 0))
    loopback = Loopback(f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}")

    @app.post(PATH, response_model=None)
    async def complete(request: Request) -> Response:
        body = await request.json()
        loopback.received.append(body)
        loopback.authorizations.append(request.headers.get("authorization"))
        answer = reply(body)
        if isinstance(answer, Response):
            return answer
        return StreamingResponse(_events(answer), media_type="text/event-stream")

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield loopback
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def _events(payloads: Sequence[Any]) -> AsyncIterator[bytes]:
    for payload in payloads:
        yield b"data: " + json.dumps(payload).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def chunk(text: str | None = None, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    """Returns a payload with text, or with the finish reason of a choice."""
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """Returns the payload with the usage."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


def exact_reply(body: dict[str, Any]) -> list[Any]:
    """Replies to each choice with exactly `max_tokens` tokens, one word and event per token."""
    tokens, choices = body["max_tokens"], range(body.get("n", 1))
    prompt = sum(len(message["content"].split()) for message in body["messages"])
    texts = [chunk("word ", index=choice) for _ in range(tokens) for choice in choices]
    ends = [chunk(finish="length", index=choice) for choice in choices]
    return [*texts, *ends, usage(prompt + WORDS_OF_TEMPLATE, tokens * len(choices))]
