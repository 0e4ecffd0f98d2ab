"""Guesses of the next tokens of a choice, from what it repeats: itself, or its prompt.

This is prompt lookup decoding (Saxena 2023). A guess costs nothing to make and is checked in any
case, so its worth is known before any is computed: drafts are given while as many guesses come true
as pay for themselves, and given again when they do again.
"""

from collections.abc import Sequence

import numpy as np

from friendli_endpoint.engine.core.backend import MAX_RUN, Tokens

__all__ = ["SHORTEST_DRAFT", "Drafts", "continuation"]

LEAST_REPEATED, MOST_REPEATED = 3, 8
"""How many tokens must have been said before for a guess, and how many are compared."""

PAYS = 0.75
"""Share of guesses that must have come true lately: a run of 4 tokens takes as long as 2, one of 8
as 3.6, and one of 16 as 6.3 of the embedded model."""

LATELY = 0.25
"""Weight of the last guess in that share."""

SHORTEST_DRAFT, LONGEST_DRAFT = 3, MAX_RUN - 1
"""Tokens of a draft, which make a run together with the one before them. Kernels take four in
hardly more time than three, so drafts grow by four."""

GROWS_AFTER = 8
"""Guesses in a row that must have come true for the next length of a draft."""


class Drafts:
    """What one choice may say next, and how often that was true."""

    def __init__(self) -> None:
        self._share = PAYS
        self._in_a_row = 0
        self._guess: Sequence[int] = ()

    def accept(self, token: int) -> None:
        """Takes what was said in truth."""
        if not self._guess:
            return
        true = token == self._guess[0]
        self._share += LATELY * (true - self._share)
        self._in_a_row = self._in_a_row + 1 if true else 0
        self._guess = self._guess[1:] if true else ()

    def propose(self, said: Tokens, most: int) -> Sequence[int]:
        """A draft of the next tokens.

        Args:
            said: The prompt and what was generated, shape (length,).
            most: Most tokens to propose, at least `SHORTEST_DRAFT`.

        Returns:
            At least `SHORTEST_DRAFT` and at most `LONGEST_DRAFT` ids; none where nothing is
            repeated, or what was guessed lately did not come true.
        """
        wanted = SHORTEST_DRAFT + self._in_a_row // GROWS_AFTER * 4
        self._guess = continuation(said, min(wanted, LONGEST_DRAFT, most))
        return self._guess if self._share >= PAYS else ()


def continuation(said: Tokens, count: int) -> Sequence[int]:
    """What followed when the end of a text was there before: at its longest, and at its latest.

    Args:
        said: The text, shape (length,).
        count: How many tokens are wanted.

    Returns:
        So many ids; what repeats itself right to the end is thought to go on so. None where fewer
        than `LEAST_REPEATED` tokens have been there before.
    """
    after = np.flatnonzero(said[:-1] == said[-1:]) + 1
    start = repeated = 0
    while after.size:
        repeated += 1
        start = int(after[-1])
        if repeated == MOST_REPEATED:
            break
        after = after[after > repeated]
        after = after[said[after - 1 - repeated] == said[-1 - repeated]]
    if repeated < LEAST_REPEATED:
        return ()
    period = said.size - start
    return tuple(said[start + np.arange(count) % period].tolist())
