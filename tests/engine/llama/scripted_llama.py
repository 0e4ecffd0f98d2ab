"""A C library in Python: sequences of tokens side by side, and logits that tell what they hold."""

import ctypes
import zlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.kernels import Kernels
from friendli_endpoint.engine.llama.library import Batch, ContextParams
from friendli_endpoint.engine.llama.model import LlamaModel

__all__ = ["SIZE", "ScriptedLibrary", "logits_after", "model_of"]

SIZE = 4
"""Number of token ids."""


def logits_after(tokens: Sequence[int], adapters: Sequence[int] = ()) -> list[float]:
    """The logits after these tokens of a sequence."""
    told = zlib.crc32(repr(([*map(int, tokens)], [*adapters])).encode())
    return [float(told >> 8 * place & 0xFF) for place in range(SIZE)]


class ScriptedLibrary:
    """What a cache calls of llama.cpp; refuses batches that leave a gap in a sequence.

    Attributes:
        held: The tokens of each sequence.
        adapters: What the weights are changed by.
        batches: The sequence of each token of each batch.
        saved: The sequences whose states were read.
        copied: Pairs of sequences that were copied by llama.cpp itself.
        freed: How many contexts have been freed.
        params: Of the context.
        answers: What the next calls answer instead, by their names.
    """

    def __init__(self) -> None:
        self.held: dict[int, list[int]] = {}
        self.adapters: list[int] = []
        self.batches: list[list[int]] = []
        self.saved: list[int] = []
        self.copied: list[tuple[int, int]] = []
        self.freed = 0
        self.params = ContextParams()
        self.answers: dict[str, int] = {}
        self._rows: NDArray[np.float32] = np.zeros((64, SIZE), np.float32)

    def llama_context_default_params(self) -> ContextParams:
        return ContextParams()

    def llama_init_from_model(self, _model: int, params: ContextParams) -> int:
        self.params = params
        self.held = {number: [] for number in range(params.n_seq_max)}
        return self.answers.get("init", 7)

    def llama_get_memory(self, _context: int) -> int:
        return 8

    def llama_model_get_vocab(self, _model: int) -> int:
        return 9

    def llama_vocab_n_tokens(self, _vocabulary: int) -> int:
        return SIZE

    def llama_free(self, _context: int) -> None:
        self.freed += 1

    def llama_set_adapters_lora(
        self, _context: int, adapters: Any, count: int, scales: Sequence[float]
    ) -> int:
        assert list(scales)[:count] == [1.0] * count
        self.adapters = [int(adapters[index]) for index in range(count)]
        return self.answers.get("adapters", 0)

    def llama_decode(self, _context: int, batch: Batch) -> int:
        count = batch.n_tokens

        def column(address: int, kind: Any) -> Any:
            return (kind * count).from_address(address)

        tokens, positions = column(batch.token, ctypes.c_int32), column(batch.pos, ctypes.c_int32)
        numbers = column(batch.n_seq_id, ctypes.c_int32)
        addresses = column(batch.seq_id, ctypes.c_uint64)
        outputs = column(batch.logits, ctypes.c_int8)
        sequences: list[int] = []
        rows: list[list[float]] = []
        for index in range(count):
            assert numbers[index] == 1
            sequence = ctypes.c_int32.from_address(addresses[index]).value
            held = self.held[sequence]
            if positions[index] != len(held):
                return -1
            held.append(tokens[index])
            sequences.append(sequence)
            if outputs[index]:
                rows.append(logits_after(held, self.adapters))
        self.batches.append(sequences)
        self._rows[: len(rows)] = np.array(rows).reshape(-1, SIZE)
        return self.answers.get("decode", 0)

    def llama_get_logits(self, _context: int) -> Any:
        return self._rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))

    def llama_memory_seq_pos_max(self, _memory: int, sequence: int) -> int:
        return len(self.held[sequence]) - 1

    def llama_memory_seq_rm(self, _memory: int, sequence: int, start: int, end: int) -> bool:
        assert end == -1
        del self.held[sequence][start:]
        return True

    def llama_memory_seq_cp(
        self, _memory: int, source: int, target: int, start: int, end: int
    ) -> None:
        assert (start, end) == (-1, -1)
        self.copied.append((source, target))
        self.held[target] = [*self.held[source]]

    def llama_state_seq_get_size(self, _context: int, sequence: int) -> int:
        return 4 + 4 * len(self.held[sequence])

    def llama_state_seq_get_data(
        self, _context: int, address: int, size: int, sequence: int
    ) -> int:
        held = self.held[sequence]
        words = np.array([len(held), *held], np.int32)
        assert size == words.nbytes
        ctypes.memmove(address, words.tobytes(), size)
        self.saved.append(sequence)
        return self.answers.get("get", size)

    def llama_state_seq_set_data(
        self, _context: int, address: int, size: int, sequence: int
    ) -> int:
        words = np.frombuffer(ctypes.string_at(address, size), np.int32)
        assert not self.held[sequence], "what was there has been dropped"
        self.held[sequence] = [int(word) for word in words[1:]]
        return self.answers.get("set", size)


def model_of(
    library: ScriptedLibrary,
    *,
    most: int | None = None,
    has_windows: bool = False,
    kv_bytes: int = 1,
    weight_bytes: int = 1 << 20,
) -> LlamaModel:
    """What a cache asks of a model.

    Args:
        library: The library.
        most: How many sequences may be in a batch.
        has_windows: Whether layers attend to a sliding window.
        kv_bytes: Of a token.
        weight_bytes: Of all tensors.
    """
    facts = SimpleNamespace(
        library=library,
        pointer=1,
        kv_bytes_per_token=kv_bytes,
        weight_bytes=weight_bytes,
        has_windows=has_windows,
        kernels=Kernels(most=most),
    )
    return cast(LlamaModel, facts)
