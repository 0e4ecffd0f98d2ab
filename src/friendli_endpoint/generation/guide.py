"""Protocols of vocabularies and guides: the meaning of tokens, and which may come next."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.generation.events import TokenFindings
from friendli_endpoint.generation.request import DecodingRules

__all__ = ["Guide", "GuideMaker", "Vocabulary"]


class Vocabulary(Protocol):
    """Vocabulary of a model: its token ids and their bytes.

    Immutable; any thread may call any method at any time.

    Attributes:
        size: Number of token ids; valid ids are in [0, size).
        end_ids: The model's own EOS ids.
        control_ids: Tokens that are not text, such as `<|im_start|>`, EOS ids included.
        bos_id: The BOS id, if the model has one.
        eos_id: The main EOS id, if the model has one.
        adds_bos: Whether every prompt of this model begins with `bos_id`.
    """

    size: int
    end_ids: frozenset[int]
    control_ids: frozenset[int]
    bos_id: int | None
    eos_id: int | None
    adds_bos: bool

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Tokenizes a text; never adds a BOS or EOS token.

        Args:
            text: Any text, which may be empty.
            special: Whether the texts of control tokens are tokenized as these tokens; otherwise
                they are tokenized as ordinary text.

        Returns:
            Token ids; the caller owns the list.

        Raises:
            RequestError: 503: there is not enough memory to tokenize the text now.
        """
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Returns the bytes of a token; for a control token, the bytes of its text.

        Args:
            token_id: In [0, size).

        Returns:
            Bytes, which may be empty or incomplete UTF-8.
        """
        ...


class Guide(Protocol):
    """State machine of one choice: constrains its next token, and interprets generated tokens.

    A guide detects stop criteria inside the engine, so that the engine never computes past the end
    of a choice.

    Call order at each position: `fast_forward_tokens` once; if it returned no tokens, `mask` once;
    then `accept` or `exhausted`. The engine accepts all fast-forward tokens, or the first few of
    them, with one `accept` each and without other calls in between. After a finish, no method is
    called again. A guide may be dropped at any position, when its request is cancelled or fails.

    Threads: calls never overlap, but they may come from two threads: the engine's, and a worker
    thread if `looks_ahead`.

    Errors: any exception fails the request with `EngineError`; other requests run on.

    Attributes:
        looks_ahead: Whether `fast_forward_tokens` and `mask` take noticeable time, so that the
            engine should call them on a worker thread while the logits are computed. Constant.
    """

    looks_ahead: bool

    def mask(self) -> NDArray[np.uint32] | None:
        """Returns the mask of allowed next tokens, or None if every token is allowed.

        Returns:
            Shape (ceil(vocabulary / 32),), uint32, contiguous, little-endian. Token `t` is allowed
            if bit `t % 32` of word `t // 32` is set; bits past the vocabulary are ignored. Owned by
            the guide and valid until the next call of any of its methods; the engine only reads it.
            An empty mask is allowed; `exhausted` follows.
        """
        ...

    def fast_forward_tokens(self) -> Sequence[int]:
        """Returns the token ids that must come next and need no sampling; usually empty.

        Returns:
            Token ids in order, of any number, such that each is the only possible continuation. The
            engine copies them before the next call.
        """
        ...

    def accept(self, token_id: int, is_last: bool) -> TokenFindings:
        """Advances the guide by a generated token.

        Args:
            token_id: The token; allowed by the mask, or the next fast-forward token.
            is_last: Whether the choice cannot generate more tokens, because `max_tokens` or the
                context is reached. The choice then finishes with this token, with `length` unless
                the token itself finishes it.

        Returns:
            The meaning of the token; `finish` is not None if the choice ends here, and always if
            `is_last`.
        """
        ...

    def exhausted(self) -> TokenFindings:
        """Ends the choice without a token, because no token can be sampled.

        That is so if the mask and the logit bias leave no token, or if the highest score is not
        finite.

        Returns:
            The remaining output; `num_bytes` is 0 and `finish` is not None.
        """
        ...


GuideMaker = Callable[[DecodingRules], Guide]
"""Creates the guide of one choice; called on the engine's thread when the choice begins.

It must be fast, because all running choices wait meanwhile; an exception fails the request with
`EngineError`. An engine in this process gets the callable itself. An engine elsewhere gets the
dotted name of a callable that makes one from a `Vocabulary`, so that it need not import `chat/`.
"""
