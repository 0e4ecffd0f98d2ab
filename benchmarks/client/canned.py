"""Responses of the canned server, as bytes."""

import json
from typing import Any

from benchmarks.client.programs.request import TEXT

CREATED = 1_790_000_000
BLOCK = 65536


def whole() -> bytes:
    """Returns an HTTP response with a whole completion."""
    body = _json(
        {
            "id": "chatcmpl-0123456789abcdef",
            "object": "chat.completion",
            "created": CREATED,
            "model": "any",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": TEXT},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": 24, "completion_tokens": 11, "total_tokens": 35},
        }
    )
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"X-Request-Id: req-0123456789abcdef\r\n\r\n" + body


def stream_head() -> bytes:
    """Returns the head of a streamed HTTP response."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    return head.encode() + b"X-Request-Id: req-0123456789abcdef\r\n\r\n"


def event(size: int = 0, finish_reason: str | None = None) -> bytes:
    """Returns an event in its own HTTP chunk, as servers send it.

    With a `size` of at least 64 KiB, its text has about `size` bytes; otherwise it has one word of
    text, and is 237 bytes long with its chunk.
    """
    text = " word" if size < BLOCK else " word" * (size // 5)
    chunk = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "any",
        "choices": [
            {
                "index": 0,
                "delta": {} if finish_reason else {"role": "assistant", "content": text},
                "finish_reason": finish_reason,
                "logprobs": None,
            }
        ],
        "usage": None,
    }
    return _chunk(b"data: " + _json(chunk) + b"\n\n")


def stream_end() -> bytes:
    """Returns the last event, `[DONE]`, and the end of the body."""
    return event(finish_reason="stop") + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
