"""The application while its model loads, when loading fails, and during shutdown."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from friendli_endpoint.app import build, create_app, create_endpoint, source_of
from friendli_endpoint.engine.llama.engine import LlamaSource
from friendli_endpoint.engine.remote.source import FleetSource
from friendli_endpoint.generation import StartError
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.routes.adapters import ADAPTERS
from friendli_endpoint.service import EndpointService
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    check_error,
    run,
)
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.support.source import HeldSource


class RunningApp:
    """An application within its lifespan, and the failures that it reported."""

    def __init__(self) -> None:
        self.source = HeldSource()
        self.service = EndpointService(Settings(), self.source, Telemetry())
        self.ready = asyncio.Event()
        self.failures: list[StartError] = []
        self.failed = asyncio.Event()

    def _fail(self, error: StartError) -> None:
        self.failures.append(error)
        self.failed.set()

    async def run(self, scenario: Callable[[FastAPI], Awaitable[None]]) -> FastAPI:
        app = create_app(
            self.service, Policy(max_body=10_000), on_ready=self.ready.set, on_failed=self._fail
        )
        async with app.router.lifespan_context(app):
            try:
                await scenario(app)
            finally:
                self.source.go_on.set()
        return app


async def called(app: FastAPI, method: str, path: str, *body: bytes) -> Call:
    async with Call(app, method, path, body=body or (b"",)) as call:
        return await call.done()


def valid_body() -> bytes:
    return str(VALID).replace("'", '"').encode()


async def check_unavailable(app: FastAPI, code: str) -> None:
    for method, path, *body in (
        ("GET", "/health"),
        ("GET", "/dedicated/v1/models"),
        ("POST", COMPLETIONS, valid_body()),
    ):
        call = await called(app, method, path, *body)
        error = check_error(call, 503)
        assert (error["type"], error["code"]) == ("overloaded_error", code)
        assert int(call.header("retry-after") or 0) >= 1


def test_requests_get_503_before_the_model_is_loaded_and_after_shutdown() -> None:
    async def main() -> None:
        started = RunningApp()

        async def scenario(app: FastAPI) -> None:
            await check_unavailable(app, "loading")
            assert not started.ready.is_set()
            started.source.go_on.set()
            await started.ready.wait()
            assert (await called(app, "GET", "/health")).status == 200

        app = await started.run(scenario)
        assert started.source.loop.closed == 1
        assert started.failures == []
        await check_unavailable(app, "draining")

    run(main)


def test_a_draining_endpoint_rejects_requests_but_keeps_its_engine() -> None:
    async def main() -> None:
        started = RunningApp()

        async def scenario(app: FastAPI) -> None:
            started.source.go_on.set()
            await started.ready.wait()
            started.service.drain()
            await check_unavailable(app, "draining")
            assert (await called(app, "GET", "/live")).status == 200
            assert started.source.loop.closed == 0

        await started.run(scenario)

    run(main)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (StartError("there is no model"), "there is no model"),
        (MemoryError(), "MemoryError"),
        (ValueError("a bad tensor"), "a bad tensor"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_model_that_cannot_be_loaded_is_reported(fault: Exception, words: str) -> None:
    async def main() -> None:
        started = RunningApp()
        started.source.fault = fault

        async def scenario(app: FastAPI) -> None:
            started.source.go_on.set()
            await started.failed.wait()
            await check_unavailable(app, "loading")

        await started.run(scenario)
        (failure,) = started.failures
        assert words in str(failure)
        assert not started.ready.is_set()

    run(main)


def test_without_a_failure_callback_a_load_failure_fails_the_startup() -> None:
    async def main() -> None:
        source = HeldSource()
        source.fault = StartError("there is no model")
        source.go_on.set()
        app = create_app(EndpointService(Settings(), source, Telemetry()), Policy(max_body=10_000))
        with pytest.raises(StartError, match="there is no model"):
            async with app.router.lifespan_context(app):
                pytest.fail("the application has started")

    run(main)


def test_shutdown_while_loading_closes_the_engine() -> None:
    async def main() -> None:
        started = RunningApp()

        async def scenario(app: FastAPI) -> None:
            await check_unavailable(app, "loading")

        await started.run(scenario)
        assert started.source.loop.closed == 1

    run(main)


def test_a_shutdown_while_loading_reports_neither_readiness_nor_failure() -> None:
    async def main() -> None:
        for fails in (False, True):
            started = RunningApp()
            if fails:
                started.source.fault = StartError("interrupted")

            async def scenario(_app: FastAPI, service: EndpointService = started.service) -> None:
                service.drain()

            await started.run(scenario)
            assert not started.ready.is_set()
            assert started.failures == []

    run(main)


# ── any ASGI server ──────────────────────────────────────────────────────────────────────────


@pytest.mark.model
def test_an_application_built_from_the_environment_serves_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_byte_pairs(tmp_path / "model.gguf", LLAMA)
    for name, value in (("MODEL", model), ("MAX_SEQUENCES", 2), ("CONTEXT", 256), ("THREADS", 1)):
        monkeypatch.setenv(f"FRIENDLI_ENDPOINT_{name}", str(value))

    async def main() -> None:
        app = build()
        await check_unavailable(app, "loading")
        async with app.router.lifespan_context(app):
            assert (await called(app, "GET", "/health")).status == 200
            listed = (await called(app, "GET", "/dedicated/v1/models")).json["data"]
            assert [card["max_model_len"] for card in listed] == [256]
            answer = await called(app, "POST", COMPLETIONS, valid_body())
            assert answer.status == 200, answer.body
        await check_unavailable(app, "draining")

    run(main)


def test_building_an_application_without_a_model_raises(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"absent\.gguf"):
        build(Settings(model=tmp_path / "absent.gguf"))


def test_building_an_application_on_a_public_host_without_tokens_raises(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(StartError, match="--no-auth"):
        build(Settings(model=path, host="0.0.0.0"))


def test_a_token_file_that_others_can_read_is_warned_about_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("friendli_endpoint.app.source_of", lambda _settings: HeldSource())
    file = tmp_path / "tokens"
    file.write_text("very-secret")
    for mode, warns in ((0o600, False), (0o644, True)):
        file.chmod(mode)
        caplog.clear()
        create_endpoint(Settings(token_file=file))
        warned = [record for record in caplog.records if record.levelname == "WARNING"]
        assert [f"chmod 600 {file}" in record.message for record in warned] == [True] * warns
        assert "very-secret" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "statuses"),
    [
        ({}, {None: 503, "user": 503, "admin": 503}),
        ({"tokens": "user"}, {None: 401, "user": 403, "admin": 401}),
        ({"admin_tokens": "admin"}, {None: 401, "user": 401, "admin": 503}),
        ({"tokens": "user", "admin_tokens": "admin"}, {None: 401, "user": 403, "admin": 503}),
        ({"host": "0.0.0.0", "auth": False}, {None: 403, "user": 403, "admin": 403}),
    ],
)
def test_the_settings_decide_who_changes_adapters(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], statuses: dict[str | None, int]
) -> None:
    """The model is not loaded, so that a call that is allowed gets a 503."""
    monkeypatch.setattr("friendli_endpoint.app.source_of", lambda _settings: HeldSource())
    app = create_endpoint(Settings(**settings)).app
    body = b'{"route": "a", "file": "a"}'

    async def scenario() -> None:
        for token, expected in statuses.items():
            headers = [("authorization", f"Bearer {token}")] if token is not None else []
            for method, path in (("POST", ADAPTERS), ("DELETE", f"{ADAPTERS}/a")):
                async with Call(app, method, path, headers=headers, body=[body]) as call:
                    await call.done()
                check_error(call, expected)

    run(scenario)


def test_a_model_that_no_thread_can_load_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the report, the endpoint would answer 503 for ever."""
    running = RunningApp()

    async def no_thread(_call: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario() -> None:
        async def failed(_app: FastAPI) -> None:
            await running.failed.wait()

        await running.run(failed)

    monkeypatch.setattr(asyncio, "to_thread", no_thread)
    run(scenario)
    assert str(running.failures[0]) == "cannot load the model: can't start new thread"


@pytest.mark.parametrize(
    ("engines", "kind"), [(0, LlamaSource), (1, FleetSource), (3, FleetSource)]
)
def test_the_setting_engines_selects_child_processes(engines: int, kind: type) -> None:
    assert isinstance(source_of(Settings(engines=engines)), kind)
