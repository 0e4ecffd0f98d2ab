"""Interleaved rounds, on simulated servers."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from friendli_endpoint.bench import rounds
from friendli_endpoint.bench.load import SendRequest
from friendli_endpoint.bench.rounds import Measurement, measure, warm_up
from friendli_endpoint.bench.wire import Address, BenchError
from friendli_endpoint.bench.workload import PromptShape, RoundInputs, Workload, WorkloadResult
from tests.bench.loopback import WORDS_OF_TEMPLATE, exact_reply
from tests.bench.simulated import SHAPE, ScriptedServer

SERVERS = [Address(name, f"http://{name}/", "openai", process_id=7) for name in ("a", "b", "c")]


class CountingWorkload:
    """A workload whose value is the number of its runs so far, over all servers.

    Attributes:
        runs: Server and inputs of each run, in order.
        waits: Process ids of each wait for idle servers.
        fails: Whether the run of a server with this number fails.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[tuple[str, RoundInputs]] = []
        self.waits: list[list[int | None]] = []
        self.fails: Callable[[str, int], bool] = lambda _server, _count: False
        monkeypatch.setattr(rounds, "connect", lambda _client, address: address.name)
        monkeypatch.setattr(rounds, "wait_until_idle", lambda ids: self.waits.append([*ids]))

    async def run(self, send_request: SendRequest, inputs: RoundInputs) -> WorkloadResult:
        server = cast(str, send_request)
        self.runs.append((server, inputs))
        if self.fails(server, len(self.runs)):
            raise BenchError(f"{server} is out of memory")
        return WorkloadResult(float(len(self.runs)), [], [])

    def measure(self, servers: Sequence[Address], num_rounds: int) -> tuple[Measurement, list[str]]:
        lines: list[str] = []
        workload = Workload("w", "for a test", self.run)
        found = measure(workload, servers, num_rounds, "seed", SHAPE, lines.append)
        return found, lines


@pytest.fixture
def workload(monkeypatch: pytest.MonkeyPatch) -> CountingWorkload:
    return CountingWorkload(monkeypatch)


def test_each_round_begins_with_another_server(workload: CountingWorkload) -> None:
    measured, lines = workload.measure(SERVERS, 4)
    assert "".join(server for server, _ in workload.runs) == "abcbcacababc"
    assert measured.values("a") == [1, 6, 8, 10]
    assert measured.values("b") == [2, 4, 9, 11]
    assert lines[:2] == ["w, round 1 of 4, a: 1 tokens/s", "w, round 1 of 4, b: 2 tokens/s"]
    assert len(lines) == 12


def test_inputs_are_equal_for_all_servers_and_differ_between_rounds(
    workload: CountingWorkload,
) -> None:
    workload.measure(SERVERS, 2)
    all_inputs = [inputs for _, inputs in workload.runs]
    assert all_inputs[0] == all_inputs[1] == all_inputs[2]
    assert all_inputs[3] == all_inputs[4] == all_inputs[5]
    assert all_inputs[0].seed != all_inputs[3].seed
    assert all_inputs[0].run_seed == all_inputs[3].run_seed
    assert {inputs.shape for inputs in all_inputs} == {SHAPE}


def test_a_server_that_fails_is_left_out_and_the_others_go_on(workload: CountingWorkload) -> None:
    workload.fails = lambda server, count: server == "b" and count > 3
    measured, lines = workload.measure(SERVERS, 3)
    assert [server for server, _ in workload.runs] == [*"abc", *"bca", *"ca"]
    assert measured.faults == {"b": "b is out of memory"}
    assert [len(measured.samples[name]) for name in "abc"] == [3, 1, 3]
    assert sum("out of memory" in line for line in lines) == 1


def test_all_servers_are_idle_before_each_sample(workload: CountingWorkload) -> None:
    workload.measure(SERVERS, 2)
    assert workload.waits == [[7, 7, 7]] * 6


def test_a_sample_has_the_clients_share_of_cpu_time(workload: CountingWorkload) -> None:
    measured, _ = workload.measure(SERVERS[:1], 1)
    (sample,) = measured.samples["a"]
    assert sample.seconds > 0
    assert sample.client_share >= 0


# ── warming up ───────────────────────────────────────────────────────────────────────────────


def test_warming_up_derives_the_prompt_shape_from_two_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = ScriptedServer()
    monkeypatch.setattr(rounds, "connect", lambda _client, _address: server)
    assert warm_up(SERVERS[0], "seed") == PromptShape(WORDS_OF_TEMPLATE, 1.0)
    assert len(server.requests) == 2


@pytest.mark.parametrize("uncounted", [True, False], ids=["no count", "the same count"])
def test_warming_up_fails_without_plausible_token_counts(
    uncounted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        *texts, counts = exact_reply(body)
        if uncounted:
            return texts
        return [*texts, {**counts, "usage": {**counts["usage"], "prompt_tokens": 30}}]

    monkeypatch.setattr(rounds, "connect", lambda _client, _address: ScriptedServer(reply))
    with pytest.raises(BenchError, match="a does not say how many tokens a prompt has"):
        warm_up(SERVERS[0], "seed")
