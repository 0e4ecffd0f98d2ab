"""The routes that tell of the endpoint itself: life, health, models and metrics."""

import pytest
from fastapi import FastAPI

from friendli_endpoint.generation import RequestError, Started
from tests.http.scripted import Call, ScriptedService, called, check_error, run, scripted_app, steps
from tests.telemetry.watched import Watched


@pytest.fixture
def app() -> FastAPI:
    return scripted_app(ScriptedService())


def test_health_of_a_loaded_model(app: FastAPI) -> None:
    call = called(app, "GET", "/health")
    assert call.status == 200
    assert call.header("x-request-id")


def test_a_process_lives_before_its_model_is_loaded() -> None:
    assert called(scripted_app(ScriptedService(loaded=False)), "GET", "/live").status == 200


def test_models_are_a_list(app: FastAPI) -> None:
    call = called(app, "GET", "/dedicated/v1/models")
    assert call.status == 200
    assert call.json == {"object": "list", "data": [{"id": "m", "object": "model"}]}


@pytest.mark.parametrize("path", ["/health", "/dedicated/v1/models"])
def test_before_the_model_is_loaded_it_is_503_with_retry_after(path: str) -> None:
    call = called(scripted_app(ScriptedService(loaded=False)), "GET", path)
    assert check_error(call, 503)["code"] == "loading"
    assert call.header("retry-after") == "3"


def test_prometheus_is_told_what_it_reads() -> None:
    async def scenario() -> None:
        watched = Watched()
        started = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
        await watched.serve(watched.call(), started, steps("done", finish=True))
        async with Call(watched.app, "GET", "/metrics") as call:
            await call.done()
        assert call.status == 200
        assert call.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
        assert call.body.decode() == watched.text

    run(scenario)


def test_the_page_can_be_switched_off() -> None:
    async def scenario() -> None:
        async with Call(Watched({"shows_metrics": False}).app, "GET", "/metrics") as call:
            check_error(await call.done(), 404)

    run(scenario)


def test_a_process_that_must_be_replaced_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(_self: ScriptedService) -> None:
        raise RequestError("the engine failed", status=503, code="engine_failure")

    monkeypatch.setattr(ScriptedService, "check_live", dead)
    app = scripted_app(ScriptedService())
    assert check_error(called(app, "GET", "/live"), 503)["code"] == "engine_failure"
    assert called(app, "GET", "/health").status == 200
