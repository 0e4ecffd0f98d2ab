"""The model's vocabulary: text to token ids and back, by the C library's own tokenizer."""

import ctypes
from collections.abc import Iterator

__all__ = ["LlamaVocabulary"]

_UNKNOWN, _UNUSED, _CONTROL = 1 << 0, 1 << 1, 1 << 3
"""Of `enum llama_token_attr`, those of tokens that are no text."""

_PIECE_BYTES = 256


class LlamaVocabulary:
    """A `Vocabulary` over llama.cpp's; safe to use from any thread while the model is loaded.

    Args:
        library: The loaded C library.
        pointer: `llama_vocab *` of a model that outlives this object.
        context: Most tokens one choice can hold.
    """

    def __init__(self, library: ctypes.CDLL, pointer: int, context: int) -> None:
        self._library = library
        self._pointer = pointer
        self.context = context
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
        """
        encoded = text.encode()
        room = len(encoded) + 8
        while True:
            ids = (ctypes.c_int32 * room)()
            count: int = self._library.llama_tokenize(
                self._pointer, encoded, len(encoded), ids, room, False, special
            )
            if count >= 0:
                return ids[:count]
            room = -count

    def piece(self, token_id: int) -> bytes:
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
