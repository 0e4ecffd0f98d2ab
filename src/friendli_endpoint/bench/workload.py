"""What a workload is, and how requests are sent, checked and counted; it knows no workload."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from friendli_endpoint.bench.load import Answer, Ask, Reception, read
from friendli_endpoint.bench.scores import first_tokens, gaps
from friendli_endpoint.bench.wire import BenchError, Request

__all__ = ["Outcome", "Run", "Shape", "Stage", "Sweep", "Workload", "at_once", "checked", "send"]


@dataclass(frozen=True, slots=True)
class Shape:
    """How many tokens a model makes of a prompt of our words.

    Attributes:
        overhead: Tokens of the chat template.
        per_word: Tokens of a word, on average.
    """

    overhead: float
    per_word: float

    def words_for(self, tokens: int) -> int:
        """Words of a prompt of about so many tokens, template included."""
        return int((tokens - self.overhead) / self.per_word)


@dataclass(frozen=True, slots=True)
class Stage:
    """What one round of a workload is made from.

    Attributes:
        seed: The same for every server in a round, another in every round.
        shape: Of the model's prompts.
        run: The same in all rounds, for what is prefilled before it is measured.
    """

    seed: str
    shape: Shape
    run: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one round of a workload came to on one server; times are in seconds.

    Attributes:
        value: In the workload's unit.
        first_tokens: From a request to its first text.
        gaps: From one text of a stream to its next.
        failed: Answers that came but do not count.
    """

    value: float
    first_tokens: Sequence[float]
    gaps: Sequence[float]
    failed: int = 0


Run: TypeAlias = Callable[[Ask, Stage], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A point of a curve that several workloads draw.

    Attributes:
        axis: What grows.
        position: How far it has grown here.
    """

    axis: str
    position: int


@dataclass(frozen=True, slots=True)
class Workload:
    """Something to measure.

    Attributes:
        name: What it is chosen by.
        about: What it does, for a table.
        run: Does one round.
        unit: Of its value.
        higher: Whether more is better.
        variants: Further servers of the peer's kind that it is interesting on.
        sweep: The curve it belongs to, if any.
    """

    name: str
    about: str
    run: Run = field(repr=False)
    unit: str = "tokens/s"
    higher: bool = True
    variants: tuple[str, ...] = ()
    sweep: Sweep | None = None


def at_once(
    requests: Callable[[Stage], Sequence[Request]], score: Callable[[Sequence[Answer]], float]
) -> Run:
    """A workload that sends all its requests at the same time."""

    async def run(ask: Ask, stage: Stage) -> Outcome:
        answers = checked(await send(ask, requests(stage)))
        return Outcome(score(answers), first_tokens(answers), gaps(answers))

    return run


async def send(ask: Ask, requests: Sequence[Request]) -> list[Reception]:
    """Sends requests at the same time and waits for all; the first failure ends the others."""
    receptions = [Reception(request) for request in requests]
    tasks = [asyncio.ensure_future(ask(reception)) for reception in receptions]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return receptions


def checked(receptions: Sequence[Reception]) -> list[Answer]:
    """The answers, each of as many tokens as were asked for.

    Raises:
        BenchError: One is not.
    """
    answers = [read(reception) for reception in receptions]
    for reception, answer in zip(receptions, answers, strict=True):
        due = reception.request.tokens * reception.request.choices
        if answer.tokens != due:
            raise BenchError(
                f"{answer.tokens} tokens came where {due} were due; name the tokens that end an "
                "answer of this model with --end-token"
            )
        if len(answer.times) != reception.request.choices:
            raise BenchError(
                f"{len(answer.times)} choices of {reception.request.choices} hold text"
            )
    return answers
