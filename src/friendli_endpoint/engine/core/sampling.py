"""Sampling pipeline from logits to a token, exact and in double precision.

Order at each position: constraint and minimum-length mask, logit bias, repetition penalty (prompt
and output), frequency and presence penalties (output only); then, unless greedy, temperature,
min_p, top_k, top_p, XTC and the draw. Probabilities are renormalized over the remaining tokens
after each truncation. Tokens with equal probabilities are ranked in ascending order of ids.

The order is that of vLLM (`vllm/v1/sample`), with XTC last as in the servers that have it. Sources:

- repetition penalty: Keskar et al. 2019 (CTRL), arXiv:1909.05858, section 4.1; scores that are not
  positive are multiplied instead of divided, as in Hugging Face transformers
- frequency and presence penalties: the formula of OpenAI's API, `logit - count * frequency -
  (count > 0) * presence`
- min_p: Nguyen et al. 2024, arXiv:2407.01082
- top_k: Fan et al. 2018, arXiv:1805.04833
- top_p (nucleus sampling): Holtzman et al. 2019, arXiv:1904.09751
- XTC ("exclude top choices"): text-generation-webui

Pure functions; nothing here depends on a model or a thread.
"""

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.ranking import Ids, nucleus, top_indexes
from friendli_endpoint.generation import SamplingParams, TokenLogprob

__all__ = ["LOGPROB_FLOOR", "History", "draws", "logprobs", "sample"]

GREEDY_BELOW = 1e-5
"""Temperatures below this sample greedily."""

LOGPROB_FLOOR = -9999.0
"""Minimum log probability that is reported, so that it stays a number in JSON."""

_MAX_GATHERED = 1 / 8
"""Maximum share of allowed tokens in the vocabulary for which only their scores are processed."""

_BLOCK = 256

_MAX_SCORE = 1e300
"""Bound of a penalized score, far enough from infinity for the operations that follow."""

Floats = NDArray[np.float64]
"""Scores or weights, shape (count,), float64."""


class History:
    """Tokens of one choice, as far as its penalties need them.

    Args:
        params: The choice's sampling parameters.
        prompt: Token ids of the prompt, shape (length,).
        size: Number of logits at a position.

    Attributes:
        seen: Whether each token occurs in prompt or output, shape (size,); None without a
            repetition penalty.
        counts: Number of occurrences of each token in the output, shape (size,); None without a
            frequency or presence penalty.
    """

    def __init__(self, params: SamplingParams, prompt: NDArray[np.int32], size: int) -> None:
        self.seen: NDArray[np.bool_] | None = None
        self.counts: NDArray[np.int32] | None = None
        if params.repetition_penalty != 1.0:
            self.seen = np.zeros(size, np.bool_)
            self.seen[prompt] = True
        if params.frequency_penalty or params.presence_penalty:
            self.counts = np.zeros(size, np.int32)

    def add(self, token_id: int) -> None:
        """Adds a generated token."""
        if self.seen is not None:
            self.seen[token_id] = True
        if self.counts is not None:
            self.counts[token_id] += 1


def draws(seed: int, step: int) -> tuple[float, float]:
    """Returns the two random numbers of a choice at a position: for XTC, and for the token.

    They are counter-based: a pure function (BLAKE2b) of the seed and the position, so that they do
    not depend on any other request or draw.

    Args:
        seed: In [0, 2**64).
        step: Number of tokens that the choice has generated before.

    Returns:
        Two numbers uniform in [0, 1), multiples of 2**-53.
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
    """Samples the next token of a choice.

    Args:
        logits: Raw logits, shape (vocabulary,), float32; not modified.
        params: The choice's sampling parameters.
        history: The choice's tokens.
        step: Number of tokens that the choice has generated before.
        mask: Allowed tokens, shape (ceil(vocabulary / 32),), uint32: bit `t % 32` of word
            `t // 32`. None allows all.

    Returns:
        The token id, or None if no token is allowed, or if the highest score is not finite, as with
        weights that overflow.
    """
    scores = _adjusted(logits, params, history)
    ids = None if mask is None else _allowed(scores, mask)
    if ids is not None:
        scores = scores[ids]
    best = int(scores.argmax()) if scores.size else None
    if best is None or not np.isfinite(scores[best]):  # argmax returns a NaN, if any
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
    """Computes log probabilities: the log-softmax of the raw logits.

    Mask, bias, penalties and temperature do not count. Values are at least `LOGPROB_FLOOR`.

    Args:
        logits: Raw logits, shape (vocabulary,), float32.
        token_id: The sampled token.
        top: Number of most likely tokens to report.

    Returns:
        The entry of the sampled token, and the entries of the most likely tokens in descending
        order, ties in ascending order of ids.
    """
    best = float(logits.max())
    weights: Floats = logits.astype(np.float64)
    weights -= best
    log_sum = float(np.log(np.exp(weights, out=weights).sum()))

    def entry(token: int) -> TokenLogprob:
        return TokenLogprob(token, max(float(logits[token]) - best - log_sum, LOGPROB_FLOOR))

    if not top:
        return entry(token_id), ()
    head = top_indexes(logits, min(top, logits.size))
    head = head[np.argsort(-logits[head], kind="stable")]
    return entry(token_id), tuple(entry(int(token)) for token in head)


def _adjusted(logits: NDArray[np.float32], params: SamplingParams, history: History) -> Floats:
    """Returns the logits with bias and penalties, in double precision."""
    scores: Floats = logits.astype(np.float64)
    if params.logit_bias:
        biased = np.fromiter(params.logit_bias.keys(), np.intp, len(params.logit_bias))
        scores[biased] += np.fromiter(params.logit_bias.values(), np.float64, biased.size)
    if history.seen is not None:
        seen = np.flatnonzero(history.seen)
        score, penalty = scores[seen], params.repetition_penalty
        with np.errstate(over="ignore"):
            score = np.where(score > 0, score / penalty, score * penalty)
        # Extreme penalties stay finite; banned tokens stay banned.
        score = score.clip(-_MAX_SCORE, _MAX_SCORE)
        scores[seen] = np.where(scores[seen] == -np.inf, -np.inf, score)
    if history.counts is not None:
        generated = np.flatnonzero(history.counts)
        counts = history.counts[generated]
        scores[generated] -= params.frequency_penalty * counts + params.presence_penalty
    return scores


def _allowed(scores: Floats, mask: NDArray[np.uint32]) -> Ids | None:
    """Returns the allowed ids if they are few; otherwise bans the others in place, returns None."""
    bits = np.unpackbits((~mask).view(np.uint8), count=scores.size, bitorder="little")
    banned = bits.view(np.bool_)
    if scores.size - np.count_nonzero(banned) <= _MAX_GATHERED * scores.size:
        return np.flatnonzero(~banned)
    np.copyto(scores, -np.inf, where=banned)
    return None


def _truncated(
    ids: Ids | None, scores: Floats, params: SamplingParams
) -> tuple[Ids | None, Floats]:
    """Applies min_p, top_k and top_p.

    Args:
        ids: Token ids of the scores, ascending; None for all tokens.
        scores: Scores divided by the temperature, relative to the highest one; overwritten.
        params: The three limits.

    Returns:
        Ids of the remaining tokens, ascending, None for all, and their probabilities relative to
        the highest one.
    """

    def keep(chosen: Ids, values: Floats) -> Floats:
        nonlocal ids
        ids = chosen if ids is None else ids[chosen]
        return values[chosen]

    # top_k before min_p gives the same tokens, with fewer exponentials to compute.
    if 0 < params.top_k < scores.size:
        scores = keep(top_indexes(scores, params.top_k), scores)
    weights: Floats = np.exp(scores, out=scores)
    if params.min_p > 0.0:
        weights = keep(np.flatnonzero(weights >= params.min_p), weights)
    if params.top_p < 1.0:
        weights = keep(nucleus(weights, params.top_p * float(weights.sum())), weights)
    return ids, weights


def _draw(weights: Floats, uniform: float) -> int:
    """Draws an index by inverse transform sampling.

    It is the index where the cumulative sum of the weights exceeds `uniform` times their total. A
    cumulative sum over a whole vocabulary is slow, since each addition waits for the one before; so
    the sums of blocks are searched first, then one block.
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
    """Applies XTC: sets the weights of all tokens above the threshold but the last-ranked to 0.

    No weight changes if a protected token would be removed.
    """
    viable = np.flatnonzero(weights >= params.xtc_threshold * weights.sum())
    if viable.size < 2:
        return
    kept = viable[viable.size - 1 - int(weights[viable][::-1].argmin())]
    removed = viable[viable != kept]
    tokens = removed if ids is None else ids[removed]
    if set(params.xtc_protected).isdisjoint(tokens.tolist()):
        weights[removed] = 0.0
