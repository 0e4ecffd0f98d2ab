"""Test client for a running endpoint, from JSON down to bytes on a connection."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

START_SECONDS = 60.0
STOP_SECONDS = 20.0
ANSWER_SECONDS = 60.0

COMPLETIONS = "/dedicated/v1/chat/completions"
JSON_TYPE = {"content-type": "application/json"}
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello!"}]


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Polls until a condition is true, and returns its value.

    Raises:
        AssertionError: The condition is not true within `seconds`; the message contains `what`.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return value


def environment(**more: str) -> dict[str, str]:
    """Returns the environment of this process without variables that configure our programs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FRIENDLI_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def serve_command(*flags: str) -> list[str]:
    """Returns the command line that serves on a free port."""
    return [sys.executable, "-m", "friendli_endpoint.cli", "serve", "--port", "0", *flags]


class Live:
    """A running endpoint.

    Args:
        address: Its URL.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.port = int(address.rpartition(":")[2])

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Sends one request on a new connection."""
        with httpx2.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
            return client.request(method, self.address + path, **options)

    def post(self, body: Any) -> httpx2.Response:
        """Posts a body to the chat completions route: bytes unchanged, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", COMPLETIONS, content=content, headers=JSON_TYPE)

    def complete(self, **fields: Any) -> dict[str, Any]:
        """Returns the JSON of a completion."""
        response = self.post(request(**fields))
        assert response.status_code == 200, response.text
        return dict(response.json())

    def stream(self, first: Callable[[], None] = lambda: None, /, **fields: Any) -> Streamed:
        """Reads a stream to its end; calls `first` when the first text has arrived."""
        streamed = Streamed()
        body = json.dumps(request(stream=True, **fields)).encode()
        with (
            httpx2.Client(timeout=ANSWER_SECONDS, trust_env=False) as client,
            client.stream(
                "POST", self.address + COMPLETIONS, content=body, headers=JSON_TYPE
            ) as response,
        ):
            assert response.status_code == 200, response.read()
            waiting = True
            for line in response.iter_lines():
                streamed.add(line)
                if waiting and streamed.has_text:
                    waiting = False
                    first()
        return streamed

    def answer(self, **fields: Any) -> Answer:
        """Returns the answer to a request, streamed or not."""
        if fields.pop("stream", False):
            return self.stream(stream_options={"include_usage": True}, **fields).answer()
        return Answer.of(self.complete(**fields))

    def connect(self) -> socket.socket:
        """Opens a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS)

    def send(self, body: Any) -> socket.socket:
        """Opens a connection and posts a body on it."""
        connection = self.connect()
        connection.sendall(http_request(json.dumps(body).encode()))
        return connection


def request(**fields: Any) -> dict[str, Any]:
    """Returns a valid body with these fields."""
    return {"model": "any", "messages": HELLO, **fields}


def http_request(body: bytes, *headers: str) -> bytes:
    """Returns the bytes of an HTTP request that posts a body."""
    lines = [
        f"POST {COMPLETIONS} HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def abort(connection: socket.socket) -> None:
    """Closes a connection with a TCP reset, as when a client process dies."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@dataclass
class Answer:
    """The fields of an answer that must not depend on streaming or on other requests."""

    choices: list[dict[str, Any]]
    usage: dict[str, int] | None

    @classmethod
    def of(cls, completion: dict[str, Any]) -> Answer:
        """Extracts the fields from the JSON of a completion."""
        return cls(
            [
                {
                    "index": choice["index"],
                    "content": choice["message"]["content"],
                    "logprobs": choice["logprobs"] and choice["logprobs"]["content"],
                    "finish_reason": choice["finish_reason"],
                    "seed": choice["seed"],
                }
                for choice in completion["choices"]
            ],
            counted(completion["usage"]),
        )


def counted(usage: dict[str, Any] | None) -> dict[str, int] | None:
    """Returns the usage without the cached tokens, which depend on earlier requests."""
    return usage and {key: n for key, n in usage.items() if key != "prompt_tokens_details"}


@dataclass
class Streamed:
    """Parsed chunks of a stream."""

    chunks: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False

    def add(self, line: str) -> None:
        """Parses a line."""
        if line == "" or line.startswith(":"):
            return
        name, _, value = line.partition(": ")
        assert name == "data", line
        assert not self.done, "something follows [DONE]"
        if value == "[DONE]":
            self.done = True
        else:
            self.chunks.append(json.loads(value))

    @property
    def has_text(self) -> bool:
        return any(c["delta"].get("content") for chunk in self.chunks for c in chunk["choices"])

    def texts(self, index: int = 0) -> list[str]:
        """Returns the content deltas of a choice."""
        choices = [choice for chunk in self.chunks for choice in chunk["choices"]]
        return [c["delta"].get("content", "") for c in choices if c["index"] == index]

    def answer(self) -> Answer:
        """Accumulates the chunks to an answer."""
        assert self.done
        choices: dict[int, dict[str, Any]] = {}
        usage = None
        for chunk in self.chunks:
            usage = chunk["usage"] or usage
            for choice in chunk["choices"]:
                so_far = choices.setdefault(
                    choice["index"],
                    {
                        "index": choice["index"],
                        "content": "",
                        "logprobs": None,
                        "finish_reason": None,
                        "seed": None,
                    },
                )
                assert so_far["finish_reason"] is None, "something follows the finish"
                so_far["content"] += choice["delta"].get("content", "")
                if choice["logprobs"] is not None:
                    entries = so_far["logprobs"] or []
                    so_far["logprobs"] = entries + choice["logprobs"]["content"]
                so_far["finish_reason"] = choice["finish_reason"]
                so_far["seed"] = choice.get("seed", so_far["seed"])
        return Answer([choices[index] for index in sorted(choices)], counted(usage))


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """Sends a signal to a process, and kills it if it does not exit; returns its exit code."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(STOP_SECONDS)
