"""Sampling parameters of validated requests."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.request.sampling import sampling_params
from friendli_endpoint.generation import RequestError, SamplingParams
from tests.support.chat import body_of
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()
PROTECTED = frozenset({2, 14})


def params(**asked: Any) -> tuple[SamplingParams, ...]:
    return sampling_params(body_of(**asked), VOCABULARY, PROTECTED)


def bias(entries: dict[str, Any]) -> dict[int, float]:
    return dict(params(logit_bias=entries)[0].logit_bias)


def error_of(entries: dict[str, Any]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        bias(entries)
    assert (caught.value.status, caught.value.code) == (400, "out_of_range")
    return caught.value


def test_parameters_are_neutral_by_default() -> None:
    assert params(seed=7) == (SamplingParams(7, xtc_protected=tuple(sorted(PROTECTED))),)


def test_every_parameter_is_passed_on() -> None:
    asked = {
        "temperature": 0.5,
        "top_k": 3,
        "top_p": 0.9,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "frequency_penalty": -0.5,
        "presence_penalty": 0.25,
        "xtc_threshold": 0.2,
        "xtc_probability": 0.75,
    }
    (sampling,) = params(seed=1, **asked)
    assert {name: getattr(sampling, name) for name in asked} == asked


@pytest.mark.parametrize(("top_k", "kept"), [(-1, 0), (0, 0), (1, 1), (10**9, VOCABULARY.size)])
def test_top_k_minus_one_keeps_all_tokens(top_k: int, kept: int) -> None:
    assert params(top_k=top_k)[0].top_k == kept


@pytest.mark.parametrize(
    ("key", "token"),
    [
        ("5", 5),
        ("0", 0),
        ("005", 5),
        (str(VOCABULARY.size - 1), VOCABULARY.size - 1),
        (" the", VOCABULARY.token(" the")),
        ("é", VOCABULARY.token("é")),
        ("<|im_end|>", VOCABULARY.token("<|im_end|>")),
    ],
)
def test_logit_bias_keys_are_ids_or_the_text_of_one_token(key: str, token: int) -> None:
    assert bias({key: 1}) == {token: 1.0}


@pytest.mark.parametrize("key", [str(VOCABULARY.size), "9" * 5000, "-1", "", "ab", "٣٤", "1.0"])
def test_invalid_logit_bias_keys_are_rejected_by_name(key: str) -> None:
    assert error_of({key: 1}).param == f"logit_bias.{key}"


@pytest.mark.parametrize(
    ("value", "addend"),
    [
        (0, 0.0),
        (-99.5, -99.5),
        (100, 100.0),
        (1000, 100.0),
        (math.inf, 100.0),
        (-100, -math.inf),
        (-1e9, -math.inf),
        (False, -math.inf),
        (10**400, 100.0),
        (-(10**400), -math.inf),
    ],
)
def test_logit_bias_values_are_clamped_and_minus_100_bans(value: float, addend: float) -> None:
    assert bias({"5": value}) == {5: addend}


def test_a_logit_bias_that_is_null_is_absent() -> None:
    assert bias({"5": None, "6": 1}) == {6: 1.0}


@pytest.mark.parametrize("value", [True, "1", math.nan, [1]])
def test_invalid_logit_bias_values_are_rejected(value: object) -> None:
    assert error_of({"5": value}).param == "logit_bias.5"


@settings(max_examples=60, deadline=None)
@given(st.integers(), st.integers(1, 5))
def test_choices_count_up_from_one_seed_modulo_two_to_the_64(seed: int, n: int) -> None:
    seeds = [choice.seed for choice in params(seed=seed, n=n)]
    assert seeds == [(seed + index) % 2**64 for index in range(n)]
    assert len(set(seeds)) == n


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(), min_size=1, max_size=5))
def test_a_list_of_seeds_is_used_modulo_two_to_the_64(seeds: list[int]) -> None:
    drawn = [choice.seed for choice in params(seed=seeds, n=len(seeds))]
    assert drawn == [seed % 2**64 for seed in seeds]


def test_random_seeds_differ_and_are_exact_in_json() -> None:
    seeds = {choice.seed for choice in params(n=20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**53 for seed in seeds)
