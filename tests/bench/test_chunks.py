"""Loads in simulated time, with times of batches that are proportional to their tokens."""

import pytest

from benchmarks.endpoint.chunks import (
    FixedChunks,
    Latencies,
    Simulation,
    batch,
    conversation,
    long_prompt,
)
from benchmarks.endpoint.costs import CHUNKS, RUNNING, Costs
from friendli_endpoint.bench.stats import percentile
from friendli_endpoint.engine.core.chunking import ChunkPolicy
from friendli_endpoint.engine.llama.engine import MAX_CHUNK_TOKENS, STEP_TOKENS

COSTS = Costs(
    [6 + 3.0 * size for size in RUNNING],
    [2 + 2.4 * size for size in CHUNKS],
    [2 + 5.0 * size for size in CHUNKS],
)
LOADS = [batch, conversation, long_prompt]
OWN = ChunkPolicy(STEP_TOKENS, MAX_CHUNK_TOKENS, 3)


def run(load: object, policy: ChunkPolicy) -> Latencies:
    assert callable(load)
    found = load(Simulation(policy, COSTS))
    assert isinstance(found, Latencies)
    return found


@pytest.mark.parametrize(
    ("size", "depth", "ms"),
    [(64, 0, 155.6), (64, 100, 155.6), (40, 100, 98.0), (64, 3000, 322.0), (64, 1550, 238.8)],
)
def test_times_are_linear_between_the_measured_sizes_and_depths(
    size: int, depth: int, ms: float
) -> None:
    assert COSTS.prefill(size, depth) == pytest.approx(ms)
    assert [COSTS.decode(count) for count in (0, 1, 3, 16)] == pytest.approx([0, 9, 15, 54])


@pytest.mark.parametrize(("load", "num_first"), [(batch, 16), (conversation, 40), (long_prompt, 1)])
def test_every_request_of_a_load_is_answered(load: object, num_first: int) -> None:
    found = run(load, OWN)
    assert len(found.first) == num_first
    assert min(found.first) > 0 and min(found.gaps) > 0 and found.rate > 0


@pytest.mark.parametrize("load", LOADS)
def test_the_policy_waits_less_than_fixed_chunks_of_twice_a_step(load: object) -> None:
    own, fixed = run(load, OWN), run(load, FixedChunks(2 * STEP_TOKENS, MAX_CHUNK_TOKENS))
    assert max(own.gaps) <= 1.01 * max(fixed.gaps)
    assert percentile(own.first, 0.5) <= 1.3 * percentile(fixed.first, 0.5)
    if load is not long_prompt:  # whose chunks grow
        assert percentile(own.gaps, 0.95) <= 0.6 * percentile(fixed.gaps, 0.95)
        assert own.rate >= 0.95 * fixed.rate


def test_smaller_chunks_make_shorter_gaps_and_later_first_tokens() -> None:
    found = [run(batch, FixedChunks(size, MAX_CHUNK_TOKENS)) for size in (16, 32, 64)]
    p95 = [percentile(latencies.gaps, 0.95) for latencies in found]
    first = [percentile(latencies.first, 0.5) for latencies in found]
    assert p95 == sorted(p95) and first == sorted(first, reverse=True)
