"""Policy for the prompt tokens of a step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.chunking import PATIENCE_STEPS, ChunkPolicy

POLICY = ChunkPolicy(step_tokens=32, max_tokens=128, min_tokens=3)
PATIENCE = PATIENCE_STEPS * POLICY.step_tokens

POLICIES = st.lists(st.integers(1, 512), min_size=3, max_size=3).map(
    lambda numbers: ChunkPolicy(*(sorted(numbers)[index] for index in (1, 2, 0)))
)


@pytest.mark.parametrize(
    ("running", "behind", "limit"),
    [
        (0, 0, 128),
        (0, 10 * PATIENCE, 128),
        (1, 0, 31),
        (8, 0, 24),
        (15, 0, 17),
        (16, 0, 16),
        (256, 0, 16),
        (8, PATIENCE, 24),
        (8, PATIENCE + PATIENCE // 2, 36),
        (8, 2 * PATIENCE, 48),
        (16, 2 * PATIENCE, 32),
        (8, 100 * PATIENCE, 64),
        (200, 100 * PATIENCE, 64),
    ],
)
def test_the_limit_depends_on_running_choices_and_on_delay(
    running: int, behind: int, limit: int
) -> None:
    assert POLICY.limit(running, behind) == limit


@given(POLICIES, st.integers(1, 300), st.integers(0, 10**6))
def test_limits_stay_in_their_range_and_follow_the_load(
    policy: ChunkPolicy, running: int, behind: int
) -> None:
    limit = policy.limit(running, behind)
    assert policy.min_tokens <= limit <= policy.max_tokens
    assert policy.limit(running + 1, behind) <= limit <= policy.limit(running, behind + 1)
    assert limit <= policy.limit(0, behind)


@given(POLICIES, st.integers(1, 300), st.integers(0, PATIENCE_STEPS))
def test_a_step_has_at_most_its_tokens_until_prompts_are_behind_for_long(
    policy: ChunkPolicy, running: int, steps: int
) -> None:
    limit = policy.limit(running, steps * policy.step_tokens)
    half = max(policy.min_tokens, policy.step_tokens // 2)
    assert limit == max(half, policy.step_tokens - running)


@given(POLICIES, st.integers(1, 300))
def test_chunks_grow_to_two_steps_in_the_end(policy: ChunkPolicy, running: int) -> None:
    steps = PATIENCE_STEPS * policy.max_tokens
    max_limit = min(2 * policy.step_tokens, policy.max_tokens)
    assert policy.limit(running, 2 * steps * policy.step_tokens) == max_limit


@pytest.mark.parametrize("limits", [(32, 16, 3), (32, 128, 33), (32, 128, 0)])
def test_invalid_limits_are_rejected(limits: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="`min_tokens` must be at least 1"):
        ChunkPolicy(*limits)
