"""Shows what chunk sizes cost and gain: `python -m benchmarks.endpoint.chunks`.

The engine's scheduler runs a few loads in simulated time, with fixed chunk sizes and with its own
policy. The time of each batch is measured before; with `--cpu-time`, it is the processor time of
one thread, which other programs change little.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.endpoint.costs import CHUNKS, RUNNING, Costs, measure_costs
from friendli_endpoint.bench.stats import percentile
from friendli_endpoint.engine.core.chunking import ChunkPolicy
from friendli_endpoint.engine.core.scheduler import PrefillChunk, Scheduler
from friendli_endpoint.engine.core.sequence import Sequence as Choice
from friendli_endpoint.engine.core.sequence import SequenceGroup
from friendli_endpoint.engine.llama.context import FLASH_POSITIONS
from friendli_endpoint.engine.llama.engine import MAX_CHUNK_TOKENS, STEP_TOKENS
from friendli_endpoint.generation import (
    DecodingRules,
    GenerationRequest,
    SamplingParams,
    TextSegment,
)

SLOTS, REPEATS = 16, 5
TEMPLATE = tuple(range(26))
"""Tokens of the chat template that all prompts begin with."""

PROMPT, ANSWER = 39, 64
CHATS, TURNS, TURN, TURN_ANSWER = 8, 6, 38, 32
LONG = 4000


class FixedChunks(ChunkPolicy):
    """Chunks of one size while something runs, whatever runs and however long prompts wait."""

    def limit(self, num_running: int, _behind: int) -> int:
        """Returns the size."""
        return self.step_tokens if num_running else self.max_tokens


@dataclass(frozen=True, slots=True)
class Latencies:
    """Result of a load, in ms.

    Attributes:
        first: Times from the arrival of a request to its first token.
        gaps: Times between two tokens of a choice.
        rate: Tokens per second.
    """

    first: Sequence[float]
    gaps: Sequence[float]
    rate: float


class Simulation:
    """A scheduler in simulated time.

    Args:
        policy: Policy for chunks.
        costs: Times of batches.
    """

    def __init__(self, policy: ChunkPolicy, costs: Costs) -> None:
        self._scheduler = Scheduler(SLOTS, STEP_TOKENS, MAX_CHUNK_TOKENS, 2, FLASH_POSITIONS)
        self._scheduler._chunks = policy
        self._costs = costs
        self._random = np.random.default_rng(3)
        self.now = 0.0
        self.sent: dict[str, float] = {}
        self.tokens: dict[str, list[float]] = {}
        self._answers: dict[str, int] = {}

    def prompt(self, size: int) -> tuple[int, ...]:
        """Returns new tokens."""
        return tuple(map(int, self._random.integers(1000, 40_000, size)))

    def add(self, name: str, prompt: tuple[int, ...], answer: int) -> None:
        """Adds a request with a prompt, for an answer of this many tokens."""
        request = GenerationRequest(
            name, (TextSegment(prompt),), (SamplingParams(0),), DecodingRules(()), answer
        )
        self.sent[name], self.tokens[name], self._answers[name] = self.now, [], answer
        self._scheduler.add(SequenceGroup(request, np.array(prompt, np.int32), None))

    def run(self) -> Iterator[str]:
        """Executes steps until nothing is left; yields the name of each request that ends."""
        running: dict[int, Choice] = {}
        while not self._scheduler.idle:
            step = self._scheduler.schedule()
            started: list[Choice] = []
            for work in step.work:
                if isinstance(work, PrefillChunk):
                    self.now += self._costs.prefill(len(work.tokens), work.start)
                else:
                    started.append(work.sequence)
                    running[work.slot] = work.sequence
            yield from self._take(started, running)
            decoded = [running[slot] for slot in step.decode if slot in running]
            self.now += self._costs.decode(len(decoded))
            yield from self._take(decoded, running)

    def latencies(self, names: Sequence[str], beside: Sequence[str]) -> Latencies:
        """Returns the first tokens of some requests, and the gaps of requests beside them."""
        begin = min(self.sent[name] for name in names)
        gaps = [
            after - before
            for name in beside
            for before, after in zip(self.tokens[name], self.tokens[name][1:], strict=False)
            if after > begin
        ]
        first = [self.tokens[name][0] - self.sent[name] for name in names]
        num_tokens = sum(map(len, self.tokens.values()))
        end = max(times[-1] for times in self.tokens.values() if times)
        return Latencies(first, gaps, 1000 * num_tokens / end)

    def _take(self, choices: Sequence[Choice], running: dict[int, Choice]) -> Iterator[str]:
        for choice in choices:
            name = choice.group.request.request_id
            self.tokens[name].append(self.now)
            if len(self.tokens[name]) == self._answers[name]:
                del running[next(slot for slot, sequence in running.items() if sequence is choice)]
                self._scheduler.finish(choice, [1] * self._answers[name])
                yield name


def batch(simulation: Simulation) -> Latencies:
    """Runs 16 requests that arrive together, like the workload `batch16`."""
    names = [str(number) for number in range(SLOTS)]
    for name in names:
        simulation.add(name, TEMPLATE + simulation.prompt(PROMPT), ANSWER)
    list(simulation.run())
    return simulation.latencies(names, names)


def conversation(simulation: Simulation) -> Latencies:
    """Runs 8 chats of 6 turns; only turns from the second on count."""
    prompts = {chat: TEMPLATE + simulation.prompt(PROMPT) for chat in range(CHATS)}
    for chat, prompt in prompts.items():
        simulation.add(f"{chat} 0", prompt, TURN_ANSWER)
    for name in simulation.run():
        chat, turn = map(int, name.split())
        if turn + 1 < TURNS:
            prompts[chat] += (1,) * TURN_ANSWER + simulation.prompt(TURN)
            simulation.add(f"{chat} {turn + 1}", prompts[chat], TURN_ANSWER)
    later = [name for name in simulation.sent if not name.endswith(" 0")]
    return simulation.latencies(later, later)


def long_prompt(simulation: Simulation) -> Latencies:
    """Runs 8 streams, and a prompt of 4,000 tokens that arrives when they all run."""
    names = [str(number) for number in range(CHATS)]
    for name in names:
        simulation.add(name, TEMPLATE + simulation.prompt(PROMPT), 1024)
    simulation.add("short", simulation.prompt(2), 9)
    for name in simulation.run():
        if name == "short":
            simulation.add("long", simulation.prompt(LONG), 16)
        if name == "long":
            break
    return simulation.latencies(["long"], names)


def main(arguments: Sequence[str]) -> int:
    """Prints the measured times, and the table of policies."""
    costs = measure_costs(REPEATS, cpu_time="--cpu-time" in arguments)
    decoding, chunks, deep = (
        ", ".join(f"{size}: {ms:.1f}" for size, ms in zip(sizes, times, strict=True))
        for sizes, times in (
            (RUNNING, costs.decoding),
            (CHUNKS, costs.chunks),
            (CHUNKS, costs.deep_chunks),
        )
    )
    print(f"Running sequences and the ms of their step: {decoding}.\n")
    print(f"Tokens of a chunk and their ms, at the start: {chunks}; at 3,000 tokens: {deep}.\n")
    loads = {"batch16": batch, "conversation": conversation, "long": long_prompt}
    print("| load | chunk tokens | first token p50 | between tokens p95 | max | tokens/s |")
    print("|---|---|---|---|---|---|")
    own = ChunkPolicy(STEP_TOKENS, MAX_CHUNK_TOKENS, 3)
    fixed = {str(size): FixedChunks(size, MAX_CHUNK_TOKENS) for size in (16, 32, 64, 128)}
    for name, load in loads.items():
        for label, policy in {**fixed, "as served": own}.items():
            found = load(Simulation(policy, costs))
            first, p95 = percentile(found.first, 0.5), percentile(found.gaps, 0.95)
            print(
                f"| {name} | {label} | {first:,.0f} ms | {p95:,.0f} ms | {max(found.gaps):,.0f} ms "
                f"| {found.rate:.0f} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
