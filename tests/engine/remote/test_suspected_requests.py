"""Suspects run alone, and are refused only if they end an engine alone; over scripted engines."""

import pytest

from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.remote.replay import Death, Replay, ReplayLog
from tests.engine.remote.scripted_engine import PREFILL_STEPS
from tests.engine.remote.scripted_fleet import (
    CRASH,
    HANG,
    ID,
    KILL,
    REQUEST,
    Front,
    alone,
    text_client,
)


@pytest.mark.parametrize("death", [CRASH, HANG], ids=["crash", "hang"])
@pytest.mark.parametrize("engines", [1, 2])
@pytest.mark.parametrize("poisonous", [(2,), (0, 5)])
def test_only_a_request_that_ends_an_engine_alone_is_refused(
    loop: EngineLoop, death: Death, engines: int, poisonous: tuple[int, ...]
) -> None:
    pairs = [text_client(loop, str(number), seed=number) for number in range(8)]
    answers = {client.request.request_id: answer for client, answer in pairs}
    poison = {pairs[number][0].request.request_id for number in poisonous}
    front = Front(answers, engines, places=3)
    for client, _ in pairs:
        front.submit(client)
    num_deaths = 0
    while len(front.log):
        front.step()
        for index, name in enumerate(list(front.engines)):
            running = {work.request.request_id for work in front.engines[name].running}
            if running & poison:
                failures = front.kill(index, death)
                num_deaths += 1
                assert [replay.request.request_id in running for replay, _ in failures] in (
                    [],
                    [True],
                )
                break
        assert num_deaths <= 3 * len(poison)
    for number, (client, answer) in enumerate(pairs):
        if number in poisonous:
            assert client.error is not None and not client.error.retryable
            assert "cannot be served" in client.error.message
            assert death.reason in client.error.message
        else:
            undisturbed, _ = text_client(loop, str(number), seed=number)
            assert client.data == alone(undisturbed, answer)[0].data


def test_kills_from_outside_make_no_suspect(loop: EngineLoop) -> None:
    client, answer = text_client(loop)
    front = Front({ID: answer})
    replay = front.submit(client)
    for _ in range(20):
        for _ in range(4):
            front.step()
        assert front.kill() == ()
        assert not replay.is_suspect
    front.finish()
    assert client.error is None and replay.num_losses == 20


def test_a_suspect_that_is_killed_from_outside_while_alone_goes_on(loop: EngineLoop) -> None:
    client, answer = text_client(loop)
    front = Front({ID: answer})
    replay = front.submit(client)
    for death in (CRASH, HANG, KILL, KILL):
        front.step()
        assert front.kill(0, death) == ()
    assert replay.is_suspect
    front.finish()
    assert client.error is None


@pytest.mark.parametrize("num_suspects", [1, 2, 3])
def test_suspects_run_alone_and_one_at_a_time(loop: EngineLoop, num_suspects: int) -> None:
    pairs = [text_client(loop, str(number), seed=number) for number in range(num_suspects + 4)]
    front = Front({client.request.request_id: answer for client, answer in pairs}, places=8)
    replays = [front.submit(client) for client, _ in pairs[:num_suspects]]
    for _ in range(2):
        front.step()
        front.kill(0, CRASH)
    assert all(replay.is_suspect for replay in replays)
    others = [front.submit(client) for client, _ in pairs[num_suspects:]]
    front.place()
    assert [replay.engine is not None for replay in replays] == [True] + [False] * (
        num_suspects - 1
    )
    while len(front.log):
        suspects = [replay for replay in replays if replay.engine is not None]
        if suspects:
            assert len(suspects) == 1 and len(front.log.on(suspects[0].engine)) == 1
        front.step()
    assert all(client.error is None for client, _ in pairs)
    assert all(replay.num_losses == 0 for replay in others)


def test_other_engines_serve_while_a_suspect_runs_alone(loop: EngineLoop) -> None:
    pairs = [text_client(loop, str(number), seed=number) for number in range(4)]
    front = Front({client.request.request_id: answer for client, answer in pairs}, engines=2)
    suspect = front.submit(pairs[0][0])
    for _ in range(2):
        front.step()
        front.kill(list(front.engines).index(suspect.engine), CRASH)
    others = [front.submit(client) for client, _ in pairs[1:]]
    front.place()
    assert {replay.engine for replay in others} == set(front.engines) - {suspect.engine}
    front.finish()


def test_a_queued_request_beyond_the_places_of_its_engine_is_not_blamed(loop: EngineLoop) -> None:
    pairs = [text_client(loop, str(number), seed=number) for number in range(4)]
    front = Front({client.request.request_id: answer for client, answer in pairs}, places=1)
    replays = [front.submit(client) for client, _ in pairs]
    for _ in range(2):
        for _ in range(PREFILL_STEPS):
            front.step()
        front.kill(0, CRASH)
    assert [replay.num_deaths for replay in replays] == [2, 2, 0, 0]


def accepted(log: ReplayLog, count: int) -> list[Replay]:
    return [log.accept(REQUEST, 0.0) for _ in range(count)]


def suspected(log: ReplayLog, replays: list[Replay]) -> None:
    """Makes suspects of waiting requests."""
    for life in range(2):
        for replay in replays:
            log.assign(replay, life, 0.0)
        assert log.lose(life, CRASH, 0.0, places=8) == ()
    assert all(replay.is_suspect for replay in replays)


def test_a_second_suspect_waits_even_if_another_engine_is_free() -> None:
    log = ReplayLog(deterministic=True)
    first, second = accepted(log, 2)
    suspected(log, [first, second])
    assert log.engines_for(first, ["a", "b"]) == log.engines_for(second, ["a", "b"]) == ("a", "b")
    log.assign(first, "a", 0.0)
    assert log.engines_for(second, ["a", "b"]) == ()
    log.remove(first)
    assert log.engines_for(second, ["a", "b"]) == ("a", "b")


def test_the_least_busy_engine_gets_nothing_else_while_a_suspect_waits() -> None:
    log = ReplayLog(deterministic=True)
    suspect, *running, waiting = accepted(log, 5)
    suspected(log, [suspect])
    for replay, engine in zip(running, ["a", "b", "a"], strict=True):
        log.assign(replay, engine, 0.0)
    assert log.engines_for(suspect, ["a", "b"]) == ()
    assert log.engines_for(waiting, ["a", "b"]) == ("a",)
    assert log.engines_for(waiting, ["a"]) == ()
    log.remove(running[1])
    assert log.engines_for(suspect, ["a", "b"]) == ("b",)
    log.assign(suspect, "b", 0.0)
    assert log.engines_for(waiting, ["a", "b"]) == ("a",)
    log.remove(suspect)
    assert log.engines_for(waiting, ["a", "b"]) == ("a", "b")


def test_a_suspect_that_was_not_alone_is_not_refused() -> None:
    log = ReplayLog(deterministic=True)
    suspect, innocent = accepted(log, 2)
    suspected(log, [suspect])
    log.assign(suspect, "a", 0.0)
    log.assign(innocent, "a", 0.0)
    assert log.lose("a", CRASH, 0.0, places=8) == ()
    log.assign(suspect, "b", 0.0)
    ((refused, _),) = log.lose("b", CRASH, 0.0, places=8)
    assert refused is suspect and log.waiting == (innocent,)


def test_resumed_requests_count_as_running_before_others_that_are_queued() -> None:
    log = ReplayLog(deterministic=True)
    resumed, new = accepted(log, 2)
    log.assign(resumed, "a", 0.0)
    log.lose("a", KILL, 0.0, places=1)
    log.assign(new, "b", 0.0)
    log.assign(resumed, "b", 0.0)
    log.lose("b", CRASH, 0.0, places=1)
    assert (resumed.num_deaths, new.num_deaths) == (1, 0)
