"""Reasons of the end of requests, and teams."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.generation import EngineError, Started
from friendli_endpoint.http.middleware.tokens import parse_tokens
from friendli_endpoint.telemetry.telemetry import OTHER, Teams
from tests.http.scripted import Call, EngineMessage, check_error, run, steps
from tests.telemetry.observed import ObservedApp

STARTED = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
DONE = steps("done", finish=True)
TOKENS = parse_tokens(["secret"], "here")

# ── reasons ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stream", "message", "status", "reason"),
    [
        (False, DONE, 200, "stop"),
        (True, DONE, 200, "stop"),
        (False, EngineError("broken"), 500, "engine_failure"),
        (True, EngineError("broken"), 200, "engine_failure"),
        (False, steps("BROKEN", finish=True), 500, "internal_error"),
        (True, steps("BROKEN"), 200, "internal_error"),
    ],
)
def test_the_end_of_a_generation_is_the_reason(
    stream: bool, message: EngineMessage, status: int, reason: str
) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        await observed.serve(observed.call(stream=stream), message)
        assert observed.ended == {(str(status), reason): 1}
        assert observed.value("friendli_rejected_total") == 0
        assert observed.value("friendli_cancelled_total") == 0

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "headers", "policy", "status", "reason"),
    [
        (b"{", (), {}, 400, "invalid_json"),
        (b"{}", (), {}, 422, "missing_field"),
        (b" " * 20_000, (), {}, 413, "body_too_large"),
        (None, (), {"tokens": lambda: TOKENS}, 401, "unauthorized"),
        (None, (("x-request-timeout", "never"),), {}, 400, "out_of_range"),
    ],
)
def test_the_code_of_a_request_error_is_the_reason(
    sent: bytes | None, headers: Any, policy: dict[str, Any], status: int, reason: str
) -> None:
    async def scenario() -> None:
        observed = ObservedApp(policy)
        async with observed.call(*headers, sent=sent) as call:
            assert (await call.done()).status == status
        assert observed.ended == {(str(status), reason): 1}
        assert observed.value("friendli_rejected_total", reason=reason) == 1
        assert observed.value("friendli_request_seconds_count") == 0

    run(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_a_passed_deadline_is_the_reason(stream: bool) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        async with observed.call(("x-request-timeout", "0.05"), stream=stream) as call:
            await call.done()
        assert observed.ended == {(str(call.status), "timeout"): 1}
        assert observed.value("friendli_cancelled_total") == 0

    run(scenario)


@pytest.mark.parametrize(("stream", "status"), [(False, "499"), (True, "200")])
def test_a_disconnect_is_the_reason(stream: bool, status: str) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        async with observed.call(stream=stream) as call:
            await observed.service.scripted.submitted.wait()
            call.disconnect()
            await call.done()
        assert observed.ended == {(status, "cancelled"): 1}
        assert observed.value("friendli_cancelled_total") == 1

    run(scenario)


def test_a_disconnect_during_the_body_is_a_cancellation() -> None:
    class Disconnected(Call):
        async def _receive(self) -> dict[str, Any]:
            return {"type": "http.disconnect"}

    async def scenario() -> None:
        observed = ObservedApp()
        async with Disconnected(observed.app, "POST", "/dedicated/v1/chat/completions") as call:
            await call.done()
        assert call.status == 0
        assert observed.ended == {("499", "cancelled"): 1}
        assert observed.value("friendli_rejected_total") == 0

    run(scenario)


# ── teams ────────────────────────────────────────────────────────────────────────────────────


def test_the_number_of_team_labels_is_limited() -> None:
    async def scenario() -> None:
        observed = ObservedApp(telemetry_options={"max_teams": 2})
        for number in range(20):
            call = observed.call(("x-friendli-team", f"team-{number}"))
            await observed.serve(call, STARTED, DONE)
        await observed.serve(observed.call(), STARTED, DONE)
        seen = {"team-0": 1, "team-1": 1, "other": 18, "": 1}
        assert (
            observed.teams("friendli_generated_tokens_total")
            == observed.teams("friendli_requests_total")
            == seen
        )
        assert observed.teams("friendli_prompt_tokens_total") == seen
        assert observed.teams("friendli_cached_prompt_tokens_total") == seen

    run(scenario)


@pytest.mark.parametrize("name", ["a b", "é", "x" * 65, 'a"} 1\nforged 1'])
def test_an_invalid_team_is_counted_as_other(name: str) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        await observed.serve(observed.call(("x-friendli-team", name)), DONE)
        assert observed.teams("friendli_generated_tokens_total") == {"other": 1}
        assert "forged" not in observed.text

    run(scenario)


def test_unauthorized_requests_add_no_team() -> None:
    async def scenario() -> None:
        observed = ObservedApp({"tokens": lambda: TOKENS}, {"max_teams": 1})
        async with observed.call(("x-friendli-team", "strangers")) as call:
            check_error(await call.done(), 401)
        authorization = ("authorization", "Bearer secret")
        await observed.serve(observed.call(authorization, ("x-friendli-team", "ours")), DONE)
        assert observed.teams("friendli_generated_tokens_total") == {"ours": 1}
        assert observed.teams("friendli_requests_total") == {"other": 1, "ours": 1}

    run(scenario)


@given(st.lists(st.sampled_from(["red", "blue", "green", "no team", "", OTHER])), st.integers(0, 3))
def test_a_known_team_keeps_its_name_and_their_number_is_limited(
    asked: list[str], max_teams: int
) -> None:
    teams = Teams(max_teams)
    first: dict[str, str] = {}
    for name in asked:
        assert first.setdefault(name, teams.admit(name)) == teams.admit(name) == teams.find(name)
    named = {team for name, team in first.items() if name and team == name != OTHER}
    assert len(named) <= max_teams
    assert set(first.values()) <= named | {"", OTHER}


def test_an_unknown_team_is_other() -> None:
    teams = Teams(2)
    assert [teams.find("red"), teams.admit("red"), teams.find("red")] == [OTHER, "red", "red"]
    assert teams.find("") == ""
