"""The routes that show what the model sees: text as tokens, tokens as text, a rendered prompt."""

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from friendli.models import DedicatedChatCompletionBody
from friendli.types import FailFastList
from friendli_endpoint.http.body import EndpointBody
from friendli_endpoint.http.limits.body_memory import HeldBody
from friendli_endpoint.http.middleware.body_timeout import read_body
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.service import Service

__all__ = ["BODIES", "add_inspection_routes"]

TOKENIZE = "/dedicated/v1/tokenize"
DETOKENIZE = "/dedicated/v1/detokenize"
RENDER = "/dedicated/v1/chat/render"

ModelName = Annotated[str, Field(min_length=1, max_length=256)]
"""As long as in a chat completion."""


class TokenizeBody(EndpointBody):
    """Text to be tokenised.

    Attributes:
        model: As in a chat completion.
        prompt: The text; nothing is put before or after it.
        parse_special: Whether control tokens written out in the text are recognised; it is plain
            text by default, as what users write is.
    """

    model: ModelName
    prompt: str
    parse_special: bool | None = None


class TokenizeAnswer(BaseModel):
    """Token ids of a text."""

    tokens: list[int]


class DetokenizeBody(EndpointBody):
    """Tokens to be written out.

    Attributes:
        model: As in a chat completion.
        tokens: Token ids of the model's vocabulary.
    """

    model: ModelName
    tokens: FailFastList[int]


class DetokenizeAnswer(BaseModel):
    """Text of tokens; U+FFFD stands for bytes that are no UTF-8."""

    text: str


class RenderedPiece(BaseModel):
    """One token of a prompt.

    Attributes:
        text: Its own text; U+FFFD stands for a part of a character.
        control: Whether it is a control token, and no text that only reads like one.
    """

    text: str
    control: bool


class RenderAnswer(BaseModel):
    """The prompt of a chat completion as the model sees it.

    Attributes:
        text: All of it, control tokens written out.
        tokens: Its token ids.
        pieces: Its tokens as text, one for each id.
        prompt_tokens: How many there are; `usage` of a completion has the same number.
        room: How many tokens of the context are left for an answer.
    """

    text: str
    tokens: list[int]
    pieces: list[RenderedPiece]
    prompt_tokens: int
    room: int


BODIES: dict[str, type[BaseModel]] = {
    TOKENIZE: TokenizeBody,
    DETOKENIZE: DetokenizeBody,
    RENDER: DedicatedChatCompletionBody,
}
"""Path to what is posted there."""


def add_inspection_routes(app: FastAPI, service: Service, policy: Policy) -> None:
    """Adds the routes to an application; a call of them counts as a request."""

    async def answer(request: Request, work: Callable[[HeldBody], BaseModel]) -> Response:
        policy.rates.take_request(getattr(request.state, "caller", None))
        sent = await read_body(request, policy.max_body)
        body = await asyncio.to_thread(lambda: work(sent).model_dump_json())
        return Response(body, media_type="application/json")

    @app.post(TOKENIZE, summary="Text as tokens", response_model=TokenizeAnswer)
    async def tokenize(request: Request) -> Response:
        return await answer(request, lambda sent: _tokenize(service, sent))

    @app.post(DETOKENIZE, summary="Tokens as text", response_model=DetokenizeAnswer)
    async def detokenize(request: Request) -> Response:
        return await answer(request, lambda sent: _detokenize(service, sent))

    @app.post(RENDER, summary="The prompt of a chat completion", response_model=RenderAnswer)
    async def render(request: Request) -> Response:
        return await answer(request, lambda sent: _render(service, sent, policy.max_messages))


def _tokenize(service: Service, sent: HeldBody) -> TokenizeAnswer:
    body = sent.parse(TokenizeBody)
    return TokenizeAnswer(
        tokens=service.tokenize(body.model, body.prompt, bool(body.parse_special))
    )


def _detokenize(service: Service, sent: HeldBody) -> DetokenizeAnswer:
    body = sent.parse(DetokenizeBody)
    return DetokenizeAnswer(text=service.detokenize(body.model, body.tokens))


def _render(service: Service, sent: HeldBody, max_messages: int | None) -> RenderAnswer:
    rendering = service.render(sent.parse(DedicatedChatCompletionBody, max_messages))
    return RenderAnswer(
        text=rendering.text,
        tokens=list(rendering.tokens),
        pieces=[RenderedPiece(text=text, control=control) for text, control in rendering.pieces],
        prompt_tokens=len(rendering.tokens),
        room=rendering.room,
    )
