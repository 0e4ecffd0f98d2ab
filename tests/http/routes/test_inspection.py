"""The routes that show the model's input: their bodies, responses and errors."""

import asyncio
import json
from typing import Any

import pytest

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.limits.rates import RateLimiter
from tests.http.scripted import (
    BOUND,
    SCRIPTED,
    VALID,
    Call,
    ScriptedService,
    check_error,
    scripted_app,
)

TOKENIZE = "/dedicated/v1/tokenize"
DETOKENIZE = "/dedicated/v1/detokenize"
RENDER = "/dedicated/v1/chat/render"


def post(service: ScriptedService, path: str, body: Any, **policy: Any) -> Call:
    async def posting() -> Call:
        app = scripted_app(service, **policy)
        async with Call(app, "POST", path, body=[json.dumps(body).encode()]) as call:
            return await call.done()

    return asyncio.run(asyncio.wait_for(posting(), BOUND))


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService()


@pytest.mark.parametrize(
    ("fields", "special"),
    [
        ({}, False),
        ({"parse_special": None}, False),
        ({"parse_special": False}, False),
        ({"parse_special": True}, True),
    ],
    ids=str,
)
def test_text_is_tokenized(service: ScriptedService, fields: dict[str, Any], special: bool) -> None:
    call = post(service, TOKENIZE, {"model": "m:a", "prompt": "caf<|im_end|>", **fields})
    assert call.status == 200
    assert call.json == {"tokens": SCRIPTED.tokenize("caf<|im_end|>", special)}
    assert (SCRIPTED.token("<|im_end|>") in call.json["tokens"]) is special
    assert service.named == ["m:a"]


def test_tokens_are_detokenized(service: ScriptedService) -> None:
    tokens = [SCRIPTED.token("<|im_end|>"), *SCRIPTED.tokenize(" the日本", False)]
    call = post(service, DETOKENIZE, {"model": "m:a", "tokens": tokens})
    assert (call.status, call.json) == (200, {"text": "<|im_end|> the日本"})
    assert service.named == ["m:a"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_is_rendered_and_nothing_is_generated(
    service: ScriptedService, stream: bool
) -> None:
    call = post(service, RENDER, {**VALID, "stream": stream})
    assert call.status == 200
    assert call.json == {
        "text": "<|im_start|>",
        "tokens": [1],
        "pieces": [{"text": "<|im_start|>", "control": True}],
        "prompt_tokens": 1,
        "room": SCRIPTED.context - 1,
    }
    assert [body.messages[0].content for body in service.prepared] == ["Hello!"]
    assert not service.scripted.submitted.is_set()


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        (TOKENIZE, {"prompt": "a"}, 422, "model"),
        (TOKENIZE, {"model": "m"}, 422, "prompt"),
        (TOKENIZE, {"model": "m", "prompt": None}, 422, "prompt"),
        (TOKENIZE, {"model": "m", "prompt": ["a"]}, 422, "prompt"),
        (TOKENIZE, {"model": "m", "prompt": "a", "parse_special": 1}, 422, "parse_special"),
        (TOKENIZE, {"model": "", "prompt": "a"}, 400, "model"),
        (TOKENIZE, {"model": "m" * 257, "prompt": "a"}, 400, "model"),
        (TOKENIZE, {"model": "m", "prompt": "a", "text": "a"}, 400, "text"),
        (DETOKENIZE, {"tokens": []}, 422, "model"),
        (DETOKENIZE, {"model": "m"}, 422, "tokens"),
        (DETOKENIZE, {"model": "m", "tokens": "a"}, 422, "tokens"),
        (DETOKENIZE, {"model": "m", "tokens": [1, "a", "b"]}, 422, "tokens[1]"),
        (DETOKENIZE, {"model": "m", "tokens": [1, True]}, 422, "tokens[1]"),
        (DETOKENIZE, {"model": "m", "tokens": [1, 2.0]}, 422, "tokens[1]"),
        (DETOKENIZE, {"model": "m", "tokens": [1, 2, 3, -1]}, 400, "tokens[3]"),
        (DETOKENIZE, {"model": "m", "tokens": [SCRIPTED.size]}, 400, "tokens[0]"),
        (DETOKENIZE, {"model": "m", "tokens": [10**400]}, 400, "tokens[0]"),
        (DETOKENIZE, {"model": "m", "tokens": [], "ids": []}, 400, "ids"),
        (RENDER, {"model": "m"}, 422, "messages"),
        (RENDER, {"model": "m", "messages": [{"role": "cat"}]}, 400, "messages[0].role"),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_an_invalid_body_is_rejected(
    service: ScriptedService, path: str, body: Any, status: int, param: str
) -> None:
    assert param in check_error(post(service, path, body), status, param)["message"]


@pytest.mark.parametrize(
    ("path", "body"), [(TOKENIZE, {"model": "m:x", "prompt": "a"}), (RENDER, VALID)]
)
def test_an_error_of_the_service_is_returned(
    service: ScriptedService, path: str, body: dict[str, Any]
) -> None:
    service.error = RequestError(
        "no such adapter", param="model", status=404, code="adapter_not_found"
    )
    assert check_error(post(service, path, body), 404, "model")["code"] == "adapter_not_found"


@pytest.mark.parametrize("path", [TOKENIZE, DETOKENIZE, RENDER])
def test_a_body_that_is_too_large_or_not_an_object_is_rejected(
    service: ScriptedService, path: str
) -> None:
    assert check_error(post(service, path, "a" * 100, max_body=64), 413)
    assert check_error(post(service, path, [1]), 422)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TOKENIZE, {"model": "m", "prompt": "a"}),
        (DETOKENIZE, {"model": "m", "tokens": [1]}),
        (RENDER, VALID),
    ],
)
def test_a_call_counts_towards_the_rate_limit(
    service: ScriptedService, path: str, body: dict[str, Any]
) -> None:
    rates = RateLimiter(requests=1, clock=lambda: 0.0)
    assert post(service, path, body, rates=rates).status == 200
    assert check_error(post(service, path, body, rates=rates), 429)["code"] == "rate_limited"


@pytest.mark.parametrize(
    ("path", "answer"),
    [(TOKENIZE, {"tokens"}), (DETOKENIZE, {"text"}), (RENDER, {"text", "tokens", "pieces"})],
)
def test_the_openapi_document_describes_body_and_answer(path: str, answer: set[str]) -> None:
    async def reading() -> Call:
        async with Call(scripted_app(ScriptedService()), path="/openapi.json") as call:
            return await call.done()

    document = asyncio.run(asyncio.wait_for(reading(), BOUND)).json
    operation = document["paths"][path]["post"]

    def fields(content: dict[str, Any]) -> set[str]:
        reference = content["content"]["application/json"]["schema"]["$ref"]
        return set(document["components"]["schemas"][reference.rpartition("/")[2]]["properties"])

    assert "model" in fields(operation["requestBody"])
    assert answer <= fields(operation["responses"]["200"])
