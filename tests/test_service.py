"""The endpoint service: loading, model names, health and adapters."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.generation import RequestError, StartError
from friendli_endpoint.service import EndpointService
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from tests.http.scripted import CARD
from tests.support.source import HeldSource


@pytest.fixture
def source() -> HeldSource:
    """Returns a source whose model loads immediately."""
    source = HeldSource()
    source.go_on.set()
    return source


def service_of(source: HeldSource, **settings: Any) -> EndpointService:
    return EndpointService(Settings(**settings), source, Telemetry())


def loaded(source: HeldSource, **settings: Any) -> EndpointService:
    service = service_of(source, **settings)
    service.load()
    return service


def request_error(call: Callable[[], object]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        call()
    return caught.value


# ── loading ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", [None, b"\xff"], ids=["absent", "not UTF-8"])
def test_an_unreadable_chat_template_is_an_error_before_the_model_is_loaded(
    source: HeldSource, tmp_path: Path, content: bytes | None
) -> None:
    template = tmp_path / "chat.jinja"
    if content is not None:
        template.write_bytes(content)
    with pytest.raises(StartError, match=r"cannot read the chat template .*chat\.jinja"):
        service_of(source, chat_template=template).check()


def test_the_template_of_the_settings_takes_precedence_over_the_models(
    source: HeldSource, tmp_path: Path
) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages[0].content }}")
    source.card = replace(source.card, chat_template="{% for %}")
    loaded(source, chat_template=template).check_ready()


@pytest.mark.parametrize(
    ("template", "settings", "words"),
    [
        (None, {}, "m has no chat template; set --chat-template"),
        ("{% for %}", {}, "chat template"),
        ("{{ messages }}", {"tool_family": "unheard-of"}, "unheard-of"),
    ],
    ids=["no template", "a broken template", "an unknown family"],
)
def test_an_engine_is_closed_if_its_template_or_tool_family_is_invalid(
    source: HeldSource, template: str | None, settings: dict[str, Any], words: str
) -> None:
    source.card = replace(source.card, chat_template=template)
    service = service_of(source, **settings)
    with pytest.raises(StartError, match=words):
        service.load()
    assert source.loop.closed == 1
    assert request_error(service.check_ready).code == "loading"


def test_a_request_error_while_loading_becomes_a_start_error(source: HeldSource) -> None:
    source.fault = RequestError("no memory for a stack", status=503)
    with pytest.raises(StartError, match=r"^no memory for a stack$"):
        service_of(source).load()


# ── models and tokens ────────────────────────────────────────────────────────────────────────


def test_a_model_is_listed_under_its_own_name(source: HeldSource) -> None:
    (card,) = loaded(source).models()
    assert card.pop("created") > 0
    assert card == {
        "id": CARD.name,
        "object": "model",
        "owned_by": "friendli-endpoint",
        "root": CARD.name,
        "max_model_len": CARD.context,
        "vocabulary_size": CARD.vocabulary_size,
        "deterministic": True,
        "devices": (),
        "tool_family": "hermes",
    }


def test_the_card_of_a_model_with_an_unknown_tool_call_format_says_so(source: HeldSource) -> None:
    source.card = replace(source.card, chat_template="{{ messages }}{{ tools }}")
    service = loaded(source)
    assert service.tool_family is None
    (card,) = service.models()
    assert card["tool_family"] is None
    (card,) = loaded(source, tool_family="llama3").models()
    assert card["tool_family"] == "llama3"


def test_each_endpoint_id_is_listed_with_every_adapter(source: HeldSource) -> None:
    source.loop.adapters = ("x", "y")
    cards = loaded(source, endpoint_id=("a", "b")).models()
    listed = [(card["id"], card["root"], card.get("parent")) for card in cards]
    assert listed == [
        ("a", "m", None),
        ("b", "m", None),
        ("a:x", "m", "a"),
        ("a:y", "m", "a"),
        ("b:x", "m", "b"),
        ("b:y", "m", "b"),
    ]


def tokenize(service: EndpointService, model: str, text: str) -> list[int]:
    return asyncio.run(service.tokenize(model, text, False))


def test_tokens_restore_the_text_and_an_unknown_model_is_404(source: HeldSource) -> None:
    source.loop.adapters = ("x",)
    service = loaded(source, endpoint_id=("a",))
    for name in ("a", "a:x"):
        assert service.detokenize(name, tokenize(service, name, "caf\N{EURO SIGN}")) == (
            "caf\N{EURO SIGN}"
        )
    for name, code in (("a:z", "adapter_not_found"), ("b", None)):
        for call in (
            lambda name=name: tokenize(service, name, "x"),
            lambda name=name: service.detokenize(name, [5]),
        ):
            found = request_error(call)
            assert (found.status, found.param) == (404, "model")
            assert code is None or found.code == code


# ── an engine that stalls or ends ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("alive", "stalled", "health", "live"),
    [
        (True, 0.0, None, None),
        (True, 30.0, None, None),
        (True, 31.0, "engine_stalled", None),
        (True, 301.0, "engine_stalled", "engine_stalled"),
        (False, 0.0, "engine_failure", "engine_failure"),
    ],
)
def test_health_and_live_fail_if_the_engine_stalls_or_has_ended(
    source: HeldSource, alive: bool, stalled: float, health: str | None, live: str | None
) -> None:
    service = loaded(source)
    source.loop.is_alive, source.loop.stalled_seconds = alive, stalled
    for check, code in ((service.check_ready, health), (service.check_live, live)):
        if code is None:
            check()
            continue
        found = request_error(check)
        assert (found.status, found.code) == (503, code)
        assert (found.retry_after is None) == (code == "engine_failure"), "it never recovers"


def test_health_fails_and_live_succeeds_while_the_engine_is_started_again(
    source: HeldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = loaded(source)
    monkeypatch.setattr(LocalEngine, "num_ready", 0)
    found = request_error(service.check_ready)
    assert (found.status, found.code, found.retry_after) == (503, "engine_starting", 1)
    service.check_live()


def test_the_step_limit_for_a_stall_can_be_configured(source: HeldSource) -> None:
    service = loaded(source, step_seconds=0.5)
    source.loop.stalled_seconds = 4.0
    assert "0.5 seconds" in request_error(service.check_ready).message
    service.check_live()
    source.loop.stalled_seconds = 5.5
    assert "5 seconds" in request_error(service.check_live).message


# ── adapters ─────────────────────────────────────────────────────────────────────────────────


def test_more_adapters_than_the_maximum_are_an_error_before_the_model_is_loaded(
    source: HeldSource,
) -> None:
    service_of(source, adapter=("a=1", "b=2", "a=3"), max_adapters=2).check()
    with pytest.raises(StartError, match=r"2 adapters, but --max-adapters is 1"):
        service_of(source, adapter=("a=1", "b=2"), max_adapters=1).check()


def test_an_adapter_is_not_loaded_before_the_model(source: HeldSource, tmp_path: Path) -> None:
    service = service_of(source, adapter_dir=tmp_path)
    found = request_error(lambda: asyncio.run(service.load_adapter("route", "a.gguf")))
    assert found.code == "loading"


# ── closing ──────────────────────────────────────────────────────────────────────────────────


def test_closing_a_service_twice_closes_its_engine_once(source: HeldSource) -> None:
    service = loaded(source)

    async def close() -> None:
        await service.aclose()
        await service.aclose()

    asyncio.run(close())
    assert source.loop.closed == 1
    assert request_error(service.check_ready).code == "draining"
    service.check_live()
