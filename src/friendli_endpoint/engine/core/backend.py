"""What the engine's loop needs of whatever holds the sequences and computes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["LONGEST_RUN", "Backend", "Logits", "Tokens"]

Logits = NDArray[np.float32]
Tokens = NDArray[np.int32]

LONGEST_RUN = 16
"""Most tokens that `Backend.extend` takes."""


class Backend(Protocol):
    """Sequences in slots, and the logits of what comes next; see `LlamaContext`.

    An adapter is what `load_adapter` answered, or None for the model as it is.
    """

    @property
    def alike(self) -> int:
        """At so many positions, from the first on, tokens get the bits of one at a time.

        So generated tokens are like those of prompts there.
        """
        ...

    def prefill(
        self, sequence: int, tokens: Tokens, position: int, output: bool, adapter: int | None
    ) -> Logits | None:
        """Appends a piece of a prompt; logits (vocabulary,) after it where they are wanted."""
        ...

    def extend(
        self, sequence: int, tokens: Tokens, position: int, outputs: bool, adapter: int | None
    ) -> Sequence[Logits] | None:
        """Appends tokens to an answer; logits (vocabulary,) after each, where they are wanted."""
        ...

    def decode(
        self,
        sequences: Sequence[int],
        tokens: Sequence[int],
        positions: Sequence[int],
        adapter: int | None,
    ) -> Sequence[Logits]:
        """Appends one token to each sequence; logits (vocabulary,) after it, for each."""
        ...

    def copy(self, source: int, target: int) -> None:
        """Makes one sequence hold what another holds."""
        ...

    def truncate(self, sequence: int, length: int) -> None:
        """Drops what a sequence holds from position `length` on."""
        ...

    def load_adapter(self, path: Path) -> int:
        """Reads changes to the weights; they stay for as long as the model, or until freed.

        Raises:
            Refusal: The file holds none for this model.
        """
        ...

    def free_adapter(self, adapter: int) -> None:
        """Frees changes to the weights."""
        ...

    def close(self) -> None:
        """Frees what the backend holds."""
        ...
