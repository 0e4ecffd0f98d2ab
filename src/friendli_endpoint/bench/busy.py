"""Workload of one stream on a machine whose processors other processes use, too."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from friendli_endpoint.bench.load import Answer, RecordedResponse, SendRequest, read
from friendli_endpoint.bench.prompts import fresh_words
from friendli_endpoint.bench.scores import first_tokens, gaps
from friendli_endpoint.bench.wire import Request, user
from friendli_endpoint.bench.workload import RoundInputs, RunRound, WorkloadResult, check_answers

__all__ = ["beside", "seconds_per_token", "spinning"]

PROMPT_WORDS, TOKENS = 24, 96

MAX_SECONDS = 30.0
"""Seconds after which a stream is cut off; threads that wait for each other may take hours."""

PROGRAM = """
import os, sys, threading
def wait():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=wait, daemon=True).start()
sys.stdout.write("spinning\\n")
sys.stdout.flush()
while True:
    pass
"""
"""Computes until its standard input is closed, also when the benchmark is killed."""


def beside(num_processes: int, max_seconds: float = MAX_SECONDS) -> RunRound:
    """Returns a round of one stream beside processes that compute all the time.

    Its value is the seconds for each token, prefill included.

    Args:
        num_processes: Number of other processes.
        max_seconds: Time after which the stream is cut off.
    """

    async def run(send_request: SendRequest, inputs: RoundInputs) -> WorkloadResult:
        text = fresh_words(PROMPT_WORDS, inputs.seed)
        response = RecordedResponse(Request((user(text),), TOKENS))
        with spinning(num_processes):
            task = asyncio.ensure_future(send_request(response))
            await asyncio.wait([task], timeout=max_seconds)
            is_whole = not task.cancel()
            ended = time.perf_counter()
            await asyncio.gather(task, return_exceptions=not is_whole)
        answers = check_answers([response]) if is_whole else [read(response)]
        value = seconds_per_token(answers[0], None if is_whole else ended)
        return WorkloadResult(value, first_tokens(answers), gaps(answers))

    return run


def seconds_per_token(answer: Answer, cut_off: float | None) -> float:
    """Returns the mean time of a token from the request on, in seconds.

    Args:
        answer: The answer, with one choice.
        cut_off: Time at which the stream was cut off, in seconds of `time.perf_counter`; None if
            it is whole. The token that was being computed then counts.
    """
    if cut_off is None:
        return (answer.last - answer.sent) / (answer.tokens or 1)
    num_tokens = sum(len(times) for times in answer.times.values())
    return (cut_off - answer.sent) / (num_tokens + 1)


@contextmanager
def spinning(num_processes: int) -> Iterator[list[int]]:
    """Runs processes that compute all the time; yields their ids."""
    with ExitStack() as stack:
        processes = []
        for _ in range(num_processes):
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield [process.pid for process in processes]
