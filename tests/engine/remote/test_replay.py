"""The log of accepted requests: order, events, and deadlines."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.remote.replay import MAX_LOST_SECONDS, Replay, ReplayLog
from friendli_endpoint.generation import (
    EngineError,
    Generated,
    Started,
    TokenFindings,
    TokenStep,
)
from tests.engine.remote.scripted_fleet import (
    CRASH,
    KILL,
    REQUEST,
    Front,
    text_client,
)

STARTED = Started(5, 1.0, 2.0)
FAILED = "the engine was lost, and no other could go on within 120 s"


def tokens(*token_ids: int, finish: bool = False, seconds: float = 3.0) -> Generated:
    """Returns an event with tokens of the only choice; the last one ends it if `finish`."""
    steps = [TokenStep(0, token, TokenFindings(1)) for token in token_ids]
    if finish:
        steps[-1] = replace(steps[-1], findings=TokenFindings(1, finish="length"))
    return Generated(tuple(steps), seconds)


def log_with(engine: str = "a", now: float = 0.0) -> tuple[ReplayLog, Replay]:
    """Returns a log with one request, which an engine has."""
    log = ReplayLog(deterministic=True)
    replay = log.accept(REQUEST, now)
    log.assign(replay, engine, now)
    return log, replay


def test_lost_requests_are_submitted_ahead_of_younger_ones_oldest_first(loop: EngineLoop) -> None:
    pairs = [text_client(loop, str(number), seed=number) for number in range(6)]
    answers = {client.request.request_id: answer for client, answer in pairs}
    front = Front(answers, engines=2, places=1)
    for client, _ in pairs[:4]:
        front.submit(client)
    front.step()
    assert [request.resumed for request in front.submitted] == [False] * 4
    for client, _ in pairs[4:]:
        front.submit(client)
    lost = [replay.number for replay in front.log.on(0)]
    front.kill(0)
    assert [replay.number for replay in front.log.waiting] == [*lost, 4, 5]
    front.submitted.clear()
    front.place()
    expected = [pairs[number][0].request.request_id for number in lost]
    assert [request.request_id for request in front.submitted[: len(lost)]] == expected
    assert [request.resumed for request in front.submitted] == [True] * len(lost) + [False] * 2
    front.finish()


def test_times_in_events_are_those_since_the_acceptance() -> None:
    log = ReplayLog(deterministic=True)
    replay = log.accept(REQUEST, 100.0)
    log.assign(replay, "a", 101.0)
    log.lose("a", KILL, 104.0, 4)
    log.assign(replay, "b", 110.0)
    assert log.receive(replay, "b", STARTED) == (replace(STARTED, queue_seconds=11.0),)
    assert log.receive(replay, "b", tokens(7)) == (tokens(7, seconds=13.0),)


def test_events_of_an_engine_that_does_not_have_the_request_are_ignored() -> None:
    log, replay = log_with("a")
    assert log.receive(replay, "a", tokens(7)) == (tokens(7),)
    log.lose("a", KILL, 1.0, 4)
    assert log.receive(replay, "a", tokens(8)) == ()
    log.assign(replay, "b", 1.0)
    assert log.receive(replay, "a", tokens(8)) == ()
    assert log.receive(replay, "b", tokens(7)) == ()
    assert log.receive(replay, "b", tokens(9, finish=True)) == (tokens(9, finish=True, seconds=4),)
    assert replay.is_over and len(log) == 0
    assert log.receive(replay, "b", tokens(9)) == ()


@pytest.mark.parametrize(
    "event",
    [
        tokens(7, finish=True).steps + tokens(8).steps,
        (replace(tokens(7).steps[0], choice=1),),
        (replace(tokens(7).steps[0], choice=-1),),
    ],
    ids=["after the end", "unknown choice", "negative choice"],
)
def test_an_answer_to_another_request_is_an_error(event: tuple[TokenStep, ...]) -> None:
    log, replay = log_with("a")
    with pytest.raises(EngineError):
        log.receive(replay, "a", Generated(event, 1.0))
    assert replay.is_over and len(log) == 0


def test_a_request_that_does_not_wait_cannot_be_assigned() -> None:
    log, replay = log_with("a")
    with pytest.raises(ValueError, match="does not wait"):
        log.assign(replay, "b", 0.0)
    log.remove(replay)
    with pytest.raises(ValueError, match="does not wait"):
        log.assign(replay, "b", 0.0)


def test_a_removed_request_is_forgotten_at_any_stage() -> None:
    log = ReplayLog(deterministic=True)
    for lost in range(4):
        replay = log.accept(REQUEST, 0.0)
        for number in range(lost):
            log.assign(replay, f"{lost}.{number}", 0.0)
            log.lose(f"{lost}.{number}", CRASH, 0.0, 4)
            if replay.is_over:
                break
        else:
            log.remove(replay)
            log.remove(replay)
        assert (len(log), log.waiting, log.on("0.0")) == (0, (), ())
    fresh = log.accept(REQUEST, 0.0)
    assert log.engines_for(fresh, ["a", "b"]) == ("a", "b"), "no suspect is left"


def test_a_released_request_waits_again_and_is_resumed() -> None:
    log, replay = log_with("a")
    younger = log.accept(REQUEST, 0.0)
    log.release(replay, "b", 1.0)
    assert replay.engine == "a", "another engine does not have it"
    log.release(replay, "a", 1.0)
    assert log.waiting == (replay, younger) and replay.num_deaths == 0
    assert log.assign(replay, "b", 2.0) == replace(REQUEST, resumed=True)


def test_a_request_fails_if_it_makes_no_progress_in_120_s_after_a_loss() -> None:
    log, replay = log_with("a", now=0.0)
    now, engine = 0.0, "a"
    for token in range(5):  # progress after each loss
        log.receive(replay, engine, tokens(*range(token + 1)))
        now += MAX_LOST_SECONDS - 1
        assert log.lose(engine, KILL, now, 4) == ()
        engine = f"after {token}"
        log.assign(replay, engine, now)
    log.receive(replay, engine, tokens(*range(5)))  # no progress: all were told before
    assert log.lose(engine, KILL, now + MAX_LOST_SECONDS - 1, 4) == ()
    log.assign(replay, "last", now + MAX_LOST_SECONDS - 1)
    ((failed, error),) = log.lose("last", KILL, now + MAX_LOST_SECONDS, 4)
    assert failed is replay and replay.is_over
    assert (error.message, error.is_closing) == (FAILED, False)


def test_waiting_requests_fail_if_no_engine_serves_for_120_s() -> None:
    log, replay = log_with("a", now=0.0)
    fresh = log.accept(REQUEST, 0.0)
    log.lose("a", KILL, 5.0, 4)
    assert log.expire(5.0, []) == log.expire(124.9, []) == ()
    assert log.expire(124.95, ["b"]) == ()
    assert log.expire(125.0, []) == log.expire(244.9, []) == ()
    failures = log.expire(245.0, [])
    assert [(failed, error.message) for failed, error in failures] == [
        (replay, FAILED),
        (fresh, FAILED),
    ]
    assert len(log) == 0


def test_a_request_waits_for_its_turn_while_an_engine_serves() -> None:
    log, replay = log_with("a", now=0.0)
    log.lose("a", KILL, 0.0, 4)
    assert log.expire(1e6, ["b"]) == ()
    assert log.waiting == (replay,)


@pytest.mark.parametrize("assigned", [True, False])
def test_a_request_fails_after_its_own_deadline(assigned: bool) -> None:
    log = ReplayLog(deterministic=True)
    replay = log.accept(REQUEST, 0.0, deadline=10.0)
    if assigned:
        log.assign(replay, "a", 0.0)
    assert log.expire(9.9, ["a"]) == ()
    ((failed, error),) = log.expire(10.0, ["a"])
    assert failed is replay and "longer than the request allows" in error.message
    assert (len(log), log.on("a")) == (0, ())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=40))
def test_each_request_is_in_one_place_and_waiting_ones_are_in_order(
    actions: list[tuple[int, int]],
) -> None:
    log = ReplayLog(deterministic=True)
    replays: list[Replay] = []
    engines = ["a", "b", "c"]
    for number, (action, index) in enumerate(actions):
        now = float(number)
        if action == 0:
            replays.append(log.accept(REQUEST, now))
        elif action == 1:
            for replay in log.waiting[: index + 1]:
                allowed = log.engines_for(replay, engines)
                if allowed:
                    log.assign(replay, allowed[index % len(allowed)], now)
        elif action == 2:
            log.lose(engines[index % 3], (CRASH, KILL)[index % 2], now, 2)
            engines[index % 3] += "'"
        elif replays and action == 3:
            log.remove(replays[index % len(replays)])
        elif replays:
            replay = replays[index % len(replays)]
            if replay.engine is not None:
                log.release(replay, replay.engine, now)
        live = [replay for replay in replays if not replay.is_over]
        on_engines = [replay for engine in engines for replay in log.on(engine)]
        assert len(log) == len(live)
        assert sorted([*log.waiting, *on_engines], key=lambda replay: replay.number) == live
        assert list(log.waiting) == sorted(log.waiting, key=lambda replay: replay.number)
        for engine in engines:
            shared = log.on(engine)
            assert len(shared) < 2 or not any(replay.is_suspect for replay in shared)
