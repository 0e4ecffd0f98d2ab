"""Routes that show the model's input: tokenize, detokenize and render a prompt."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from friendli.models import DedicatedChatCompletionBody
from friendli.types import FailFastList
from friendli_endpoint.http.body import EndpointBody
from friendli_endpoint.http.disconnect import run_until_disconnect
from friendli_endpoint.http.limits.body_memory import BufferedBody
from friendli_endpoint.http.middleware.body_timeout import read_body
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.service import RenderedPrompt, Service

__all__ = ["BODIES", "add_inspection_routes"]

TOKENIZE = "/dedicated/v1/tokenize"
DETOKENIZE = "/dedicated/v1/detokenize"
RENDER = "/dedicated/v1/chat/render"

ModelName = Annotated[str, Field(min_length=1, max_length=256)]
"""Same maximum length as in a chat completion."""


class TokenizeBody(EndpointBody):
    """Text to tokenize.

    Attributes:
        model: As in a chat completion.
        prompt: The text; no tokens are added before or after it.
        parse_special: Whether control tokens that are spelled out in the text are recognized. By
            default the text is plain text, like users' text in a prompt.
    """

    model: ModelName
    prompt: str
    parse_special: bool | None = None


class TokenizeResponse(BaseModel):
    """Token ids of a text."""

    tokens: list[int]


class DetokenizeBody(EndpointBody):
    """Tokens to detokenize.

    Attributes:
        model: As in a chat completion.
        tokens: Token ids of the model's vocabulary.
    """

    model: ModelName
    tokens: FailFastList[int]


class DetokenizeResponse(BaseModel):
    """Text of tokens; U+FFFD stands for bytes that are not UTF-8."""

    text: str


class RenderedToken(BaseModel):
    """One token of a prompt.

    Attributes:
        text: Text of the token; U+FFFD stands for an incomplete character.
        control: Whether it is a control token, rather than text that spells one.
    """

    text: str
    control: bool


class RenderResponse(BaseModel):
    """The prompt of a chat completion as the model sees it.

    Attributes:
        text: Text of the prompt, with control tokens spelled out.
        tokens: Token ids of the prompt.
        pieces: Text of each token, in the order of `tokens`.
        prompt_tokens: Number of tokens, as in the `usage` of a completion.
        room: Number of tokens of the context that remain for the completion.
    """

    text: str
    tokens: list[int]
    pieces: list[RenderedToken]
    prompt_tokens: int
    room: int


BODIES: dict[str, type[BaseModel]] = {
    TOKENIZE: TokenizeBody,
    DETOKENIZE: DetokenizeBody,
    RENDER: DedicatedChatCompletionBody,
}
"""Type of the body of each route, by path."""


def add_inspection_routes(app: FastAPI, service: Service, policy: Policy) -> None:
    """Adds the routes to an application; a call counts as a request of the rate limit."""

    async def read(request: Request) -> BufferedBody:
        policy.rates.take_request(getattr(request.state, "caller", None))
        return await read_body(request, policy.max_body)

    async def respond(work: Callable[[], BaseModel]) -> Response:
        response = await asyncio.to_thread(lambda: work().model_dump_json())
        return Response(response, media_type="application/json")

    @app.post(TOKENIZE, summary="Tokenize text", response_model=TokenizeResponse)
    async def tokenize(request: Request) -> Response:
        body = await asyncio.to_thread((await read(request)).parse, TokenizeBody)
        work = service.tokenize(body.model, body.prompt, bool(body.parse_special))
        tokens = await run_until_disconnect(request, work)
        return await respond(lambda: TokenizeResponse(tokens=tokens))

    @app.post(DETOKENIZE, summary="Detokenize tokens", response_model=DetokenizeResponse)
    async def detokenize(request: Request) -> Response:
        content = await read(request)
        return await respond(lambda: _detokenize(service, content))

    @app.post(
        RENDER, summary="Render the prompt of a chat completion", response_model=RenderResponse
    )
    async def render(request: Request) -> Response:
        parse = partial(
            (await read(request)).parse, DedicatedChatCompletionBody, policy.max_messages
        )
        body = await asyncio.to_thread(parse)
        rendering = await run_until_disconnect(request, service.render(body))
        return await respond(lambda: _response_of(rendering))


def _detokenize(service: Service, content: BufferedBody) -> DetokenizeResponse:
    body = content.parse(DetokenizeBody)
    return DetokenizeResponse(text=service.detokenize(body.model, body.tokens))


def _response_of(rendering: RenderedPrompt) -> RenderResponse:
    return RenderResponse(
        text=rendering.text,
        tokens=list(rendering.tokens),
        pieces=[RenderedToken(text=text, control=control) for text, control in rendering.pieces],
        prompt_tokens=len(rendering.tokens),
        room=rendering.room,
    )
