"""The routes for the endpoint's state: liveness, readiness, models and metrics."""

import pytest
from fastapi import FastAPI

from friendli_endpoint.generation import RequestError, Started
from tests.http.scripted import Call, ScriptedService, called, check_error, run, scripted_app, steps
from tests.telemetry.observed import ObservedApp


@pytest.fixture
def app() -> FastAPI:
    return scripted_app(ScriptedService())


def test_health_is_200_when_the_model_is_loaded(app: FastAPI) -> None:
    call = called(app, "GET", "/health")
    assert call.status == 200
    assert call.header("x-request-id")


def test_live_is_200_before_the_model_is_loaded() -> None:
    assert called(scripted_app(ScriptedService(loaded=False)), "GET", "/live").status == 200


def test_models_are_listed(app: FastAPI) -> None:
    call = called(app, "GET", "/dedicated/v1/models")
    assert call.status == 200
    assert call.json == {"object": "list", "data": [{"id": "m", "object": "model"}]}


@pytest.mark.parametrize("path", ["/health", "/dedicated/v1/models"])
def test_routes_get_503_with_retry_after_before_the_model_is_loaded(path: str) -> None:
    call = called(scripted_app(ScriptedService(loaded=False)), "GET", path)
    assert check_error(call, 503)["code"] == "loading"
    assert call.header("retry-after") == "3"


def test_metrics_have_prometheus_content_type() -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        started = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
        await observed.serve(observed.call(), started, steps("done", finish=True))
        async with Call(observed.app, "GET", "/metrics") as call:
            await call.done()
        assert call.status == 200
        assert call.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
        assert call.body.decode() == observed.text

    run(scenario)


def test_metrics_can_be_disabled() -> None:
    async def scenario() -> None:
        async with Call(ObservedApp({"shows_metrics": False}).app, "GET", "/metrics") as call:
            check_error(await call.done(), 404)

    run(scenario)


def test_live_is_503_if_the_engine_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(_self: ScriptedService) -> None:
        raise RequestError("the engine failed", status=503, code="engine_failure")

    monkeypatch.setattr(ScriptedService, "check_live", dead)
    app = scripted_app(ScriptedService())
    assert check_error(called(app, "GET", "/live"), 503)["code"] == "engine_failure"
    assert called(app, "GET", "/health").status == 200
