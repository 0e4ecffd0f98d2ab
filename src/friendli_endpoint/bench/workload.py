"""Workload types, and functions that send requests, check answers and score a round."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from friendli_endpoint.bench.load import Answer, RecordedResponse, SendRequest, read
from friendli_endpoint.bench.scores import first_tokens, gaps
from friendli_endpoint.bench.wire import BenchError, Request

__all__ = [
    "PromptShape",
    "RoundInputs",
    "RunRound",
    "Sweep",
    "Workload",
    "WorkloadResult",
    "check_answers",
    "concurrent",
    "send",
]


@dataclass(frozen=True, slots=True)
class PromptShape:
    """Linear estimate of a prompt's token count from its number of words.

    Attributes:
        overhead: Tokens of the chat template.
        per_word: Mean tokens per word.
    """

    overhead: float
    per_word: float

    def words_for(self, tokens: int) -> int:
        """Returns the number of words of a prompt of about `tokens` tokens, template included."""
        return int((tokens - self.overhead) / self.per_word)


@dataclass(frozen=True, slots=True)
class RoundInputs:
    """Inputs of one round of a workload.

    Attributes:
        seed: Seed of the prompts; the same for all servers in a round, different in each round.
        shape: Token counts of the model's prompts.
        run_seed: Seed of prompts that are prefilled before they are measured; the same in all
            rounds.
    """

    seed: str
    shape: PromptShape
    run_seed: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadResult:
    """Result of one round of a workload on one server; times are in seconds.

    Attributes:
        value: The measured value, in the workload's unit.
        first_tokens: Time to first token of each choice.
        gaps: Times between consecutive text events of a choice.
        failed: Number of answers that are complete but invalid.
    """

    value: float
    first_tokens: Sequence[float]
    gaps: Sequence[float]
    failed: int = 0


RunRound: TypeAlias = Callable[[SendRequest, RoundInputs], Awaitable[WorkloadResult]]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A point on a curve that is measured by several workloads.

    Attributes:
        axis: The quantity that is varied, a key of `plots.AXES`.
        position: Its value in this workload.
    """

    axis: str
    position: int


@dataclass(frozen=True, slots=True)
class Workload:
    """A benchmark workload.

    Attributes:
        name: Its name on the command line.
        description: One line for tables.
        run: Runs one round.
        unit: Unit of its value.
        higher_is_better: Whether a higher value is better.
        variants: Further peers that it is also measured on.
        sweep: Its point on a curve, or None.
    """

    name: str
    description: str
    run: RunRound = field(repr=False)
    unit: str = "tokens/s"
    higher_is_better: bool = True
    variants: tuple[str, ...] = ()
    sweep: Sweep | None = None


def concurrent(
    requests: Callable[[RoundInputs], Sequence[Request]], score: Callable[[Sequence[Answer]], float]
) -> RunRound:
    """Returns a round that sends all its requests at the same time.

    Args:
        requests: Makes the requests of a round.
        score: Computes the value of the round from the answers.
    """

    async def run(send_request: SendRequest, inputs: RoundInputs) -> WorkloadResult:
        answers = check_answers(await send(send_request, requests(inputs)))
        return WorkloadResult(score(answers), first_tokens(answers), gaps(answers))

    return run


async def send(send_request: SendRequest, requests: Sequence[Request]) -> list[RecordedResponse]:
    """Sends requests concurrently and waits for all; the first failure cancels the rest."""
    responses = [RecordedResponse(request) for request in requests]
    tasks = [asyncio.ensure_future(send_request(response)) for response in responses]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return responses


def check_answers(responses: Sequence[RecordedResponse]) -> list[Answer]:
    """Parses responses, and checks that each has the requested number of tokens and choices.

    Raises:
        BenchError: An answer has another number of tokens, or a choice has no text.
    """
    answers = [read(response) for response in responses]
    for response, answer in zip(responses, answers, strict=True):
        expected = response.request.tokens * response.request.choices
        if answer.tokens != expected:
            raise BenchError(
                f"expected {expected} tokens, got {answer.tokens}; pass the model's end-of-text "
                "token ids with --end-token"
            )
        if len(answer.times) != response.request.choices:
            raise BenchError(
                f"expected text in {response.request.choices} choices, got it in "
                f"{len(answer.times)}"
            )
    return answers
