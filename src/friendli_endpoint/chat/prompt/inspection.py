"""Views of prompts and tokens, for the inspection routes."""

from collections.abc import Sequence
from dataclasses import dataclass

from friendli_endpoint.chat.request.sampling import check_token
from friendli_endpoint.generation import RequestError, Vocabulary

__all__ = ["Rendering", "detokenize", "rendering"]


@dataclass(frozen=True, slots=True)
class Rendering:
    """A prompt as text and tokens.

    Attributes:
        text: Text of all tokens; control tokens are written out.
        tokens: The token ids.
        pieces: For each token its text, and whether it is a control token. A character whose bytes
            span several tokens is complete only in `text`.
        room: Number of tokens of the context that the prompt leaves for an answer.
    """

    text: str
    tokens: tuple[int, ...]
    pieces: tuple[tuple[str, bool], ...]
    room: int


def rendering(prompt: tuple[int, ...], vocabulary: Vocabulary, context: int) -> Rendering:
    """Returns a view of a prompt.

    Args:
        prompt: Token ids of the vocabulary.
        vocabulary: The model's tokens.
        context: Maximum number of tokens of prompt and answer together.
    """
    parts = [vocabulary.token_bytes(token) for token in prompt]
    return Rendering(
        text=_text(b"".join(parts)),
        tokens=prompt,
        pieces=tuple(
            (_text(part), token in vocabulary.control_ids)
            for token, part in zip(prompt, parts, strict=True)
        ),
        room=context - len(prompt),
    )


def detokenize(tokens: Sequence[int], vocabulary: Vocabulary, context: int) -> str:
    """Returns the text of tokens; U+FFFD replaces bytes that are not valid UTF-8.

    Args:
        tokens: Any integers.
        vocabulary: The model's tokens.
        context: Maximum number of tokens.

    Raises:
        RequestError: A token id is outside the vocabulary, or there are more than `context`.
    """
    if len(tokens) > context:
        raise RequestError(
            f"tokens must contain at most {context} tokens, the context, not {len(tokens)}",
            param="tokens",
            code="context_length_exceeded",
        )
    for index, token in enumerate(tokens):
        check_token(token, vocabulary, f"tokens[{index}]")
    return _text(b"".join(map(vocabulary.token_bytes, tokens)))


def _text(encoded: bytes) -> str:
    return encoded.decode(errors="replace")
