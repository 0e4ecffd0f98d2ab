"""Drafts of the next tokens of a choice, looked up in its prompt and its output.

This is prompt lookup decoding (Saxena 2023). A lookup costs nearly nothing, and every guess is
compared with the sampled token whether it was computed ahead or not. So the acceptance rate is
known before any draft is computed: drafts are proposed while enough guesses are right to pay for
the computation, and again as soon as enough of them would be.
"""

from collections.abc import Sequence

import numpy as np

from friendli_endpoint.engine.core.backend import MAX_RUN, Tokens

__all__ = ["MIN_DRAFT", "Drafter", "prompt_lookup"]

MIN_NGRAM, MAX_NGRAM = 3, 8
"""Minimum number of last tokens that must have occurred before, and maximum that are compared."""

MIN_ACCEPTANCE = 0.75
"""Minimum acceptance rate for which drafts pay: on the embedded model, a run of 4 tokens takes as
long as 2 single tokens, a run of 8 as 3.6, and a run of 16 as 6.3."""

SMOOTHING = 0.25
"""Weight of the last guess in the acceptance rate, an exponential moving average."""

MIN_DRAFT, MAX_DRAFT = 3, MAX_RUN - 1
"""Bounds of the length of a draft, which makes a run together with the token before it. Kernels
compute four tokens in hardly more time than three, so drafts grow by four."""

GROW_AFTER = 8
"""Number of right guesses in a row after which drafts grow."""


class Drafter:
    """Draft proposer of one choice, with its acceptance rate."""

    def __init__(self) -> None:
        self._acceptance = MIN_ACCEPTANCE
        self._in_a_row = 0
        self._guess: Sequence[int] = ()

    def observe(self, token: int) -> None:
        """Compares a generated token with the guess for its position."""
        if not self._guess:
            return
        is_right = token == self._guess[0]
        self._acceptance += SMOOTHING * (is_right - self._acceptance)
        self._in_a_row = self._in_a_row + 1 if is_right else 0
        self._guess = self._guess[1:] if is_right else ()

    def propose(self, tokens: Tokens, max_tokens: int) -> Sequence[int]:
        """Proposes a draft of the next tokens.

        Args:
            tokens: The prompt and the output so far, shape (length,).
            max_tokens: Maximum length of the draft, at least `MIN_DRAFT`.

        Returns:
            `MIN_DRAFT` to `MAX_DRAFT` token ids, or none if nothing is repeated or the acceptance
            rate is too low.
        """
        wanted = MIN_DRAFT + self._in_a_row // GROW_AFTER * 4
        self._guess = prompt_lookup(tokens, min(wanted, MAX_DRAFT, max_tokens))
        return self._guess if self._acceptance >= MIN_ACCEPTANCE else ()


def prompt_lookup(tokens: Tokens, count: int) -> Sequence[int]:
    """Returns the tokens that followed the last n-gram where it occurred before.

    The n-gram is as long as possible, up to `MAX_NGRAM`; of several occurrences the latest counts.

    Args:
        tokens: The tokens so far, shape (length,).
        count: Number of tokens to return.

    Returns:
        `count` token ids; where the occurrence reaches the end of `tokens`, its continuation is
        repeated. Empty if no n-gram of at least `MIN_NGRAM` tokens has occurred before.
    """
    after = np.flatnonzero(tokens[:-1] == tokens[-1:]) + 1
    start = repeated = 0
    while after.size:
        repeated += 1
        start = int(after[-1])
        if repeated == MAX_NGRAM:
            break
        after = after[after > repeated]
        after = after[tokens[after - 1 - repeated] == tokens[-1 - repeated]]
    if repeated < MIN_NGRAM:
        return ()
    period = tokens.size - start
    return tuple(tokens[start + np.arange(count) % period].tolist())
