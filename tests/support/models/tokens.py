"""A vocabulary to be written to a GGUF file: token texts with types and scores, by id."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gguf import GGUFWriter, TokenType

__all__ = ["Tokens"]


@dataclass
class Tokens:
    """The tokens of a model.

    Attributes:
        texts: Texts as in a GGUF file.
        kinds: Token types, as in `gguf.TokenType`.
        scores: SentencePiece scores: the higher, the earlier two tokens are merged into this one.
    """

    texts: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, kind: TokenType, texts: Iterable[str]) -> None:
        """Appends tokens of a type; normal tokens have higher scores the earlier they are added."""
        for text in texts:
            self.scores.append(-float(len(self.texts)) if kind == TokenType.NORMAL else 0.0)
            self.texts.append(text)
            self.kinds.append(int(kind))

    def id(self, text: str) -> int:
        """Returns the id of a text."""
        return self.texts.index(text)

    def first(self, count: int) -> "Tokens":
        """Returns the first `count` tokens."""
        return Tokens(self.texts[:count], self.kinds[:count], self.scores[:count])

    def write(self, writer: GGUFWriter) -> None:
        """Writes the tokens to a GGUF file."""
        writer.add_token_list(self.texts)
        writer.add_token_types(self.kinds)
        writer.add_token_scores(self.scores)
