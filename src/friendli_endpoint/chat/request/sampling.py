"""Sampling parameters of the choices of a request."""

import math
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from friendli.models import DedicatedChatCompletionBody
from friendli.types import Unset
from friendli_endpoint.chat.request.fields import value_or_none
from friendli_endpoint.chat.tokens import tokenize_fragment
from friendli_endpoint.generation import RequestError, SamplingParams, Vocabulary

__all__ = ["check_token", "sampling_params"]

_BAN = -math.inf
_BIAS_BOUND = 100.0
_RANDOM_SEED_BITS = 53
_MAX_TOP_K = 2**31 - 1
"""More tokens than any vocabulary has; a request may contain larger integers than engines take."""
_SEED_RANGE = 2**64


def sampling_params(
    body: DedicatedChatCompletionBody, vocabulary: Vocabulary, protected: frozenset[int]
) -> tuple[SamplingParams, ...]:
    """Returns the sampling parameters of each choice.

    Args:
        body: The request, checked by `check_body`.
        vocabulary: The model's tokens.
        protected: Tokens that XTC may not remove.

    Raises:
        RequestError: A key or value of `logit_bias` is invalid.
    """
    seed = None if isinstance(body.seed, Unset) else body.seed
    bias = _logit_bias(value_or_none(body.logit_bias) or {}, vocabulary)
    first, *seeds = _seeds(seed, value_or_none(body.n) or 1)
    params = SamplingParams(
        seed=first,
        temperature=_or_neutral(body.temperature, 1.0),
        top_k=min(max(0, value_or_none(body.top_k) or 0), _MAX_TOP_K),
        top_p=_or_neutral(body.top_p, 1.0),
        min_p=_or_neutral(body.min_p, 0.0),
        repetition_penalty=_or_neutral(body.repetition_penalty, 1.0),
        frequency_penalty=_or_neutral(body.frequency_penalty, 0.0),
        presence_penalty=_or_neutral(body.presence_penalty, 0.0),
        logit_bias=bias,
        xtc_threshold=_or_neutral(body.xtc_threshold, 0.0),
        xtc_probability=_or_neutral(body.xtc_probability, 0.0),
        xtc_protected=tuple(sorted(protected)),
    )
    return (params, *(replace(params, seed=choice_seed) for choice_seed in seeds))


def _or_neutral(value: float | Unset | None, neutral: float) -> float:
    number = value_or_none(value)
    return neutral if number is None else number


def _seeds(seed: int | list[int] | None, count: int) -> list[int]:
    if isinstance(seed, list):
        return [number % _SEED_RANGE for number in seed]
    if seed is None:
        return [secrets.randbits(_RANDOM_SEED_BITS) for _ in range(count)]
    return [(seed + index) % _SEED_RANGE for index in range(count)]


def _logit_bias(entries: Mapping[str, Any], vocabulary: Vocabulary) -> dict[int, float]:
    return {
        _bias_token(key, vocabulary): _bias_value(value, f"logit_bias.{key}")
        for key, value in entries.items()
    }


def _bias_token(key: str, vocabulary: Vocabulary) -> int:
    if key.isascii() and key.isdigit():
        token = int(key) if len(key) <= len(str(vocabulary.size)) else vocabulary.size
        check_token(token, vocabulary, f"logit_bias.{key}")
        return token
    ids = tokenize_fragment(vocabulary, key)
    if len(ids) != 1:
        raise RequestError(
            f"a key of logit_bias must be a token id or the text of exactly one token; "
            f"{key!r} is {len(ids)} tokens",
            param=f"logit_bias.{key}",
            code="out_of_range",
        )
    return ids[0]


def _bias_value(value: object, path: str) -> float:
    if value is False:
        return _BAN
    # Only NaN differs from itself; math.isnan fails for an integer too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise RequestError(
            "a value of logit_bias must be a number from -100 to 100, or false to ban the token",
            param=path,
            code="out_of_range",
        )
    bounded = max(-_BIAS_BOUND, min(_BIAS_BOUND, value))
    return _BAN if bounded == -_BIAS_BOUND else float(bounded)


def check_token(token: int, vocabulary: Vocabulary, path: str) -> None:
    """Checks that a token id exists.

    Args:
        token: Any integer.
        vocabulary: The model's tokens.
        path: The field that contains it.

    Raises:
        RequestError: The id is outside the vocabulary.
    """
    if not 0 <= token < vocabulary.size:
        raise RequestError(
            f"{path} must be a token id from 0 to {vocabulary.size - 1}",
            param=path,
            code="out_of_range",
        )
