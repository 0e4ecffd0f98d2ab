"""The routes that list, load and unload adapters."""

import asyncio
import json
from typing import Any

import pytest

from friendli_endpoint.generation import RequestError
from tests.http.scripted import BOUND, Call, ScriptedService, scripted_app

ADAPTERS = "/dedicated/v1/adapters"


def ask(service: ScriptedService, method: str, path: str = ADAPTERS, body: Any = None) -> Call:
    async def asking() -> Call:
        chunks = [json.dumps(body).encode()] if body is not None else [b""]
        async with Call(scripted_app(service), method, path, body=chunks) as call:
            return await call.done()

    return asyncio.run(asyncio.wait_for(asking(), BOUND))


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService()


def test_an_adapter_is_loaded_listed_and_unloaded(service: ScriptedService) -> None:
    loaded = ask(service, "POST", body={"route": "team/one", "file": "one.gguf"})
    assert (loaded.status, loaded.json) == (201, {"id": "team/one", "object": "adapter"})
    assert service.loaded_adapters == {"team/one": "one.gguf"}
    assert ask(service, "GET").json == {"object": "list", "data": [loaded.json]}
    unloaded = ask(service, "DELETE", f"{ADAPTERS}/team/one")
    assert (unloaded.status, unloaded.json["deleted"]) == (200, True)
    assert service.loaded_adapters == {}


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"file": "a"}, 422, "route"),
        ({"route": "a"}, 422, "file"),
        ({"route": 1, "file": "a"}, 422, "route"),
        ({"route": "a b", "file": "a"}, 400, "route"),
        ({"route": "", "file": "a"}, 400, "route"),
        ({"route": "a" * 129, "file": "a"}, 400, "route"),
        ({"route": "a", "file": "a", "scale": 1}, 400, "scale"),
    ],
)
def test_an_invalid_body_is_rejected(
    service: ScriptedService, body: dict[str, Any], status: int, param: str
) -> None:
    rejected = ask(service, "POST", body=body)
    assert (rejected.status, rejected.json["error"]["param"]) == (status, param)
    assert service.loaded_adapters == {}


def test_an_error_of_the_service_is_returned(service: ScriptedService) -> None:
    service.error = RequestError("no adapter for this model", param="file")
    failed = ask(service, "POST", body={"route": "a", "file": "b"})
    assert (failed.status, failed.json["error"]["message"]) == (400, "no adapter for this model")
    assert ask(service, "DELETE", f"{ADAPTERS}/a").status == 404


def test_listing_adapters_gets_503_before_the_model_is_loaded() -> None:
    assert ask(ScriptedService(loaded=False), "GET").status == 503
