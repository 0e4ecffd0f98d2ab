"""The workloads that are more than requests sent at once."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from friendli_endpoint.bench.load import Answer, Ask, Reception, read
from friendli_endpoint.bench.prose import fresh_words, words
from friendli_endpoint.bench.scores import (
    decode_rate,
    first_tokens,
    gaps,
    longest_gap_since,
    rate,
)
from friendli_endpoint.bench.wire import BenchError, Request, user
from friendli_endpoint.bench.workload import Outcome, Stage, checked, send

__all__ = [
    "ANSWER_SCHEMA",
    "conversation",
    "deep",
    "is_answer",
    "long_prompt",
    "mixed",
    "schema",
]

STREAMS = 8
PROMPT_WORDS = 24

LONG_TOKENS = 4000
LONG_ANSWER = 16
BACKGROUND_TOKENS = 1024
"""What a stream beside a long prompt may make; it is given up when the long prompt is answered."""

DEEP_TOKENS = 3800
DEEP_ANSWER = 48

MIXED_STREAMS = 16
MIXED_ANSWER = 64

TURNS = 6
TURN_TOKENS = 32

SCHEMA_TOKENS = 256
"""Enough for the longest answer that the schema allows, unless it is mostly white space."""

CITIES = ("Oslo", "Lima", "Cairo", "Osaka")

ANSWER_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "city": {"type": "string", "enum": [*CITIES]},
        "member": {"type": "boolean"},
        "scores": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": 100},
            "minItems": 3,
            "maxItems": 3,
        },
    },
    "required": ["name", "age", "city", "member", "scores"],
    "additionalProperties": False,
}


async def schema(ask: Ask, stage: Stage) -> Outcome:
    """Answers a second that keep to the schema; those that do not are counted as failed."""
    requests = [
        Request((user(_person(f"{stage.seed} {number}")),), SCHEMA_TOKENS, schema=ANSWER_SCHEMA)
        for number in range(STREAMS)
    ]
    answers = [read(reception) for reception in await send(ask, requests)]
    valid = [answer for answer in answers if is_answer(answer.texts.get(0, ""))]
    seconds = max(answer.last for answer in answers) - min(answer.sent for answer in answers)
    failed = len(answers) - len(valid)
    return Outcome(len(valid) / seconds, first_tokens(answers), gaps(answers), failed)


def is_answer(text: str) -> bool:
    """Whether a text is JSON of the schema's shape."""
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(answer, dict)
        and set(answer) == set(ANSWER_SCHEMA["required"])
        and isinstance(answer["name"], str)
        and len(answer["name"]) <= 20
        and _whole(answer["age"], 120)
        and answer["city"] in CITIES
        and isinstance(answer["member"], bool)
        and isinstance(answer["scores"], list)
        and len(answer["scores"]) == 3
        and all(_whole(score, 100) for score in answer["scores"])
    )


def _whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _person(seed: str) -> str:
    return f"{fresh_words(PROMPT_WORDS, seed)}\nDescribe the first person of this text as JSON."


async def long_prompt(ask: Ask, stage: Stage) -> Outcome:
    """How long running streams are silent at most while a long prompt is prefilled among them."""
    streams = [
        Reception(Request((user(_short(f"{stage.seed} {number}")),), BACKGROUND_TOKENS))
        for number in range(STREAMS)
    ]
    text = fresh_words(stage.shape.words_for(LONG_TOKENS), stage.seed)
    late = Reception(Request((user(text),), LONG_ANSWER))
    running = [asyncio.ensure_future(ask(stream)) for stream in streams]
    try:
        await _under_way(streams, running)
        await ask(late)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    answers = [read(stream) for stream in streams]
    silences = gaps(answers)
    longest = longest_gap_since(late.sent, answers)
    return Outcome(longest, first_tokens(checked([late])), silences)


async def _under_way(streams: list[Reception], running: Sequence[asyncio.Future[None]]) -> None:
    """Waits until every stream has begun.

    Raises:
        BenchError: One ended before that.
    """
    begun = asyncio.ensure_future(asyncio.gather(*(stream.begun.wait() for stream in streams)))
    waited: list[asyncio.Future[Any]] = [begun, *running]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        if task.done():
            begun.cancel()
            task.result()
            raise BenchError("a stream of the background ended before the long prompt came")


async def deep(ask: Ask, stage: Stage) -> Outcome:
    """The rate of streams deep in their contexts.

    The prompts are prefilled by requests of one token before, so that all streams begin at about
    the same time where the server keeps what it has prefilled; where it does not, each stream
    counts from its own first token on. They are the same in all rounds, since that takes minutes.
    """
    count = stage.shape.words_for(DEEP_TOKENS)
    texts = [fresh_words(count, f"{stage.run} {number}") for number in range(STREAMS)]
    await send(ask, [Request((user(text),), 1) for text in texts])
    answers = checked(await send(ask, [Request((user(text),), DEEP_ANSWER) for text in texts]))
    return Outcome(decode_rate(answers), first_tokens(answers), gaps(answers))


async def mixed(ask: Ask, stage: Stage) -> Outcome:
    """The rate of short streams and one deep in its context, whose prompt was prefilled before."""
    deep = fresh_words(stage.shape.words_for(DEEP_TOKENS), stage.run)
    short = [_short(f"{stage.seed} {number}") for number in range(MIXED_STREAMS - 1)]
    await send(ask, [Request((user(deep),), 1)])
    requests = [Request((user(text),), MIXED_ANSWER) for text in (deep, *short)]
    answers = checked(await send(ask, requests))
    return Outcome(rate(answers), first_tokens(answers), gaps(answers))


async def conversation(ask: Ask, stage: Stage) -> Outcome:
    """The median time to the first token over all turns but the first of chats at once."""
    chats = await asyncio.gather(
        *(_chat(ask, f"{stage.seed} {number}") for number in range(STREAMS))
    )
    later = [answer for turns in chats for answer in turns[1:]]
    times = first_tokens(later)
    return Outcome(median(times), times, gaps(later))


async def _chat(ask: Ask, seed: str) -> list[Answer]:
    """The turns of a conversation, each sent when the one before is answered."""
    messages: list[Mapping[str, str]] = []
    answers = []
    for turn in range(TURNS):
        messages.append(user(words(PROMPT_WORDS, f"{seed} {turn}") if turn else _short(seed)))
        (answer,) = checked(await send(ask, [Request(tuple(messages), TURN_TOKENS)]))
        messages.append({"role": "assistant", "content": answer.texts[0]})
        answers.append(answer)
    return answers


def _short(seed: str) -> str:
    return fresh_words(PROMPT_WORDS, seed)
