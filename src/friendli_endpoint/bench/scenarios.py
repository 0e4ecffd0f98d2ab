"""Workloads that do more than send a set of concurrent requests."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from friendli_endpoint.bench.load import Answer, RecordedResponse, SendRequest, read
from friendli_endpoint.bench.prompts import fresh_words, words
from friendli_endpoint.bench.scores import (
    decode_rate,
    first_tokens,
    gaps,
    max_gap_since,
    rate,
)
from friendli_endpoint.bench.wire import BenchError, Request, user
from friendli_endpoint.bench.workload import RoundInputs, WorkloadResult, check_answers, send

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
"""Token limit of a background stream, which is cancelled when the long prompt is answered."""

DEEP_TOKENS = 3800
DEEP_ANSWER = 48

MIXED_STREAMS = 16
MIXED_ANSWER = 64

TURNS = 6
TURN_TOKENS = 32

SCHEMA_TOKENS = 256
"""Enough for any answer that the schema allows, unless it is mostly white space."""

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


async def schema(send_request: SendRequest, inputs: RoundInputs) -> WorkloadResult:
    """Measures valid answers per second to requests with a JSON schema; counts invalid answers."""
    requests = [
        Request((user(_person(f"{inputs.seed} {number}")),), SCHEMA_TOKENS, schema=ANSWER_SCHEMA)
        for number in range(STREAMS)
    ]
    answers = [read(response) for response in await send(send_request, requests)]
    valid = [answer for answer in answers if is_answer(answer.texts.get(0, ""))]
    seconds = max(answer.last for answer in answers) - min(answer.sent for answer in answers)
    failed = len(answers) - len(valid)
    return WorkloadResult(len(valid) / seconds, first_tokens(answers), gaps(answers), failed)


def is_answer(text: str) -> bool:
    """Whether a text is JSON that is valid for `ANSWER_SCHEMA`."""
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(answer, dict)
        and set(answer) == set(ANSWER_SCHEMA["required"])
        and isinstance(answer["name"], str)
        and len(answer["name"]) <= 20
        and _is_integer(answer["age"], 120)
        and answer["city"] in CITIES
        and isinstance(answer["member"], bool)
        and isinstance(answer["scores"], list)
        and len(answer["scores"]) == 3
        and all(_is_integer(score, 100) for score in answer["scores"])
    )


def _is_integer(value: object, max_value: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= max_value


def _person(seed: str) -> str:
    return f"{fresh_words(PROMPT_WORDS, seed)}\nDescribe the first person of this text as JSON."


async def long_prompt(send_request: SendRequest, inputs: RoundInputs) -> WorkloadResult:
    """Measures the maximum gap of running streams while a long prompt is prefilled."""
    streams = [
        RecordedResponse(Request((user(_short(f"{inputs.seed} {number}")),), BACKGROUND_TOKENS))
        for number in range(STREAMS)
    ]
    text = fresh_words(inputs.shape.words_for(LONG_TOKENS), inputs.seed)
    late = RecordedResponse(Request((user(text),), LONG_ANSWER))
    running = [asyncio.ensure_future(send_request(stream)) for stream in streams]
    try:
        await _wait_until_begun(streams, running)
        await send_request(late)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    answers = [read(stream) for stream in streams]
    max_gap = max_gap_since(late.sent, answers)
    return WorkloadResult(max_gap, first_tokens(check_answers([late])), gaps(answers))


async def _wait_until_begun(
    streams: list[RecordedResponse], running: Sequence[asyncio.Future[None]]
) -> None:
    """Waits until all streams have begun.

    Raises:
        BenchError: A stream ended before that.
    """
    begun = asyncio.ensure_future(asyncio.gather(*(stream.begun.wait() for stream in streams)))
    waited: list[asyncio.Future[Any]] = [begun, *running]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        if task.done():
            begun.cancel()
            task.result()
            raise BenchError("a background stream ended before the long prompt was sent")


async def deep(send_request: SendRequest, inputs: RoundInputs) -> WorkloadResult:
    """Measures the decode rate of streams with long contexts.

    Requests for one token prefill the prompts first, so that on a server with a prefix cache all
    streams begin at about the same time; without one, each stream counts from its own first token
    on. The prompts are the same in all rounds, because the prefill takes minutes.
    """
    count = inputs.shape.words_for(DEEP_TOKENS)
    texts = [fresh_words(count, f"{inputs.run_seed} {number}") for number in range(STREAMS)]
    await send(send_request, [Request((user(text),), 1) for text in texts])
    answers = check_answers(
        await send(send_request, [Request((user(text),), DEEP_ANSWER) for text in texts])
    )
    return WorkloadResult(decode_rate(answers), first_tokens(answers), gaps(answers))


async def mixed(send_request: SendRequest, inputs: RoundInputs) -> WorkloadResult:
    """Measures the rate of short streams and one with a long context, prefilled beforehand."""
    deep = fresh_words(inputs.shape.words_for(DEEP_TOKENS), inputs.run_seed)
    short = [_short(f"{inputs.seed} {number}") for number in range(MIXED_STREAMS - 1)]
    await send(send_request, [Request((user(deep),), 1)])
    requests = [Request((user(text),), MIXED_ANSWER) for text in (deep, *short)]
    answers = check_answers(await send(send_request, requests))
    return WorkloadResult(rate(answers), first_tokens(answers), gaps(answers))


async def conversation(send_request: SendRequest, inputs: RoundInputs) -> WorkloadResult:
    """Measures the median time to first token of concurrent chats, from their second turn on."""
    chats = await asyncio.gather(
        *(_chat(send_request, f"{inputs.seed} {number}") for number in range(STREAMS))
    )
    later = [answer for turns in chats for answer in turns[1:]]
    times = first_tokens(later)
    return WorkloadResult(median(times), times, gaps(later))


async def _chat(send_request: SendRequest, seed: str) -> list[Answer]:
    """Runs a conversation; each turn is sent when the previous one is answered."""
    messages: list[Mapping[str, str]] = []
    answers = []
    for turn in range(TURNS):
        messages.append(user(words(PROMPT_WORDS, f"{seed} {turn}") if turn else _short(seed)))
        (answer,) = check_answers(await send(send_request, [Request(tuple(messages), TURN_TOKENS)]))
        messages.append({"role": "assistant", "content": answer.texts[0]})
        answers.append(answer)
    return answers


def _short(seed: str) -> str:
    return fresh_words(PROMPT_WORDS, seed)
