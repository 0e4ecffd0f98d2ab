"""The model's vocabulary: text to token ids and back, by the C library's own tokenizer."""

import ctypes
from collections.abc import Iterator

from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.engine.llama.model import LlamaModel, VocabularyFile

__all__ = ["LlamaVocabulary"]

_UNKNOWN, _UNUSED, _CONTROL = 1 << 0, 1 << 1, 1 << 3
"""Of `enum llama_token_attr`, those of tokens that are no text."""

_PIECE_BYTES = 256

_STACK_PER_BYTE = 512
"""Bytes of stack that the tokenizer takes at most for a byte of text. Many pre-tokenizers match
with libstdc++'s regular expressions, which recurse once for each character of a run of letters,
spaces or the like: measured are 352 bytes a character, for all 19 that do so."""

_SHALLOW_BYTES = 4096
"""Longest text that is tokenised on the caller's stack, of which it takes 2 MiB at most."""


class LlamaVocabulary:
    """A `Vocabulary` over llama.cpp's; safe to use from any thread.

    Args:
        model: The model, or its vocabulary alone; lives as long as this object.
    """

    def __init__(self, model: LlamaModel | VocabularyFile) -> None:
        library = self._library = model.library
        self._model = model
        pointer: int = library.llama_model_get_vocab(model.pointer)
        self._pointer = pointer
        self.size: int = library.llama_vocab_n_tokens(pointer)
        self._pieces = list(self._read_pieces())
        ids = range(self.size)
        self.end_ids = frozenset(t for t in ids if library.llama_vocab_is_eog(pointer, t))
        steering = _UNKNOWN | _UNUSED | _CONTROL
        self.control_ids = self.end_ids | frozenset(
            t for t in ids if library.llama_vocab_get_attr(pointer, t) & steering
        )
        self.bos_id = self._known(library.llama_vocab_bos(pointer))
        self.eos_id = self._known(library.llama_vocab_eos(pointer))
        self.adds_bos: bool = library.llama_vocab_get_add_bos(pointer)

    @staticmethod
    def _known(token_id: int) -> int | None:
        return token_id if token_id >= 0 else None

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids of a text, without any begin or end token added.

        Args:
            text: Anything, the empty string and NUL included.
            special: Whether control tokens written out in the text are recognised.

        Raises:
            RequestError: 503: there is no memory for the stack that a long text may need.
        """
        encoded = text.encode()
        if len(encoded) <= _SHALLOW_BYTES:
            return self._tokenize(encoded, special)
        stack_bytes = len(encoded) * _STACK_PER_BYTE
        return on_deep_stack(lambda: self._tokenize(encoded, special), stack_bytes)

    def _tokenize(self, encoded: bytes, special: bool) -> list[int]:
        room = len(encoded) + 8
        while True:
            ids = (ctypes.c_int32 * room)()
            count: int = self._library.llama_tokenize(
                self._pointer, encoded, len(encoded), ids, room, False, special
            )
            if count >= 0:
                return ids[:count]
            room = -count

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of a token; a control token's are its text."""
        return self._pieces[token_id]

    def _read_pieces(self) -> Iterator[bytes]:
        room = _PIECE_BYTES
        buffer = ctypes.create_string_buffer(room)
        read = self._library.llama_token_to_piece
        for token_id in range(self.size):
            length: int = read(self._pointer, token_id, buffer, room, 0, True)
            if length < 0:
                room = -length
                buffer = ctypes.create_string_buffer(room)
                length = read(self._pointer, token_id, buffer, room, 0, True)
            yield ctypes.string_at(buffer, length)
