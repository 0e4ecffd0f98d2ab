"""Interleaved rounds, on servers that are only a name."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from friendli_endpoint.bench import rounds
from friendli_endpoint.bench.load import Ask
from friendli_endpoint.bench.rounds import Measured, measure, warm_up
from friendli_endpoint.bench.wire import Address, BenchError
from friendli_endpoint.bench.workload import Outcome, Shape, Stage, Workload
from tests.bench.loopback import WORDS_OF_TEMPLATE, obedient
from tests.bench.played import SHAPE, Scripted

SERVERS = [Address(name, f"http://{name}/", "openai", process=7) for name in ("a", "b", "c")]


class Played:
    """A workload whose value is the number of its round on any server.

    Attributes:
        played: Server and stage, in order.
        waits: Processes that were waited for.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.played: list[tuple[str, Stage]] = []
        self.waits: list[list[int | None]] = []
        self.fails: Callable[[str, int], bool] = lambda _server, _count: False
        monkeypatch.setattr(rounds, "connect", lambda _client, address: address.name)
        monkeypatch.setattr(rounds, "wait_until_idle", lambda ids: self.waits.append([*ids]))

    async def run(self, ask: Ask, stage: Stage) -> Outcome:
        server = cast(str, ask)
        self.played.append((server, stage))
        if self.fails(server, len(self.played)):
            raise BenchError(f"{server} is out of room")
        return Outcome(float(len(self.played)), [], [])

    def measure(self, servers: Sequence[Address], num_rounds: int) -> tuple[Measured, list[str]]:
        said: list[str] = []
        workload = Workload("w", "for a test", self.run)
        found = measure(workload, servers, num_rounds, "seed", SHAPE, said.append)
        return found, said


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(monkeypatch)


def test_each_round_begins_with_another_server(played: Played) -> None:
    measured, said = played.measure(SERVERS, 4)
    assert "".join(server for server, _ in played.played) == "abcbcacababc"
    assert measured.values("a") == [1, 6, 8, 10]
    assert measured.values("b") == [2, 4, 9, 11]
    assert said[:2] == ["w, round 1 of 4, a: 1 tokens/s", "w, round 1 of 4, b: 2 tokens/s"]
    assert len(said) == 12


def test_a_round_is_the_same_for_all_servers_and_another_than_the_next(played: Played) -> None:
    played.measure(SERVERS, 2)
    stages = [stage for _, stage in played.played]
    assert stages[0] == stages[1] == stages[2]
    assert stages[3] == stages[4] == stages[5]
    assert stages[0].seed != stages[3].seed
    assert stages[0].run == stages[3].run
    assert {stage.shape for stage in stages} == {SHAPE}


def test_a_server_that_fails_is_given_up_and_the_others_go_on(played: Played) -> None:
    played.fails = lambda server, count: server == "b" and count > 3
    measured, said = played.measure(SERVERS, 3)
    assert [server for server, _ in played.played] == [*"abc", *"bca", *"ca"]
    assert measured.faults == {"b": "b is out of room"}
    assert [len(measured.samples[name]) for name in "abc"] == [3, 1, 3]
    assert sum("out of room" in line for line in said) == 1


def test_before_every_sample_all_servers_come_to_rest(played: Played) -> None:
    played.measure(SERVERS, 2)
    assert played.waits == [[7, 7, 7]] * 6


def test_what_the_client_used_is_a_share_of_the_time(played: Played) -> None:
    measured, _ = played.measure(SERVERS[:1], 1)
    (sample,) = measured.samples["a"]
    assert sample.seconds > 0
    assert sample.client_share >= 0


# ── warming up ───────────────────────────────────────────────────────────────────────────────


def test_two_prompts_tell_the_shape_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Scripted()
    monkeypatch.setattr(rounds, "connect", lambda _client, _address: server)
    assert warm_up(SERVERS[0], "seed") == Shape(WORDS_OF_TEMPLATE, 1.0)
    assert len(server.requests) == 2


@pytest.mark.parametrize("uncounted", [True, False], ids=["no count", "the same count"])
def test_a_server_that_does_not_count_is_refused(
    uncounted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        *texts, counts = obedient(body)
        if uncounted:
            return texts
        return [*texts, {**counts, "usage": {**counts["usage"], "prompt_tokens": 30}}]

    monkeypatch.setattr(rounds, "connect", lambda _client, _address: Scripted(reply))
    with pytest.raises(BenchError, match="a does not say how many tokens a prompt has"):
        warm_up(SERVERS[0], "seed")
