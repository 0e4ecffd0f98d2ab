"""One stream beside spinning processes, on a scripted server."""

import asyncio
import os
from pathlib import Path

import pytest

from friendli_endpoint.bench.busy import beside, seconds_per_token, spinning
from friendli_endpoint.bench.load import Answer, RecordedResponse, SendRequest
from friendli_endpoint.bench.wire import BenchError
from friendli_endpoint.bench.workload import RoundInputs, RunRound, WorkloadResult
from tests.bench.simulated import SHAPE, ScriptedServer, texts

INPUTS = RoundInputs("seed", SHAPE)


def measured(run: RunRound, server: SendRequest) -> WorkloadResult:
    async def measure() -> WorkloadResult:
        return await run(server, INPUTS)

    return asyncio.run(measure())


class EndlessServer(ScriptedServer):
    """A server whose stream of words stops after a while, but never ends."""

    async def __call__(self, response: RecordedResponse) -> None:
        await super().__call__(response)
        await asyncio.Event().wait()


def test_a_whole_stream_is_measured_beside_the_processes() -> None:
    server = ScriptedServer()
    outcome = measured(beside(1), server)
    (request,) = server.requests
    assert (len(texts([request])[0].split()), request.tokens) == (24, 96)
    assert (len(outcome.first_tokens), len(outcome.gaps)) == (1, 95)
    assert outcome.value > 0


def test_a_stream_that_takes_too_long_is_cut_off() -> None:
    outcome = measured(beside(0, max_seconds=0.05), EndlessServer())
    assert (len(outcome.first_tokens), len(outcome.gaps)) == (1, 95)
    assert outcome.value >= 0.05 / 97


def test_a_server_that_fails_is_an_error() -> None:
    async def fail(_response: RecordedResponse) -> None:
        raise BenchError("it answers 500")

    with pytest.raises(BenchError, match="it answers 500"):
        measured(beside(0), fail)


@pytest.mark.parametrize(
    ("times", "cut_off", "value"),
    [
        ([11.0, 12.0, 14.0], None, 4 / 3),
        ([11.0, 12.0, 14.0], 18.0, 2.0),
        ([], 40.0, 30.0),
    ],
)
def test_the_token_that_is_cut_off_counts(
    times: list[float], cut_off: float | None, value: float
) -> None:
    answer = Answer(10.0, {0: times} if times else {}, {}, {}, 5, 3)
    assert seconds_per_token(answer, cut_off) == pytest.approx(value)


def test_the_processes_compute_until_they_are_killed() -> None:
    with spinning(2) as processes:
        assert len(set(processes)) == 2
        for process in processes:
            os.kill(process, 0)
            status = Path(f"/proc/{process}/stat")
            assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "R"
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_no_process_is_needed() -> None:
    with spinning(0) as processes:
        assert processes == []
