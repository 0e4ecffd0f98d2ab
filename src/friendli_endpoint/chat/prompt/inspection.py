"""Text to tokens and back, for those who want to see what the model sees."""

from collections.abc import Sequence
from dataclasses import dataclass

from friendli_endpoint.chat.request.sampling import check_token
from friendli_endpoint.generation import RequestError, Vocabulary

__all__ = ["Rendering", "detokenize", "rendering"]


@dataclass(frozen=True, slots=True)
class Rendering:
    """A prompt as the model sees it.

    Attributes:
        text: All tokens together; control tokens are written out.
        tokens: The token ids.
        pieces: For each token its text, and whether it is a control token. A character that is
            spread over several tokens is whole in `text` only.
        room: Tokens of the context that the prompt leaves for an answer.
    """

    text: str
    tokens: tuple[int, ...]
    pieces: tuple[tuple[str, bool], ...]
    room: int


def rendering(prompt: tuple[int, ...], vocabulary: Vocabulary, context: int) -> Rendering:
    """Shows a prompt.

    Args:
        prompt: Token ids of the vocabulary.
        vocabulary: The model's tokens.
        context: Tokens that a prompt and its answer may have together.
    """
    pieces = [vocabulary.token_bytes(token) for token in prompt]
    return Rendering(
        text=_text(b"".join(pieces)),
        tokens=prompt,
        pieces=tuple(
            (_text(piece), token in vocabulary.control_ids)
            for token, piece in zip(prompt, pieces, strict=True)
        ),
        room=context - len(prompt),
    )


def detokenize(tokens: Sequence[int], vocabulary: Vocabulary, context: int) -> str:
    """What tokens say together; U+FFFD stands for bytes that are no UTF-8.

    Args:
        tokens: Any integers.
        vocabulary: The model's tokens.
        context: Maximum number of tokens.

    Raises:
        RequestError: The vocabulary has no such token, or there are more than the context holds.
    """
    if len(tokens) > context:
        raise RequestError(
            f"tokens must be at most {context}, the context, not {len(tokens)}",
            param="tokens",
            code="context_length_exceeded",
        )
    for index, token in enumerate(tokens):
        check_token(token, vocabulary, f"tokens[{index}]")
    return _text(b"".join(map(vocabulary.token_bytes, tokens)))


def _text(encoded: bytes) -> str:
    return encoded.decode(errors="replace")
