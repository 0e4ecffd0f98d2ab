"""Vocabularies and guides: the meaning of tokens, and which may come next."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.generation.events import TokenFindings
from friendli_endpoint.generation.request import DecodingRules

__all__ = ["Guide", "GuideMaker", "Vocabulary"]


class Vocabulary(Protocol):
    """The token ids of a model and the bytes they stand for; any thread may use it.

    Attributes:
        size: Number of token ids.
        end_ids: The model's own end-of-sequence set.
        control_ids: Tokens that steer and are not text, the ends included.
        bos_id: The begin-of-sequence token, if the model has one.
        eos_id: The main end-of-sequence token, if the model has one.
        adds_bos: Whether every prompt of this model begins with `bos_id`.
    """

    size: int
    end_ids: frozenset[int]
    control_ids: frozenset[int]
    bos_id: int | None
    eos_id: int | None
    adds_bos: bool

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids of a text; with `special`, control tokens written out in it are recognised."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of a token; a control token's are its text."""
        ...


class Guide(Protocol):
    """Decides what one choice may generate next, and reads what it has generated.

    A guide owns all that must act inside the loop, so that the engine never runs past an end. It
    is called by one thread at a time, in the order `forced`, `mask` if nothing is forced, `accept`
    or `exhausted`; forced tokens may be accepted in a row without being asked for again.

    Attributes:
        looks_ahead: Whether `forced` and `mask` take time, and are better asked for by another
            thread while the logits are computed.
    """

    looks_ahead: bool

    def mask(self) -> NDArray[np.uint32] | None:
        """The tokens allowed next: shape (ceil(vocabulary / 32),), a set bit = allowed.

        Token `t` is bit `t % 32` of word `t // 32`. None allows every token. Valid until the next
        call of any method.
        """
        ...

    def fast_forward_tokens(self) -> Sequence[int]:
        """Token ids that must come next and need no sampling; usually empty."""
        ...

    def accept(self, token_id: int, is_last: bool) -> TokenFindings:
        """Reads the token that was generated.

        Args:
            token_id: The token.
            is_last: Whether the engine has no room for another one; the choice then ends with
                this token, with `length` where nothing else ends it.
        """
        ...

    def exhausted(self) -> TokenFindings:
        """Ends the choice without a token, where the mask allows none."""
        ...


GuideMaker = Callable[[DecodingRules], Guide]
"""Makes the guide of one choice; called on the engine's thread when the choice begins.

An engine in this process is given one. An engine elsewhere gets the dotted name of a callable that
makes one of a `Vocabulary`, so that it need not import what it does not know.
"""
