"""The workloads: what each asks for, and what it counts."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from friendli_endpoint.bench import scenes
from friendli_endpoint.bench.prose import fresh_words, words
from friendli_endpoint.bench.scores import rate, step_time
from friendli_endpoint.bench.wire import Request, user
from friendli_endpoint.bench.workload import Stage, Sweep, Workload, at_once

__all__ = ["WORKLOADS", "chosen", "vocabulary"]

SHORT_PROMPT, LONG_PROMPT, OWN_WORDS = 24, 344, 14
COPIED_WORDS = {"copying": 120, "copying-short": 48}
SWEPT_TOKENS = 96
"""So many that the first of 16 streams still runs when the last one begins."""
RUNNING = (1, 2, 4, 8, 12, 16)
DEPTHS = (256, 1024, 2048, 3800)


def _alone(stage: Stage) -> list[Request]:
    return _short(1, stage, tokens=96)


def _batch(stage: Stage) -> list[Request]:
    return _short(16, stage, tokens=64)


def _sampled(stage: Stage) -> list[Request]:
    return _short(16, stage, tokens=48, temperature=0.8, top_p=0.95)


def _prefix(stage: Stage) -> list[Request]:
    """A prefix that is new in the round, and shared within it."""
    prefix = fresh_words(LONG_PROMPT, stage.seed)
    own = (words(OWN_WORDS, f"{stage.seed} {number}") for number in range(16))
    return [Request((user(f"{prefix} {text}"),), 32) for text in own]


def _choices(stage: Stage) -> list[Request]:
    text = fresh_words(LONG_PROMPT, stage.seed)
    return [Request((user(text),), 48, temperature=1.0, choices=8)]


def _copying(count: int, stage: Stage) -> list[Request]:
    text = fresh_words(count, stage.seed)
    order = f"{text}\n\nRepeat the text above word for word."
    return [Request((user(order),), count)]


def _running(count: int, stage: Stage) -> list[Request]:
    return _short(count, stage, tokens=SWEPT_TOKENS)


def _at_depth(depth: int, stage: Stage) -> list[Request]:
    text = fresh_words(stage.shape.words_for(depth), stage.seed)
    return [Request((user(text),), SWEPT_TOKENS)]


def _short(
    count: int, stage: Stage, *, tokens: int, temperature: float = 0.0, top_p: float = 1.0
) -> list[Request]:
    texts = (fresh_words(SHORT_PROMPT, f"{stage.seed} {number}") for number in range(count))
    return [Request((user(text),), tokens, temperature, top_p) for text in texts]


def _swept(
    axis: str, position: int, about: str, requests: Callable[[Stage], Sequence[Request]]
) -> Workload:
    return Workload(
        f"{axis}-{position}",
        about,
        at_once(requests, step_time),
        unit="s",
        higher=False,
        sweep=Sweep(axis, position),
    )


def vocabulary(size: int) -> Workload:
    """The time of a step of eight streams, on a model of that many tokens."""
    return _swept("vocabulary", size, "a step of 8 streams", partial(_running, 8))


_ALL = (
    Workload("single", "1 request, 24 words, 96 tokens, greedy", at_once(_alone, rate)),
    Workload("batch16", "16 requests, 24 words, 64 tokens, greedy", at_once(_batch, rate)),
    Workload(
        "sampled16",
        "16 requests, 24 words, 48 tokens, temperature 0.8, top_p 0.95",
        at_once(_sampled, rate),
    ),
    Workload(
        "prefix16",
        "16 requests, 344 shared words and 14 unique ones, 32 tokens",
        at_once(_prefix, rate),
    ),
    Workload(
        "choices8", "1 request, 344 words, n = 8, 48 tokens, temperature 1", at_once(_choices, rate)
    ),
    Workload(
        "schema8",
        "8 requests, a JSON schema of 5 fields, valid answers only",
        scenes.schema,
        unit="answers/s",
    ),
    Workload(
        "long",
        "8 streams while a prompt of 4,000 tokens is prefilled: max time between tokens",
        scenes.long_prompt,
        unit="s",
        higher=False,
    ),
    Workload(
        "deep8",
        "8 streams at 3,800 tokens of context, 48 tokens, prefill not counted",
        scenes.deep,
        variants=("llama.cpp-no-flash",),
    ),
    Workload(
        "mixed16",
        "15 requests of 24 words and one at 3,800 tokens of context, 64 tokens, greedy",
        scenes.mixed,
    ),
    Workload(
        "conversation",
        "8 chats of 6 turns: first token of turns 2 to 6",
        scenes.conversation,
        unit="s",
        higher=False,
    ),
    *(
        Workload(
            name,
            f"1 request to repeat a text of {count} words",
            at_once(partial(_copying, count), rate),
        )
        for name, count in COPIED_WORDS.items()
    ),
    *(
        _swept("running", count, f"a step of {count} streams", partial(_running, count))
        for count in RUNNING
    ),
    *(
        _swept("depth", depth, f"a step at {depth:,} tokens", partial(_at_depth, depth))
        for depth in DEPTHS
    ),
)

WORKLOADS: Mapping[str, Workload] = {workload.name: workload for workload in _ALL}
"""By name; those of a sweep are called `AXIS-POSITION`."""


def chosen(name: str) -> list[Workload]:
    """The workload of this name, or all of a sweep's; none where there is neither."""
    return [
        each
        for each in WORKLOADS.values()
        if name == each.name or (each.sweep is not None and name == each.sweep.axis)
    ]
