"""The workloads of `friendli-endpoint bench`, with their requests and scores."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from friendli_endpoint.bench import scenarios
from friendli_endpoint.bench.busy import beside
from friendli_endpoint.bench.prompts import fresh_words, words
from friendli_endpoint.bench.scores import rate, step_time
from friendli_endpoint.bench.wire import Request, user
from friendli_endpoint.bench.workload import RoundInputs, RunRound, Sweep, Workload, concurrent

__all__ = ["WORKLOADS", "WORKLOAD_NAMES", "vocabulary", "workloads_named"]

SHORT_PROMPT, LONG_PROMPT, OWN_WORDS = 24, 344, 14
COPIED_WORDS = {"copying": 120, "copying-short": 48}
SWEPT_TOKENS = 96
"""Long enough that the first of 16 streams still runs when the last one begins."""
RUNNING = (1, 2, 4, 8, 12, 16)
DEPTHS = (256, 1024, 2048, 3800)
BUSY = (0, 2, 4)


def _alone(inputs: RoundInputs) -> list[Request]:
    return _short(1, inputs, tokens=96)


def _batch(inputs: RoundInputs) -> list[Request]:
    return _short(16, inputs, tokens=64)


def _sampled(inputs: RoundInputs) -> list[Request]:
    return _short(16, inputs, tokens=48, temperature=0.8, top_p=0.95)


def _prefix(inputs: RoundInputs) -> list[Request]:
    """Returns requests with a common prefix that differs in each round."""
    prefix = fresh_words(LONG_PROMPT, inputs.seed)
    suffixes = (words(OWN_WORDS, f"{inputs.seed} {number}") for number in range(16))
    return [Request((user(f"{prefix} {suffix}"),), 32) for suffix in suffixes]


def _choices(inputs: RoundInputs) -> list[Request]:
    text = fresh_words(LONG_PROMPT, inputs.seed)
    return [Request((user(text),), 48, temperature=1.0, choices=8)]


def _copying(count: int, inputs: RoundInputs) -> list[Request]:
    text = fresh_words(count, inputs.seed)
    prompt = f"{text}\n\nRepeat the text above word for word."
    return [Request((user(prompt),), count)]


def _running(count: int, inputs: RoundInputs) -> list[Request]:
    return _short(count, inputs, tokens=SWEPT_TOKENS)


def _at_depth(depth: int, inputs: RoundInputs) -> list[Request]:
    text = fresh_words(inputs.shape.words_for(depth), inputs.seed)
    return [Request((user(text),), SWEPT_TOKENS)]


def _short(
    count: int, inputs: RoundInputs, *, tokens: int, temperature: float = 0.0, top_p: float = 1.0
) -> list[Request]:
    texts = (fresh_words(SHORT_PROMPT, f"{inputs.seed} {number}") for number in range(count))
    return [Request((user(text),), tokens, temperature, top_p) for text in texts]


def _swept(
    axis: str,
    position: int,
    description: str,
    run: RunRound,
) -> Workload:
    return Workload(
        f"{axis}-{position}",
        description,
        run,
        unit="s",
        higher_is_better=False,
        sweep=Sweep(axis, position),
    )


def vocabulary(size: int) -> Workload:
    """Returns the workload for the step time of 8 streams on a model of this vocabulary size."""
    return _swept("vocabulary", size, "a step of 8 streams", _steps(partial(_running, 8)))


def _steps(requests: Callable[[RoundInputs], Sequence[Request]]) -> RunRound:
    return concurrent(requests, step_time)


_ALL = (
    Workload("single", "1 request, 24 words, 96 tokens, greedy", concurrent(_alone, rate)),
    Workload("batch16", "16 requests, 24 words, 64 tokens, greedy", concurrent(_batch, rate)),
    Workload(
        "sampled16",
        "16 requests, 24 words, 48 tokens, temperature 0.8, top_p 0.95",
        concurrent(_sampled, rate),
    ),
    Workload(
        "prefix16",
        "16 requests, 344 shared words and 14 unique ones, 32 tokens",
        concurrent(_prefix, rate),
    ),
    Workload(
        "choices8",
        "1 request, 344 words, n = 8, 48 tokens, temperature 1",
        concurrent(_choices, rate),
    ),
    Workload(
        "schema8",
        "8 requests, a JSON schema of 5 fields, valid answers only",
        scenarios.schema,
        unit="answers/s",
    ),
    Workload(
        "long",
        "8 streams while a prompt of 4,000 tokens is prefilled: max time between tokens",
        scenarios.long_prompt,
        unit="s",
        higher_is_better=False,
    ),
    Workload(
        "deep8",
        "8 streams at 3,800 tokens of context, 48 tokens, prefill not counted",
        scenarios.deep,
        variants=("llama.cpp-no-flash",),
    ),
    Workload(
        "mixed16",
        "15 requests of 24 words and one at 3,800 tokens of context, 64 tokens, greedy",
        scenarios.mixed,
    ),
    Workload(
        "conversation",
        "8 chats of 6 turns: first token of turns 2 to 6",
        scenarios.conversation,
        unit="s",
        higher_is_better=False,
    ),
    *(
        Workload(
            name,
            f"1 request to repeat a text of {count} words",
            concurrent(partial(_copying, count), rate),
        )
        for name, count in COPIED_WORDS.items()
    ),
    *(
        _swept("running", count, f"a step of {count} streams", _steps(partial(_running, count)))
        for count in RUNNING
    ),
    *(
        _swept("depth", depth, f"a step at {depth:,} tokens", _steps(partial(_at_depth, depth)))
        for depth in DEPTHS
    ),
    *(
        _swept(
            "busy", count, f"a token of a stream beside {count} spinning processes", beside(count)
        )
        for count in BUSY
    ),
)

WORKLOADS: Mapping[str, Workload] = {workload.name: workload for workload in _ALL}
"""Workloads by name; the name of a point of a sweep is `AXIS-POSITION`."""


WORKLOAD_NAMES = [
    *(name for name, workload in WORKLOADS.items() if workload.sweep is None),
    *dict.fromkeys(item.sweep.axis for item in WORKLOADS.values() if item.sweep is not None),
]
"""Names that `workloads_named` knows, apart from single points of a sweep."""


def workloads_named(name: str) -> list[Workload]:
    """Returns the workload of this name, or all points of the sweep along this axis, or none."""
    return [
        workload
        for workload in WORKLOADS.values()
        if name == workload.name or (workload.sweep is not None and name == workload.sweep.axis)
    ]
