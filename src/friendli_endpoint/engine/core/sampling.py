"""From logits to a token: the sampling pipeline, exact and in double precision.

Order of work at each position: constraint and minimum-length mask, logit bias, repetition penalty
(prompt and output), frequency and presence penalties (output only); then, unless greedy,
temperature, min_p, top_k, top_p, XTC and the draw. Probabilities are renormalised over the
survivors after each truncation, and ties go to the lower id everywhere.

The order is that of vLLM (`vllm/v1/sample`), with XTC last as in the servers that have it. The
repetition penalty is that of Keskar et al. 2019, arXiv:1909.05858, section 4.1; min_p that of
Nguyen et al. 2024, arXiv:2407.01082. Nothing here knows a model or a thread.
"""

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.ranking import Ids, largest, nucleus
from friendli_endpoint.generation import SamplingParams, TokenLogprob

__all__ = ["LOGPROB_FLOOR", "History", "draws", "logprobs", "sample"]

GREEDY_BELOW = 1e-5
"""Temperatures below this take the most likely token."""

LOGPROB_FLOOR = -9999.0
"""The smallest log probability that is reported, so that it stays a number in JSON."""

_FEW = 1 / 8
"""Share of a vocabulary up to which the allowed tokens are looked at apart from the others."""

_BLOCK = 256

_MOST = 1e300
"""Bound of a penalised score, far enough from infinity for what is computed with it."""

Floats = NDArray[np.float64]


class History:
    """The tokens that one choice has seen and generated, as far as its penalties ask for them.

    Args:
        params: The choice's sampling parameters.
        prompt: Token ids of the prompt, shape (length,).
        size: Number of logits at a position.
    """

    def __init__(self, params: SamplingParams, prompt: NDArray[np.int32], size: int) -> None:
        self.seen: NDArray[np.bool_] | None = None
        self.counts: NDArray[np.int32] | None = None
        if params.repetition_penalty != 1.0:
            self.seen = np.zeros(size, np.bool_)
            self.seen[prompt] = True
        if params.frequency_penalty or params.presence_penalty:
            self.counts = np.zeros(size, np.int32)

    def accept(self, token_id: int) -> None:
        """Counts a generated token."""
        if self.seen is not None:
            self.seen[token_id] = True
        if self.counts is not None:
            self.counts[token_id] += 1


def draws(seed: int, step: int) -> tuple[float, float]:
    """The two random numbers of a choice at a position: for XTC, and for the token.

    They are a pure function of their key (BLAKE2b of both numbers), so that nothing else a server
    does can shift them.

    Args:
        seed: In [0, 2**64).
        step: How many tokens the choice has generated before.

    Returns:
        Two numbers in [0, 1), multiples of 2**-53.
    """
    digest = hashlib.blake2b(struct.pack("<QQ", seed, step), digest_size=16).digest()
    first, second = struct.unpack("<QQ", digest)
    return (first >> 11) * 2.0**-53, (second >> 11) * 2.0**-53


def sample(
    logits: NDArray[np.float32],
    params: SamplingParams,
    history: History,
    step: int,
    mask: NDArray[np.uint32] | None = None,
) -> int | None:
    """Draws the next token of a choice.

    Args:
        logits: Shape (vocabulary,), float32, raw; not changed.
        params: How to draw.
        history: What the penalties count.
        step: How many tokens the choice has generated before.
        mask: Allowed tokens, shape (ceil(vocabulary / 32),), bit `t % 32` of word `t // 32`.

    Returns:
        The token id, or None where nothing is allowed, or where a score is not a number, as with
        weights that lead to infinity.
    """
    scores = _adjusted(logits, params, history)
    ids = None if mask is None else _allowed(scores, mask)
    if ids is not None:
        scores = scores[ids]
    best = int(scores.argmax()) if scores.size else None
    if best is None or not np.isfinite(scores[best]):  # of numbers and NaN, NaN is the largest
        return None
    if params.temperature < GREEDY_BELOW:
        return best if ids is None else int(ids[best])
    scores -= scores[best]
    scores /= params.temperature
    ids, weights = _truncated(ids, scores, params)
    for_xtc, for_token = draws(params.seed, step)
    if for_xtc < params.xtc_probability and params.xtc_threshold > 0.0:
        _exclude_top_choices(ids, weights, params)
    index = _draw(weights, for_token)
    return index if ids is None else int(ids[index])


def logprobs(
    logits: NDArray[np.float32], token_id: int, top: int
) -> tuple[TokenLogprob, tuple[TokenLogprob, ...]]:
    """Log probabilities under the raw logits, before any mask, bias or temperature.

    Args:
        logits: Shape (vocabulary,), float32, raw.
        token_id: The token to report in any case.
        top: How many of the likeliest tokens to report besides.

    Returns:
        The token's own entry, and the likeliest ones, most likely first.
    """
    best = float(logits.max())
    weights: Floats = logits.astype(np.float64)
    weights -= best
    normal = float(np.log(np.exp(weights, out=weights).sum()))

    def entry(token: int) -> TokenLogprob:
        return TokenLogprob(token, max(float(logits[token]) - best - normal, LOGPROB_FLOOR))

    if not top:
        return entry(token_id), ()
    head = largest(logits, min(top, logits.size))
    head = head[np.argsort(-logits[head], kind="stable")]
    return entry(token_id), tuple(entry(int(token)) for token in head)


def _adjusted(logits: NDArray[np.float32], params: SamplingParams, history: History) -> Floats:
    scores: Floats = logits.astype(np.float64)
    if params.logit_bias:
        biased = np.fromiter(params.logit_bias.keys(), np.intp, len(params.logit_bias))
        scores[biased] += np.fromiter(params.logit_bias.values(), np.float64, biased.size)
    if history.seen is not None:
        seen = np.flatnonzero(history.seen)
        score, penalty = scores[seen], params.repetition_penalty
        with np.errstate(over="ignore"):
            score = np.where(score > 0, score / penalty, score * penalty)
        # Extreme penalties stay numbers; what is masked or banned stays so.
        scores[seen] = np.where(scores[seen] == -np.inf, -np.inf, score.clip(-_MOST, _MOST))
    if history.counts is not None:
        said = np.flatnonzero(history.counts)
        scores[said] -= params.frequency_penalty * history.counts[said] + params.presence_penalty
    return scores


def _allowed(scores: Floats, mask: NDArray[np.uint32]) -> Ids | None:
    """The ids that a mask allows, where they are few; else None, and the others are barred."""
    bits = np.unpackbits((~mask).view(np.uint8), count=scores.size, bitorder="little")
    barred = bits.view(np.bool_)
    if scores.size - np.count_nonzero(barred) <= _FEW * scores.size:
        return np.flatnonzero(~barred)
    np.copyto(scores, -np.inf, where=barred)
    return None


def _truncated(
    ids: Ids | None, scores: Floats, params: SamplingParams
) -> tuple[Ids | None, Floats]:
    """Applies min_p, top_k and top_p.

    Args:
        ids: Whose scores these are, rising; None for all.
        scores: After the temperature, relative to the best; overwritten.
        params: The three limits.

    Returns:
        Ids of the survivors, rising, None for all, and their probabilities relative to the best's.
    """

    def keep(chosen: Ids, values: Floats) -> Floats:
        nonlocal ids
        ids = chosen if ids is None else ids[chosen]
        return values[chosen]

    # top_k before min_p, which changes nothing but how many exponentials there are to compute.
    if 0 < params.top_k < scores.size:
        scores = keep(largest(scores, params.top_k), scores)
    weights: Floats = np.exp(scores, out=scores)
    if params.min_p > 0.0:
        weights = keep(np.flatnonzero(weights >= params.min_p), weights)
    if params.top_p < 1.0:
        weights = keep(nucleus(weights, params.top_p * float(weights.sum())), weights)
    return ids, weights


def _draw(weights: Floats, uniform: float) -> int:
    """The index at which the running sum of the weights passes `uniform` times their total.

    A running sum over a whole vocabulary is slow, for each addition waits for the one before; so
    the sums of blocks are run through first, then the one block.
    """
    blocks = np.cumsum(np.add.reduceat(weights, np.arange(0, weights.size, _BLOCK)))
    target = uniform * blocks[-1]
    block = int(np.searchsorted(blocks, target, side="right"))
    if block:
        target -= blocks[block - 1]
    inside = np.cumsum(weights[block * _BLOCK : (block + 1) * _BLOCK])
    index = int(np.searchsorted(inside, target, side="right"))
    while index >= inside.size or weights[block * _BLOCK + index] == 0.0:  # rounding at an edge
        index -= 1
    return block * _BLOCK + index


def _exclude_top_choices(ids: Ids | None, weights: Floats, params: SamplingParams) -> None:
    """Takes their weight from all viable tokens but the least likely of them."""
    viable = np.flatnonzero(weights >= params.xtc_threshold * weights.sum())
    if viable.size < 2:
        return
    least = viable[viable.size - 1 - int(weights[viable][::-1].argmin())]
    removed = viable[viable != least]
    tokens = removed if ids is None else ids[removed]
    if set(params.xtc_protected).isdisjoint(tokens.tolist()):
        weights[removed] = 0.0
