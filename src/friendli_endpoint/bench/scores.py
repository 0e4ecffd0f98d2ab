"""Rates and latencies of timed answers, as pure functions."""

from collections.abc import Sequence
from itertools import pairwise

from friendli_endpoint.bench.load import Answer
from friendli_endpoint.bench.wire import BenchError

__all__ = ["decode_rate", "first_tokens", "gaps", "max_gap_since", "rate", "step_time"]


def rate(answers: Sequence[Answer]) -> float:
    """Returns tokens per second from the first request to the last token, prefill included."""
    seconds = max(answer.last for answer in answers) - min(answer.sent for answer in answers)
    return sum(answer.tokens or 0 for answer in answers) / seconds


def decode_rate(answers: Sequence[Answer]) -> float:
    """Returns the sum of the streams' decode rates, each from its own first token on, in tokens/s.

    Raises:
        BenchError: All text of a stream arrived at the same time.
    """
    total = 0.0
    for answer in answers:
        for times in answer.times.values():
            if times[0] == times[-1]:
                raise BenchError("a stream came all at once, so its decode rate is unknown")
            total += ((answer.tokens or 0) / len(answer.times) - 1) / (times[-1] - times[0])
    return total


def step_time(answers: Sequence[Answer]) -> float:
    """Returns the mean seconds between two tokens of a stream while all streams run.

    Raises:
        BenchError: A stream has fewer than two text events while all streams run.
    """
    begin = max(times[0] for answer in answers for times in answer.times.values())
    end = min(times[-1] for answer in answers for times in answer.times.values())
    seconds = steps = 0.0
    for answer in answers:
        tokens = (answer.tokens or 0) / len(answer.times)
        for times in answer.times.values():
            together = [moment for moment in times if begin <= moment <= end]
            if len(together) < 2:
                raise BenchError("the streams did not run together, so the step time is unknown")
            seconds += together[-1] - together[0]
            steps += (len(together) - 1) * (tokens - 1) / (len(times) - 1)
    return seconds / steps


def first_tokens(answers: Sequence[Answer]) -> list[float]:
    """Returns the seconds from the request to the first text of each choice."""
    return [times[0] - answer.sent for answer in answers for times in answer.times.values()]


def gaps(answers: Sequence[Answer]) -> list[float]:
    """Returns the seconds between consecutive text events of the same choice."""
    return [
        after - before
        for answer in answers
        for times in answer.times.values()
        for before, after in pairwise(times)
    ]


def max_gap_since(moment: float, answers: Sequence[Answer]) -> float:
    """Returns the maximum gap in seconds of any stream, among gaps that end after `moment`."""
    return max(
        after - before
        for answer in answers
        for times in answer.times.values()
        for before, after in pairwise(times)
        if after > moment
    )
