"""Request bodies for each kind of server: one common body, and a table of dialects."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

__all__ = ["DIALECTS", "Address", "BenchError", "Dialect", "Request", "body", "user"]

BANNED = -100
"""Logit bias of a token that must not be sampled."""


class BenchError(Exception):
    """A benchmark cannot run or a workload fails on a server; the message says why."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Differences of one kind of server.

    Attributes:
        path: Path of chat completions.
        greedy: Further fields, next to temperature 0, that select the fastest greedy decoding.
        sampled: Further fields that switch off samplers which are on by default.
    """

    path: str
    greedy: Mapping[str, Any] = field(default_factory=dict)
    sampled: Mapping[str, Any] = field(default_factory=dict)


DIALECTS = {
    "friendli": Dialect("/dedicated/v1/chat/completions", sampled={"top_k": 0, "min_p": 0.0}),
    "llama.cpp": Dialect(
        "/v1/chat/completions",
        greedy={"top_k": 1},
        sampled={"top_k": 0, "min_p": 0.0, "typical_p": 1.0, "repeat_penalty": 1.0},
    ),
    "openai": Dialect("/v1/chat/completions"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """A server to measure.

    Attributes:
        name: Its name in tables.
        url: URL of its chat completions.
        dialect: A key of `DIALECTS`.
        model: The `model` of requests.
        end_tokens: EOS ids, which requests of a fixed length ban.
        token: Bearer token of the Authorization header, or None.
        process_id: Process id of a server that this run started; None for any other.
    """

    name: str
    url: str
    dialect: str
    model: str = "any"
    end_tokens: tuple[int, ...] = ()
    token: str | None = field(default=None, repr=False)
    process_id: int | None = None

    @classmethod
    def parse(
        cls, text: str, *, model: str, end_tokens: tuple[int, ...], token: str | None
    ) -> "Address":
        """Parses `[DIALECT=]URL`; the default dialect follows from the URL's path.

        Args:
            text: The text to parse.
            model: The `model` of requests.
            end_tokens: EOS ids of the model.
            token: Bearer token, or None.

        Raises:
            BenchError: The URL or the dialect is invalid.
        """
        dialect, _, url = text.rpartition("=")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BenchError(f"{text!r} is not an address such as http://HOST:PORT")
        if not dialect:
            ours = parts.path in ("", "/") or parts.path == DIALECTS["friendli"].path
            dialect = "friendli" if ours else "openai"
        if dialect not in DIALECTS:
            raise BenchError(f"there is no dialect {dialect!r}; choose from: {', '.join(DIALECTS)}")
        if parts.path in ("", "/"):
            url = url.rstrip("/") + DIALECTS[dialect].path
        return cls(parts.netloc.rpartition("@")[2], url, dialect, model, end_tokens, token)


@dataclass(frozen=True, slots=True)
class Request:
    """A chat completion request, independent of the server's dialect.

    Attributes:
        messages: Messages as on the wire.
        tokens: Number of tokens to generate for each choice; a maximum if there is a schema.
        temperature: Sampling temperature; 0 is greedy.
        top_p: Nucleus sampling, as on the wire; sent only if the temperature is not 0.
        choices: Number of choices (`n`).
        schema: JSON schema of the answer, or None for text of exactly `tokens` tokens.
    """

    messages: tuple[Mapping[str, str], ...]
    tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    choices: int = 1
    schema: Mapping[str, Any] | None = None


def user(text: str) -> Mapping[str, str]:
    """Returns a user message."""
    return {"role": "user", "content": text}


def body(request: Request, address: Address) -> bytes:
    """Encodes a request in the server's dialect, as JSON, streamed and with usage."""
    dialect = DIALECTS[address.dialect]
    fields: dict[str, Any] = {
        "model": address.model,
        "messages": request.messages,
        "max_tokens": request.tokens,
        "temperature": request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.temperature:
        fields |= {"top_p": request.top_p, **dialect.sampled}
    else:
        fields |= dialect.greedy
    if request.choices > 1:
        fields["n"] = request.choices
    if request.schema is None:
        fields["logit_bias"] = {str(token): BANNED for token in address.end_tokens}
    else:
        schema = {"name": "answer", "schema": request.schema}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    return json.dumps(fields).encode()
