"""How requests end in what is written down of them, and which teams are told apart."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.generation import EngineError, Started
from friendli_endpoint.http.middleware.tokens import parse_tokens
from friendli_endpoint.telemetry.telemetry import OTHER, Teams
from tests.http.scripted import Call, News, check_error, run, steps
from tests.telemetry.watched import Watched

STARTED = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
DONE = steps("done", finish=True)
TOKENS = parse_tokens(["secret"], "here")

# ── how requests end ─────────────────────────────────────────────────────────────────────────


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
def test_what_the_engine_says_is_a_reason(
    stream: bool, message: News, status: int, reason: str
) -> None:
    async def scenario() -> None:
        watched = Watched()
        await watched.serve(watched.call(stream=stream), message)
        assert watched.ended == {(str(status), reason): 1}
        assert watched.value("friendli_rejected_total") == 0
        assert watched.value("friendli_cancelled_total") == 0

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "headers", "granted", "status", "reason"),
    [
        (b"{", (), {}, 400, "invalid_json"),
        (b"{}", (), {}, 422, "missing_field"),
        (b" " * 20_000, (), {}, 413, "body_too_large"),
        (None, (), {"tokens": lambda: TOKENS}, 401, "unauthorized"),
        (None, (("x-request-timeout", "never"),), {}, 400, "out_of_range"),
    ],
)
def test_a_refusal_is_a_reason(
    sent: bytes | None, headers: Any, granted: dict[str, Any], status: int, reason: str
) -> None:
    async def scenario() -> None:
        watched = Watched(granted)
        async with watched.call(*headers, sent=sent) as call:
            assert (await call.done()).status == status
        assert watched.ended == {(str(status), reason): 1}
        assert watched.value("friendli_rejected_total", reason=reason) == 1
        assert watched.value("friendli_request_seconds_count") == 0

    run(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_is_a_reason(stream: bool) -> None:
    async def scenario() -> None:
        watched = Watched()
        async with watched.call(("x-request-timeout", "0.05"), stream=stream) as call:
            await call.done()
        assert watched.ended == {(str(call.status), "timeout"): 1}
        assert watched.value("friendli_cancelled_total") == 0

    run(scenario)


@pytest.mark.parametrize(("stream", "status"), [(False, "499"), (True, "200")])
def test_a_client_that_leaves_is_a_reason(stream: bool, status: str) -> None:
    async def scenario() -> None:
        watched = Watched()
        async with watched.call(stream=stream) as call:
            await watched.service.scripted.submitted.wait()
            call.leave()
            await call.done()
        assert watched.ended == {(status, "cancelled"): 1}
        assert watched.value("friendli_cancelled_total") == 1

    run(scenario)


def test_a_client_that_leaves_in_its_own_request_is_no_failure() -> None:
    class Gone(Call):
        async def _receive(self) -> dict[str, Any]:
            return {"type": "http.disconnect"}

    async def scenario() -> None:
        watched = Watched()
        async with Gone(watched.app, "POST", "/dedicated/v1/chat/completions") as call:
            await call.done()
        assert call.status == 0
        assert watched.ended == {("499", "cancelled"): 1}
        assert watched.value("friendli_rejected_total") == 0

    run(scenario)


# ── teams ────────────────────────────────────────────────────────────────────────────────────


def test_a_flood_of_teams_adds_no_series() -> None:
    async def scenario() -> None:
        watched = Watched(watching={"max_teams": 2})
        for number in range(20):
            call = watched.call(("x-friendli-team", f"team-{number}"))
            await watched.serve(call, STARTED, DONE)
        await watched.serve(watched.call(), STARTED, DONE)
        seen = {"team-0": 1, "team-1": 1, "other": 18, "": 1}
        assert (
            watched.teams("friendli_generated_tokens_total")
            == watched.teams("friendli_requests_total")
            == seen
        )
        assert watched.teams("friendli_prompt_tokens_total") == seen
        assert watched.teams("friendli_cached_prompt_tokens_total") == seen

    run(scenario)


@pytest.mark.parametrize("name", ["a b", "é", "x" * 65, 'a"} 1\nforged 1'])
def test_a_name_that_is_none_is_among_the_others(name: str) -> None:
    async def scenario() -> None:
        watched = Watched()
        await watched.serve(watched.call(("x-friendli-team", name)), DONE)
        assert watched.teams("friendli_generated_tokens_total") == {"other": 1}
        assert "forged" not in watched.text

    run(scenario)


def test_strangers_take_no_place_of_a_team() -> None:
    async def scenario() -> None:
        watched = Watched({"tokens": lambda: TOKENS}, {"max_teams": 1})
        async with watched.call(("x-friendli-team", "strangers")) as call:
            check_error(await call.done(), 401)
        let_in = ("authorization", "Bearer secret")
        await watched.serve(watched.call(let_in, ("x-friendli-team", "ours")), DONE)
        assert watched.teams("friendli_generated_tokens_total") == {"ours": 1}
        assert watched.teams("friendli_requests_total") == {"other": 1, "ours": 1}

    run(scenario)


@given(st.lists(st.sampled_from(["red", "blue", "green", "no team", "", OTHER])), st.integers(0, 3))
def test_a_team_keeps_its_name_and_no_more_than_so_many_have_one(
    asked: list[str], max_teams: int
) -> None:
    teams = Teams(max_teams)
    first: dict[str, str] = {}
    for name in asked:
        assert first.setdefault(name, teams.admit(name)) == teams.admit(name) == teams.find(name)
    named = {team for name, team in first.items() if name and team == name != OTHER}
    assert len(named) <= max_teams
    assert set(first.values()) <= named | {"", OTHER}


def test_a_team_that_was_never_admitted_is_among_the_others() -> None:
    teams = Teams(2)
    assert [teams.find("red"), teams.admit("red"), teams.find("red")] == [OTHER, "red", "red"]
    assert teams.find("") == ""
