"""What timed answers amount to: pure functions over moments; they know no server."""

from collections.abc import Sequence
from itertools import pairwise

from friendli_endpoint.bench.load import Answer
from friendli_endpoint.bench.wire import BenchError

__all__ = ["decode_rate", "first_tokens", "gaps", "longest_gap_since", "rate", "step_time"]


def rate(answers: Sequence[Answer]) -> float:
    """Tokens a second, from the first request to the last token, prefill included."""
    seconds = max(answer.last for answer in answers) - min(answer.sent for answer in answers)
    return sum(answer.tokens or 0 for answer in answers) / seconds


def decode_rate(answers: Sequence[Answer]) -> float:
    """Tokens a second of all streams together, each from its own first token on.

    Raises:
        BenchError: A stream came all at once.
    """
    total = 0.0
    for answer in answers:
        for times in answer.times.values():
            if times[0] == times[-1]:
                raise BenchError("a stream came all at once: there is no rate to tell")
            total += ((answer.tokens or 0) / len(answer.times) - 1) / (times[-1] - times[0])
    return total


def step_time(answers: Sequence[Answer]) -> float:
    """Seconds from one token of a stream to its next while all streams run: a mean.

    Raises:
        BenchError: They did not run together for as long as that.
    """
    begin = max(times[0] for answer in answers for times in answer.times.values())
    end = min(times[-1] for answer in answers for times in answer.times.values())
    seconds = steps = 0.0
    for answer in answers:
        tokens = (answer.tokens or 0) / len(answer.times)
        for times in answer.times.values():
            together = [moment for moment in times if begin <= moment <= end]
            if len(together) < 2:
                raise BenchError("the streams did not run together: there is no step to tell")
            seconds += together[-1] - together[0]
            steps += (len(together) - 1) * (tokens - 1) / (len(times) - 1)
    return seconds / steps


def first_tokens(answers: Sequence[Answer]) -> list[float]:
    """Seconds from the request to the first text of each choice."""
    return [times[0] - answer.sent for answer in answers for times in answer.times.values()]


def gaps(answers: Sequence[Answer]) -> list[float]:
    """Seconds between one text and the next of the same choice."""
    return [
        after - before
        for answer in answers
        for times in answer.times.values()
        for before, after in pairwise(times)
    ]


def longest_gap_since(moment: float, answers: Sequence[Answer]) -> float:
    """The longest that any stream was silent, counting silences that ended after a moment."""
    return max(
        after - before
        for answer in answers
        for times in answer.times.values()
        for before, after in pairwise(times)
        if after > moment
    )
