"""From checked request fields to what the engine and the readers need."""

import math
import secrets
from typing import Any

from friendli_endpoint.chat.decoding.guide import Ending
from friendli_endpoint.chat.request.rules import Values
from friendli_endpoint.chat.stop_strings import StopSet
from friendli_endpoint.chat.tokens import bitmask_without, spelling
from friendli_endpoint.generation import Refusal, SamplingParams, Vocabulary

__all__ = ["check_token", "ending", "sampling_params"]

_BAN = -math.inf
_BIAS_BOUND = 100.0
_RANDOM_SEED_BITS = 53
_SEED_RANGE = 2**64
_UNBOUNDED_TOP_K = 0


def ending(asked: Values, vocabulary: Vocabulary, spoken: frozenset[int] = frozenset()) -> Ending:
    """What ends each choice.

    Args:
        asked: The request's given fields, checked.
        vocabulary: The model's tokens.
        spoken: Control tokens that are read as text: those of tags.

    Raises:
        Refusal: An end token is outside the vocabulary.
    """
    ends = vocabulary.end_ids
    if "eos_token" in asked:
        for index, token in enumerate(asked["eos_token"]):
            check_token(token, vocabulary, f"eos_token[{index}]")
        ends = frozenset(asked["eos_token"])
    stop = asked.get("stop")
    stops = [stop] if isinstance(stop, str) else stop
    displaced = vocabulary.end_ids - ends
    return Ending(
        end_ids=ends,
        silent_ids=(vocabulary.control_ids - displaced - spoken) | ends,
        stops=StopSet(stops) if stops else None,
        min_tokens=asked.get("min_tokens", 0),
        without_ends=bitmask_without(ends, vocabulary.size),
    )


def sampling_params(
    asked: Values, vocabulary: Vocabulary, protected: frozenset[int]
) -> tuple[SamplingParams, ...]:
    """How each of the request's choices draws its tokens.

    Args:
        asked: The request's given fields, checked.
        vocabulary: The model's tokens.
        protected: Tokens that XTC may not remove.

    Raises:
        Refusal: The logit bias names a token that there is not, or has no number for it.
    """
    bias = _logit_bias(asked.get("logit_bias", {}), vocabulary)
    top_k = asked.get("top_k", _UNBOUNDED_TOP_K)
    return tuple(
        SamplingParams(
            seed=seed,
            temperature=asked.get("temperature", 1.0),
            top_k=max(_UNBOUNDED_TOP_K, top_k),
            top_p=asked.get("top_p", 1.0),
            min_p=asked.get("min_p", 0.0),
            repetition_penalty=asked.get("repetition_penalty", 1.0),
            frequency_penalty=asked.get("frequency_penalty", 0.0),
            presence_penalty=asked.get("presence_penalty", 0.0),
            logit_bias=bias,
            xtc_threshold=asked.get("xtc_threshold", 0.0),
            xtc_probability=asked.get("xtc_probability", 0.0),
            xtc_protected=protected,
        )
        for seed in _seeds(asked)
    )


def _seeds(asked: Values) -> list[int]:
    count = asked.get("n", 1)
    seed = asked.get("seed")
    if isinstance(seed, list):
        return [each % _SEED_RANGE for each in seed]
    if seed is None:
        return [secrets.randbits(_RANDOM_SEED_BITS) for _ in range(count)]
    return [(seed + index) % _SEED_RANGE for index in range(count)]


def _logit_bias(entries: dict[str, Any], vocabulary: Vocabulary) -> dict[int, float]:
    return {
        _bias_token(key, vocabulary): _bias_value(value, f"logit_bias.{key}")
        for key, value in entries.items()
    }


def _bias_token(key: str, vocabulary: Vocabulary) -> int:
    if key.isascii() and key.isdigit():
        token = int(key) if len(key) <= len(str(vocabulary.size)) else vocabulary.size
        check_token(token, vocabulary, f"logit_bias.{key}")
        return token
    ids = spelling(vocabulary, key)
    if len(ids) != 1:
        raise Refusal(
            f"a key of logit_bias must be a token id or the text of exactly one token; "
            f"{key!r} is {len(ids)} tokens",
            param=f"logit_bias.{key}",
            code="out_of_range",
        )
    return ids[0]


def _bias_value(value: object, path: str) -> float:
    if value is False:
        return _BAN
    # NaN is not itself; math.isnan would make a float of an integer that may be too long for one.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise Refusal(
            "a value of logit_bias must be a number from -100 to 100, or false to ban the token",
            param=path,
            code="out_of_range",
        )
    bounded = max(-_BIAS_BOUND, min(_BIAS_BOUND, value))
    return _BAN if bounded == -_BIAS_BOUND else float(bounded)


def check_token(token: int, vocabulary: Vocabulary, path: str) -> None:
    """Refuses a token that there is not.

    Args:
        token: Any integer.
        vocabulary: The model's tokens.
        path: The field that names it.

    Raises:
        Refusal: It is outside the vocabulary.
    """
    if not 0 <= token < vocabulary.size:
        raise Refusal(
            f"{path} is no token of this model: ids go from 0 to {vocabulary.size - 1}",
            param=path,
            code="out_of_range",
        )
