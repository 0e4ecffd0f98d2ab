"""A llama.cpp library scripted in Python, whose logits are a hash of the tokens of a sequence."""

import ctypes
import zlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.bindings import Batch, ContextParams
from friendli_endpoint.engine.llama.kernels import Kernels
from friendli_endpoint.engine.llama.model import LlamaModel

__all__ = ["SIZE", "ScriptedLibrary", "logits_after", "model_of"]

SIZE = 4
"""Number of token ids."""


def logits_after(tokens: Sequence[int], adapters: Sequence[int] = ()) -> list[float]:
    """Returns the logits after these tokens of a sequence."""
    checksum = zlib.crc32(repr(([*map(int, tokens)], [*adapters])).encode())
    return [float(checksum >> 8 * index & 0xFF) for index in range(SIZE)]


class ScriptedLibrary:
    """The functions of llama.cpp that a KV cache calls; rejects batches with gaps in a sequence.

    Attributes:
        tokens: Cached tokens of each sequence id.
        adapters: The LoRA adapters that are set.
        batches: The sequence id of each token of each batch.
        saved: Sequence ids whose states were read.
        copied: Pairs of sequence ids that `llama_memory_seq_cp` copied.
        freed: Number of contexts that were freed.
        params: Parameters of the context.
        threads: The number of threads that was set before each batch.
        results: Results of the next calls in place of the usual ones, by the name of the call.
    """

    def __init__(self) -> None:
        self.tokens: dict[int, list[int]] = {}
        self.adapters: list[int] = []
        self.batches: list[list[int]] = []
        self.saved: list[int] = []
        self.copied: list[tuple[int, int]] = []
        self.freed = 0
        self.params = ContextParams()
        self.threads: list[int] = []
        self.results: dict[str, int] = {}
        self._rows: NDArray[np.float32] = np.zeros((64, SIZE), np.float32)

    def llama_context_default_params(self) -> ContextParams:
        return ContextParams()

    def llama_init_from_model(self, _model: int, params: ContextParams) -> int:
        self.params = params
        self.tokens = {number: [] for number in range(params.n_seq_max)}
        return self.results.get("init", 7)

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
        return self.results.get("adapters", 0)

    def llama_decode(self, _context: int, batch: Batch) -> int:
        count = batch.n_tokens

        def column(address: int, kind: Any) -> Any:
            return (kind * count).from_address(address)

        batch_tokens = column(batch.token, ctypes.c_int32)
        positions = column(batch.pos, ctypes.c_int32)
        counts = column(batch.n_seq_id, ctypes.c_int32)
        addresses = column(batch.seq_id, ctypes.c_uint64)
        outputs = column(batch.logits, ctypes.c_int8)
        seq_ids: list[int] = []
        rows: list[list[float]] = []
        for index in range(count):
            assert counts[index] == 1
            seq_id = ctypes.c_int32.from_address(addresses[index]).value
            tokens = self.tokens[seq_id]
            if positions[index] != len(tokens):
                return -1
            tokens.append(batch_tokens[index])
            seq_ids.append(seq_id)
            if outputs[index]:
                rows.append(logits_after(tokens, self.adapters))
        self.batches.append(seq_ids)
        self._rows[: len(rows)] = np.array(rows).reshape(-1, SIZE)
        return self.results.get("decode", 0)

    def llama_set_n_threads(self, _context: int, threads: int, batch_threads: int) -> None:
        assert threads == batch_threads
        self.threads.append(threads)

    def llama_get_logits(self, _context: int) -> Any:
        return self._rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))

    def llama_memory_seq_pos_max(self, _memory: int, sequence: int) -> int:
        return len(self.tokens[sequence]) - 1

    def llama_memory_seq_rm(self, _memory: int, sequence: int, start: int, end: int) -> bool:
        assert end == -1
        del self.tokens[sequence][start:]
        return True

    def llama_memory_seq_cp(
        self, _memory: int, source: int, target: int, start: int, end: int
    ) -> None:
        assert (start, end) == (-1, -1)
        self.copied.append((source, target))
        self.tokens[target] = [*self.tokens[source]]

    def llama_state_seq_get_size(self, _context: int, sequence: int) -> int:
        return 4 + 4 * len(self.tokens[sequence])

    def llama_state_seq_get_data(
        self, _context: int, address: int, size: int, sequence: int
    ) -> int:
        tokens = self.tokens[sequence]
        words = np.array([len(tokens), *tokens], np.int32)
        assert size == words.nbytes
        ctypes.memmove(address, words.tobytes(), size)
        self.saved.append(sequence)
        return self.results.get("get", size)

    def llama_state_seq_set_data(
        self, _context: int, address: int, size: int, sequence: int
    ) -> int:
        words = np.frombuffer(ctypes.string_at(address, size), np.int32)
        assert not self.tokens[sequence], "the sequence must be empty"
        self.tokens[sequence] = [int(word) for word in words[1:]]
        return self.results.get("set", size)


def model_of(
    library: ScriptedLibrary,
    *,
    max_sequences: int | None = None,
    has_windows: bool = False,
    kv_bytes: int = 1,
    weight_bytes: int = 1 << 20,
) -> LlamaModel:
    """Returns a model with the attributes that a KV cache reads.

    Args:
        library: The library.
        max_sequences: Maximum number of sequences in a decode batch.
        has_windows: Whether layers use sliding-window attention.
        kv_bytes: Size of the KV cache of a token, in bytes.
        weight_bytes: Size of all tensors, in bytes.
    """
    model = SimpleNamespace(
        library=library,
        pointer=1,
        kv_bytes_per_token=kv_bytes,
        weight_bytes=weight_bytes,
        has_windows=has_windows,
        kernels=Kernels(max_sequences=max_sequences),
    )
    return cast(LlamaModel, model)
