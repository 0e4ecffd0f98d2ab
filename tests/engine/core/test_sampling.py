"""The sampling pipeline, compared with a slow reference that is written from the formulas.

Reference and pipeline decide alike despite rounding: the logits lie on a coarse grid, so that no
weight is within a rounding error of a limit unless it is exactly at the limit.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.core.sampling import LOGPROB_FLOOR, History, draws, logprobs, sample
from friendli_endpoint.generation import SamplingParams
from tests.support.scripted import bitmask

CLOSE = 1e-9


class TooClose(Exception):
    """A value is within a rounding error of a limit: the result depends on the summation."""


def reaches(value: float, limit: float) -> bool:
    if value != limit and math.isclose(value, limit, rel_tol=CLOSE, abs_tol=1e-300):
        raise TooClose
    return value >= limit


def ranked(weights: Mapping[int, float]) -> list[int]:
    return sorted(weights, key=lambda token: (-weights[token], token))


def adjusted(
    logits: Sequence[float],
    params: SamplingParams,
    prompt: Sequence[int],
    output: Sequence[int],
    allowed: frozenset[int] | None,
) -> dict[int, float]:
    """Returns the scores of the allowed tokens, before the temperature."""
    scores = {}
    counts = Counter(output)
    for token, logit in enumerate(logits):
        score = float(logit)
        if allowed is not None and token not in allowed:
            continue
        score += params.logit_bias.get(token, 0.0)
        if token in prompt or token in output:
            penalty = params.repetition_penalty
            score = score / penalty if score > 0 else score * penalty
        if counts[token]:
            score -= params.frequency_penalty * counts[token] + params.presence_penalty
        if score > -math.inf:
            scores[token] = score
    return scores


def survivors(scores: Mapping[int, float], params: SamplingParams) -> dict[int, float]:
    """Returns the weights of the tokens that remain after the truncations."""
    best = max(scores.values())
    weights = {t: math.exp((s - best) / params.temperature) for t, s in scores.items()}
    total = math.fsum(weights.values())
    probability = {t: w / total for t, w in weights.items()}
    limit = params.min_p * max(probability.values())
    kept = {t: weights[t] for t, p in probability.items() if reaches(p, limit)}
    if params.top_k:
        kept = {t: kept[t] for t in ranked(kept)[: params.top_k]}
    if params.top_p < 1:
        total, before = math.fsum(kept.values()), 0.0
        chosen: dict[int, float] = {}
        for token in ranked(kept):
            if chosen and reaches(before / total, params.top_p):
                break
            chosen[token] = kept[token]
            before += kept[token]
        kept = chosen
    return kept


def without_top_choices(weights: dict[int, float], params: SamplingParams) -> dict[int, float]:
    """Returns the weights of the tokens that XTC leaves when it applies."""
    total = math.fsum(weights.values())
    viable = [t for t in ranked(weights) if reaches(weights[t] / total, params.xtc_threshold)]
    removed = viable[:-1]
    if params.xtc_threshold == 0 or set(params.xtc_protected) & set(removed):
        return weights
    return {t: w for t, w in weights.items() if t not in removed}


def reference(
    logits: Sequence[float],
    params: SamplingParams,
    prompt: Sequence[int],
    output: Sequence[int],
    allowed: frozenset[int] | None,
) -> int | None:
    scores = adjusted(logits, params, prompt, output, allowed)
    if not scores:
        return None
    if params.temperature < 1e-5:
        return ranked(scores)[0]
    weights = survivors(scores, params)
    for_xtc, for_token = draws(params.seed, len(output))
    if for_xtc < params.xtc_probability:
        weights = without_top_choices(weights, params)
    total, running = math.fsum(weights.values()), 0.0
    for token in sorted(weights):
        running += weights[token] / total
        if not reaches(for_token, running):
            return token
    raise TooClose


def drawn(
    logits: Sequence[float],
    params: SamplingParams,
    prompt: Sequence[int] = (),
    output: Sequence[int] = (),
    allowed: frozenset[int] | None = None,
) -> int | None:
    history = History(params, np.array(prompt, np.int32), len(logits))
    for token in output:
        history.add(token)
    mask = None if allowed is None else bitmask(allowed, len(logits))
    return sample(np.array(logits, np.float32), params, history, len(output), mask)


def possible(logits: Sequence[float], tries: int = 400, **params: Any) -> set[int | None]:
    """Returns the tokens that are sampled over many seeds."""
    return {drawn(logits, SamplingParams(seed, **params)) for seed in range(tries)}


grid = st.integers(-40, 40).map(lambda n: n / 4)
some_logits = st.one_of(
    st.lists(grid, min_size=1, max_size=70),
    st.lists(st.sampled_from([0.0, 1.0, -1.0]), min_size=1, max_size=40),
    st.lists(st.one_of(grid, st.sampled_from([-1e30, -3e38, 1e4, -1e4])), min_size=2, max_size=40),
    st.tuples(st.integers(250, 1100), st.integers(0, 2**32)).map(
        lambda made: list(np.random.default_rng(made[1]).integers(-60, 20, made[0]) / 4)
    ),
)
unit = st.integers(0, 20).map(lambda n: n / 20)


@st.composite
def cases(draw: st.DrawFn) -> tuple[object, ...]:
    logits = draw(some_logits)
    token = st.integers(0, len(logits) - 1)
    penalized = draw(st.booleans())
    params = SamplingParams(
        seed=draw(st.integers(0, 2**64 - 1)),
        temperature=draw(st.sampled_from([0.0, 9e-6, 0.25, 0.5, 1.0, 2.0, 30.0])),
        top_k=draw(st.sampled_from([0, 0, 1, 2, 5, 60, 10**9])),
        top_p=draw(st.one_of(st.just(1.0), unit.map(lambda p: p or 1e-6))),
        min_p=draw(st.one_of(st.just(0.0), unit)),
        repetition_penalty=draw(st.sampled_from([0.5, 1.0, 1.25, 3.0])) if penalized else 1.0,
        frequency_penalty=draw(st.sampled_from([-2.0, 0.0, 0.5, 2.0])) if penalized else 0.0,
        presence_penalty=draw(st.sampled_from([-2.0, 0.0, 0.5, 2.0])) if penalized else 0.0,
        logit_bias=draw(
            st.dictionaries(token, st.sampled_from([-math.inf, -99.0, -1.0, 2.5, 100.0]))
        ),
        xtc_threshold=draw(unit),
        xtc_probability=draw(unit),
        xtc_protected=tuple(draw(st.frozensets(token, max_size=2))),
    )
    prompt = draw(st.lists(token, max_size=6))
    output = draw(st.lists(token, max_size=6))
    allowed = draw(st.one_of(st.none(), st.frozensets(token, max_size=len(logits))))
    return logits, params, prompt, output, allowed


@settings(max_examples=400, deadline=None)
@given(cases())
def test_the_sampled_token_is_that_of_the_reference(
    case: tuple[list[float], SamplingParams, list[int], list[int], frozenset[int] | None],
) -> None:
    try:
        expected = reference(*case)
    except TooClose:
        assume(False)
    assert drawn(*case) == expected


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(0, 50))
def test_only_remaining_tokens_are_sampled(
    case: tuple[list[float], SamplingParams, list[int], list[int], frozenset[int] | None],
    first: int,
) -> None:
    logits, params, prompt, output, allowed = case
    assume(params.temperature >= 1e-5 and len(logits) < 100)
    scores = adjusted(logits, params, prompt, output, allowed)
    assume(scores)
    try:
        weights = survivors(scores, params)
        weights |= without_top_choices(weights, params)
    except TooClose:
        assume(False)
    for seed in range(first, first + 20):
        seeded = SamplingParams(**{**_fields(params), "seed": seed})
        assert drawn(logits, seeded, prompt, output, allowed) in weights


def _fields(params: SamplingParams) -> dict[str, Any]:
    return {name: getattr(params, name) for name in SamplingParams.__slots__}


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_top_k_keeps_exactly_k_tokens_ties_to_the_lower_ids(top_k: int) -> None:
    assert possible([1.0, 3.0, 3.0, 3.0, 2.0], top_k=top_k) == set(range(1, 1 + top_k))


def test_top_k_above_the_vocabulary_size_keeps_all() -> None:
    assert possible([0.0, 0.0, 0.0], top_k=4) == {0, 1, 2}


@pytest.mark.parametrize(("top_p", "kept"), [(0.25, 1), (0.26, 2), (0.5, 2), (0.51, 3), (1.0, 4)])
def test_top_p_drops_tokens_with_the_whole_mass_before_them(top_p: float, kept: int) -> None:
    assert possible([7.0] * 4, top_p=top_p) == set(range(kept))


def test_top_p_keeps_at_least_one_token() -> None:
    assert possible([0.0, 1.0, 0.5], top_p=5e-324) == {1}


def test_min_p_keeps_tokens_that_equal_the_limit() -> None:
    assert possible([2.0, 2.0, 1.0], min_p=1.0) == {0, 1}


def test_min_p_applies_to_probabilities_after_the_temperature() -> None:
    # exp(-2) = 0.135, and exp(-2 / 4) = 0.607.
    assert possible([2.0, 0.0], min_p=0.5, temperature=1.0) == {0}
    assert possible([2.0, 0.0], min_p=0.5, temperature=4.0) == {0, 1}


def test_probabilities_are_renormalized_after_each_truncation() -> None:
    # Of 5 equal tokens, top_k keeps 2 with probability 0.5 each; top_p 0.5 then keeps one.
    assert possible([0.0] * 5, top_k=2, top_p=0.5) == {0}


@pytest.mark.parametrize("temperature", [0.0, 1e-6, 9.99e-6])
def test_temperatures_below_the_limit_are_greedy_ties_to_the_lowest_id(temperature: float) -> None:
    assert possible([1.0, 5.0, 5.0], temperature=temperature, tries=20) == {1}


def test_temperatures_from_the_limit_on_sample_among_ties() -> None:
    assert possible([1.0, 5.0, 5.0], temperature=1e-5) == {1, 2}


def test_xtc_keeps_the_least_likely_token_above_the_threshold() -> None:
    logits = [3.0, 2.9, 2.8, 1.5]
    assert possible(logits, xtc_threshold=0.2, xtc_probability=1.0) == {2, 3}


def test_of_equally_unlikely_tokens_xtc_keeps_the_last() -> None:
    assert possible([1.0, 1.0, 1.0], xtc_threshold=0.3, xtc_probability=1.0) == {2}


@pytest.mark.parametrize(
    ("threshold", "probability"), [(0.0, 1.0), (0.2, 0.0), (0.9, 1.0)], ids=str
)
def test_xtc_removes_nothing_if_disabled_or_below_two_tokens(
    threshold: float, probability: float
) -> None:
    logits = [3.0, 2.9, 2.8]
    kept = possible(logits, xtc_threshold=threshold, xtc_probability=probability)
    assert kept == {0, 1, 2}


def test_xtc_never_removes_the_only_token() -> None:
    assert possible([3.0, 2.0], top_k=1, xtc_threshold=0.1, xtc_probability=1.0) == {0}


@pytest.mark.parametrize(("protected", "kept"), [(0, {0, 1, 2}), (1, {0, 1, 2}), (2, {2})])
def test_xtc_does_not_apply_if_it_would_remove_a_protected_token(
    protected: int, kept: set[int]
) -> None:
    options: dict[str, Any] = {"xtc_threshold": 0.2, "xtc_probability": 1.0}
    guarded = (protected,)
    assert possible([3.0, 2.9, 2.8], xtc_protected=guarded, **options) == kept


def test_xtc_does_not_apply_to_greedy_sampling() -> None:
    params = SamplingParams(1, 0.0, xtc_threshold=0.1, xtc_probability=1.0)
    assert drawn([1.0, 2.0, 1.5], params) == 1


def test_xtc_does_not_change_the_random_numbers_of_tokens() -> None:
    def text(**xtc: Any) -> list[int | None]:
        return [
            drawn([0.1 * n for n in range(30)], SamplingParams(5, **xtc), output=[0] * step)
            for step in range(40)
        ]

    # With a threshold that no token reaches, XTC applies and removes nothing.
    assert text(xtc_threshold=0.9, xtc_probability=0.5) == text()


def test_the_repetition_penalty_applies_once_to_tokens_of_prompt_and_output() -> None:
    params = SamplingParams(0, 0.0, repetition_penalty=2.0)
    # 4 / 2 = 2 and -1 * 2 = -2, however often they occurred.
    assert drawn([4.0, 2.5], params, prompt=[0, 0, 0]) == 1
    assert drawn([4.0, 2.5], params, output=[0]) == 1
    assert drawn([4.0, 1.5], params, prompt=[0, 0], output=[0, 0]) == 0
    assert drawn([-1.0, -1.5], params, prompt=[0]) == 1
    assert drawn([-1.0, -2.5], params, prompt=[0]) == 0


def test_frequency_and_presence_penalties_count_the_output_only() -> None:
    frequency = SamplingParams(0, 0.0, frequency_penalty=1.0)
    assert drawn([4.0, 2.5], frequency, prompt=[0] * 5) == 0
    assert drawn([4.0, 2.5], frequency, output=[0]) == 0
    assert drawn([4.0, 2.5], frequency, output=[0, 0]) == 1
    presence = SamplingParams(0, 0.0, presence_penalty=1.0)
    assert drawn([4.0, 2.5], presence, prompt=[0] * 5, output=[0] * 5) == 0
    assert drawn([3.4, 2.5], presence, output=[0]) == 1


@pytest.mark.parametrize("penalty", [5e-324, 1e-300, 1e300, 1.7e308])
def test_an_extreme_repetition_penalty_still_gives_a_token(penalty: float) -> None:
    params = SamplingParams(3, 1.0, repetition_penalty=penalty)
    assert drawn([30.0, 20.0, -10.0, -30.0], params, prompt=[0, 1, 2, 3]) in range(4)
    assert drawn([-1.0, -2.0], params, prompt=[0, 1], allowed=frozenset({1})) == 1


@pytest.mark.parametrize("temperature", [1e-5, 1e300, 1.7e308])
def test_an_extreme_temperature_still_gives_a_token(temperature: float) -> None:
    assert drawn([3e38, -3e38, 0.0], SamplingParams(3, temperature)) in range(3)


def test_a_bias_of_minus_infinity_bans_a_token() -> None:
    assert possible([9.0, 1.0], logit_bias={0: -math.inf}, tries=50) == {1}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_bias_does_not_allow_a_masked_token(temperature: float) -> None:
    params = SamplingParams(0, temperature, logit_bias={0: 100.0})
    assert drawn([9.0, 1.0], params, allowed=frozenset({1})) == 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("count", [1, 40])
def test_scores_that_are_not_finite_give_no_token(
    temperature: float, value: float, count: int
) -> None:
    logits = np.zeros(40, np.float32)
    logits[:count] = value
    params = SamplingParams(1, temperature=temperature)
    assert sample(logits, params, History(params, np.empty(0, np.int32), 40), 0) is None


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_empty_mask_gives_no_token(temperature: float) -> None:
    params = SamplingParams(0, temperature, logit_bias={1: -math.inf})
    assert drawn([9.0, 1.0], params, allowed=frozenset()) is None
    assert drawn([9.0, 1.0], params, allowed=frozenset({1})) is None


def test_the_logits_are_not_modified() -> None:
    logits = np.array([1.0, 2.0, 3.0], np.float32)
    params = SamplingParams(0, 0.5, top_k=2, logit_bias={0: 1.0}, repetition_penalty=2.0)
    history = History(params, np.array([0], np.int32), 3)
    sample(logits, params, history, 0, bitmask([0, 1], 3))
    assert logits.tolist() == [1.0, 2.0, 3.0]


# 0.999 quantiles of chi-square for the degrees of freedom that occur; the seeds are fixed.
QUANTILES = {1: 10.83, 2: 13.82, 4: 18.47, 9: 27.88}


@pytest.mark.parametrize("size", [2, 3, 5, 10])
def test_tokens_are_sampled_with_their_probabilities(size: int) -> None:
    logits = [0.5 * (n % 4) for n in range(size)]
    tries = 4000
    counts = Counter(drawn(logits, SamplingParams(seed, 0.7)) for seed in range(tries))
    weights = [math.exp(logit / 0.7) for logit in logits]
    expected = [tries * weight / sum(weights) for weight in weights]
    distance = sum((counts[t] - expected[t]) ** 2 / expected[t] for t in range(size))
    assert distance < QUANTILES[size - 1]


def test_random_numbers_of_one_seed_are_uniform() -> None:
    tries = 4000
    counts = Counter(int(draws(7, step)[1] * 10) for step in range(tries))
    assert sum((counts[n] - tries / 10) ** 2 / (tries / 10) for n in range(10)) < QUANTILES[9]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32))
def test_draws_are_pure_functions_with_values_in_the_unit_interval(seed: int, step: int) -> None:
    pair = draws(seed, step)
    assert all(0.0 <= number < 1.0 and number * 2**53 == int(number * 2**53) for number in pair)
    assert pair == draws(seed, step)
    assert pair != draws(seed, step + 1)
    assert pair != draws(seed ^ 1, step)


def test_draws_are_the_same_in_every_release() -> None:
    assert [draws(0, 0), draws(0, 1), draws(1, 0), draws(2**64 - 1, 3)] == FROZEN


FROZEN = [
    (0.38246837510621823, 0.34477974253658994),
    (0.25374755709617347, 0.09532077455904586),
    (0.7472982686513584, 0.14501986531925193),
    (0.21298365268903618, 0.8904787959043811),
]


@settings(max_examples=200, deadline=None)
@given(some_logits, st.data())
def test_log_probabilities_are_the_log_softmax_of_the_raw_logits(
    logits: list[float], data: st.DataObject
) -> None:
    raw = np.array(logits, np.float32)
    token = data.draw(st.integers(0, len(logits) - 1))
    top = data.draw(st.integers(0, 20))
    own, head = logprobs(raw, token, top)
    best = float(raw.max())
    log_sum = math.log(math.fsum(math.exp(float(logit) - best) for logit in raw))
    expected = [max(LOGPROB_FLOOR, float(logit) - best - log_sum) for logit in raw]
    assert own.token_id == token
    assert own.logprob == pytest.approx(expected[token], abs=1e-9)
    order = sorted(range(len(logits)), key=lambda t: (-raw[t], t))[:top]
    assert [entry.token_id for entry in head] == order
    assert [entry.logprob for entry in head] == pytest.approx(
        [expected[t] for t in order], abs=1e-9
    )
    assert all(math.isfinite(entry.logprob) for entry in (own, *head))


def test_log_probabilities_have_a_lower_bound() -> None:
    raw = np.array([0.0, -np.inf, -1e5], np.float32)
    own, head = logprobs(raw, 1, 3)
    assert own.logprob == LOGPROB_FLOOR
    assert [entry.logprob for entry in head] == [0.0, LOGPROB_FLOOR, LOGPROB_FLOOR]


def test_top_logprobs_beyond_the_vocabulary_size_are_all_tokens() -> None:
    _, head = logprobs(np.array([1.0, 1.0, 2.0], np.float32), 0, 20)
    assert [entry.token_id for entry in head] == [2, 0, 1]
