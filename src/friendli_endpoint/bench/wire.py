"""A request as each kind of server wants to hear it: one body, and a table of what differs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

__all__ = ["DIALECTS", "Address", "BenchError", "Dialect", "Request", "body", "user"]

BANNED = -100
"""Bias of a token that may not be drawn."""


class BenchError(Exception):
    """Something could not be measured; the message says why in a sentence."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How servers of one kind differ from the others.

    Attributes:
        path: Where their chat completions are.
        greedy: What makes them take the likeliest token by the shortest way, next to temperature 0.
        sampled: What switches off samplers that are on by default and that nobody asked for.
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
        name: What tables call it.
        url: Where its chat completions are.
        dialect: A key of `DIALECTS`.
        model: What requests name as the model.
        end_tokens: Ids that a request of fixed length bans.
        token: For the Authorization header, or None.
        process: Id of a server that was started; None for one that ran already.
    """

    name: str
    url: str
    dialect: str
    model: str = "any"
    end_tokens: tuple[int, ...] = ()
    token: str | None = field(default=None, repr=False)
    process: int | None = None

    @classmethod
    def parse(
        cls, text: str, *, model: str, end_tokens: tuple[int, ...], token: str | None
    ) -> "Address":
        """Reads `[DIALECT=]URL`; by default the path tells our servers from others.

        Raises:
            BenchError: It is no address of chat completions.
        """
        dialect, _, url = text.rpartition("=")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BenchError(f"{text!r} is no address; one looks like http://HOST:PORT")
        if not dialect:
            ours = parts.path in ("", "/") or parts.path == DIALECTS["friendli"].path
            dialect = "friendli" if ours else "openai"
        if dialect not in DIALECTS:
            raise BenchError(f"there is no dialect {dialect!r}; there are: {', '.join(DIALECTS)}")
        if parts.path in ("", "/"):
            url = url.rstrip("/") + DIALECTS[dialect].path
        return cls(parts.netloc.rpartition("@")[2], url, dialect, model, end_tokens, token)


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask, in no server's words.

    Attributes:
        messages: As on the wire.
        tokens: To generate for each choice; the most, where a schema ends the answer.
        temperature: 0 is greedy.
        top_p: As on the wire.
        choices: How many.
        schema: JSON schema that the answer must keep to, or None for text of exactly `tokens`.
    """

    messages: tuple[Mapping[str, str], ...]
    tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    choices: int = 1
    schema: Mapping[str, Any] | None = None


def user(text: str) -> Mapping[str, str]:
    """A message of the user."""
    return {"role": "user", "content": text}


def body(request: Request, address: Address) -> bytes:
    """The request in the server's dialect, as a stream that ends with its usage."""
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
