"""Source of a model: what the endpoint needs of it, wherever its engine runs."""

from collections.abc import Callable
from typing import Protocol

from friendli_endpoint.generation.guide import Vocabulary

__all__ = ["VocabularySource"]


class VocabularySource(Protocol):
    """A model whose vocabulary can be loaded without its weights."""

    def check(self) -> None:
        """Checks that the files of the model exist; returns at once.

        Raises:
            StartError: A file is missing.
        """
        ...

    def vocabulary(self) -> Vocabulary:
        """Loads the model's vocabulary without its weights; may block for seconds.

        Raises:
            StartError: The model cannot be served.
        """
        ...

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        """Returns a function that loads the vocabulary in another process; it can be pickled."""
        ...

    def close(self) -> None:
        """Interrupts the other methods on another thread; returns at once."""
        ...
