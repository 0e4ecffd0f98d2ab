"""The routes of adapters: listed, loaded, unloaded, and what they refuse."""

import asyncio
import json
from typing import Any

import pytest

from friendli_endpoint.generation import RequestError
from tests.http.scripted import BOUND, Call, ScriptedService, scripted_app

ADAPTERS = "/dedicated/v1/adapters"


def ask(service: ScriptedService, method: str, path: str = ADAPTERS, body: Any = None) -> Call:
    async def asking() -> Call:
        pieces = [json.dumps(body).encode()] if body is not None else [b""]
        async with Call(scripted_app(service), method, path, body=pieces) as call:
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
    gone = ask(service, "DELETE", f"{ADAPTERS}/team/one")
    assert (gone.status, gone.json["deleted"]) == (200, True)
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
def test_what_cannot_be_is_refused(
    service: ScriptedService, body: dict[str, Any], status: int, param: str
) -> None:
    refused = ask(service, "POST", body=body)
    assert (refused.status, refused.json["error"]["param"]) == (status, param)
    assert service.loaded_adapters == {}


def test_what_the_service_refuses_is_told(service: ScriptedService) -> None:
    service.fault = RequestError("no adapter for this model", param="file")
    refused = ask(service, "POST", body={"route": "a", "file": "b"})
    assert (refused.status, refused.json["error"]["message"]) == (400, "no adapter for this model")
    assert ask(service, "DELETE", f"{ADAPTERS}/a").status == 404


def test_before_the_model_is_there_the_list_says_so() -> None:
    assert ask(ScriptedService(loaded=False), "GET").status == 503
