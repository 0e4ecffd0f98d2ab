"""Vocabulary of a GGUF model: tokenization and token bytes, by llama.cpp's tokenizer."""

import ctypes
from collections.abc import Iterator

from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.engine.llama.model import LlamaModel, VocabularyFile

__all__ = ["LlamaVocabulary"]

_UNKNOWN, _UNUSED, _CONTROL = 1 << 0, 1 << 1, 1 << 3
"""Flags of `enum llama_token_attr` for tokens that are not text."""

_TOKEN_BUFFER_BYTES = 256
"""Initial size of the buffer for the bytes of a token; it grows for longer tokens."""

_STACK_PER_BYTE = 512
"""Upper bound of the stack that the tokenizer uses per byte of text, in bytes. Many pre-tokenizers
match with libstdc++'s regular expressions, which recurse once per character of a run of letters,
spaces or similar. Measured: 352 bytes per character, for all 19 pre-tokenizers that do so."""

_MAX_SHALLOW_TEXT_BYTES = 4096
"""Maximum length in bytes of a text that is tokenized on the caller's stack, of which it uses at
most 2 MiB."""


class LlamaVocabulary:
    """`Vocabulary` implementation over llama.cpp; safe to use from any thread.

    Args:
        model: The model, or only its vocabulary; this object keeps a reference to it.
    """

    def __init__(self, model: LlamaModel | VocabularyFile) -> None:
        library = self._library = model.library
        self._model = model
        pointer: int = library.llama_model_get_vocab(model.pointer)
        self._pointer = pointer
        self.size: int = library.llama_vocab_n_tokens(pointer)
        self._token_bytes = list(self._read_token_bytes())
        ids = range(self.size)
        self.end_ids = frozenset(t for t in ids if library.llama_vocab_is_eog(pointer, t))
        not_text = _UNKNOWN | _UNUSED | _CONTROL
        self.control_ids = self.end_ids | frozenset(
            t for t in ids if library.llama_vocab_get_attr(pointer, t) & not_text
        )
        self.bos_id = self._id_or_none(library.llama_vocab_bos(pointer))
        self.eos_id = self._id_or_none(library.llama_vocab_eos(pointer))
        self.adds_bos: bool = library.llama_vocab_get_add_bos(pointer)

    @staticmethod
    def _id_or_none(token_id: int) -> int | None:
        return token_id if token_id >= 0 else None

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Tokenizes a text, without adding BOS or EOS.

        Args:
            text: Any text; it may be empty or contain NUL.
            special: Whether control tokens written out in the text become control tokens.

        Returns:
            The token ids.

        Raises:
            RequestError: Status 503: there is not enough memory for the stack that a long text may
                need.
        """
        encoded = text.encode()
        if len(encoded) <= _MAX_SHALLOW_TEXT_BYTES:
            return self._tokenize(encoded, special)
        stack_bytes = len(encoded) * _STACK_PER_BYTE
        return on_deep_stack(lambda: self._tokenize(encoded, special), stack_bytes)

    def _tokenize(self, encoded: bytes, special: bool) -> list[int]:
        capacity = len(encoded) + 8
        while True:
            ids = (ctypes.c_int32 * capacity)()
            count: int = self._library.llama_tokenize(
                self._pointer, encoded, len(encoded), ids, capacity, False, special
            )
            if count >= 0:
                return ids[:count]
            capacity = -count

    def token_bytes(self, token_id: int) -> bytes:
        """Returns the bytes of a token; for a control token, its text in UTF-8."""
        return self._token_bytes[token_id]

    def _read_token_bytes(self) -> Iterator[bytes]:
        capacity = _TOKEN_BUFFER_BYTES
        buffer = ctypes.create_string_buffer(capacity)
        read = self._library.llama_token_to_piece
        for token_id in range(self.size):
            length: int = read(self._pointer, token_id, buffer, capacity, 0, True)
            if length < 0:
                capacity = -length
                buffer = ctypes.create_string_buffer(capacity)
                length = read(self._pointer, token_id, buffer, capacity, 0, True)
            yield ctypes.string_at(buffer, length)
