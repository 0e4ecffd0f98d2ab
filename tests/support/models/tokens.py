"""A vocabulary in the making: token texts with their kinds and scores, by id."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gguf import GGUFWriter, TokenType

__all__ = ["Tokens"]


@dataclass
class Tokens:
    """The tokens of a model.

    Attributes:
        texts: As a GGUF file has them.
        kinds: What each is.
        scores: Of SentencePiece: the higher, the earlier two pieces are joined to this one.
    """

    texts: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, kind: TokenType, texts: Iterable[str]) -> None:
        """Appends tokens of a kind; those that are pieces are joined the earlier they come."""
        for text in texts:
            self.scores.append(-float(len(self.texts)) if kind == TokenType.NORMAL else 0.0)
            self.texts.append(text)
            self.kinds.append(int(kind))

    def id(self, text: str) -> int:
        """The id of a text."""
        return self.texts.index(text)

    def first(self, count: int) -> "Tokens":
        """The first of them."""
        return Tokens(self.texts[:count], self.kinds[:count], self.scores[:count])

    def write(self, writer: GGUFWriter) -> None:
        """Writes them to a GGUF file."""
        writer.add_token_list(self.texts)
        writer.add_token_types(self.kinds)
        writer.add_token_scores(self.scores)
