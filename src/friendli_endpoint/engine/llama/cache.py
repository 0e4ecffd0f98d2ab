"""KV caches of a fixed number of sequences in one llama.cpp context, and their logits.

With a separate KV cache per sequence (`kv_unified` off), the logits of a token do not depend on the
rest of its batch, under two conditions, both measured: a sequence with one token in the batch is
never mixed with a sequence with several, and the size of the batch is in the range that
`kernels.py` allows. So a batch is either one token of each of several sequences, or several tokens
of one sequence.
"""

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import MAX_RUN, Logits, SlotId, Tokens
from friendli_endpoint.engine.llama.batches import contiguous_batches, group_by_length
from friendli_endpoint.engine.llama.bindings import (
    FLASH_ATTENTION_AUTO,
    FLASH_ATTENTION_OFF,
    FLASH_ATTENTION_ON,
    Batch,
)
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError
from friendli_endpoint.engine.llama.seq_ids import SeqId, SeqIdMap
from friendli_endpoint.engine.llama.threads import BatchThreads
from friendli_endpoint.engine.llama.values import State

__all__ = ["DecodeError", "KVCache"]

MAX_MOVED_BYTES = 1 << 30
"""Maximum size in bytes of the KV caches that are copied while two sequences swap their ids."""


_FLASH_ATTENTION = {
    None: FLASH_ATTENTION_AUTO,
    False: FLASH_ATTENTION_OFF,
    True: FLASH_ATTENTION_ON,
}


class DecodeError(Exception):
    """llama.cpp failed to decode a batch or copy a state; the KV caches are in an unknown state."""


class KVCache:
    """KV caches of a fixed number of sequences, with or without flash attention.

    Not thread-safe: only one thread may call it at a time. `llama_decode` releases the GIL.

    Args:
        model: The weights; must outlive the cache.
        sequences: Number of sequences.
        context: Capacity of each sequence, in tokens.
        threads: Number of compute threads: the same for every batch, or chosen for each.
        flash: Whether to use llama.cpp's flash attention; None where the device supports it.
        max_batch: Maximum number of tokens in a batch.

    Raises:
        ModelError: There is not enough memory.
    """

    def __init__(
        self,
        model: LlamaModel,
        sequences: int,
        context: int,
        threads: int | BatchThreads,
        flash: bool | None,
        max_batch: int,
    ) -> None:
        library = self._library = model.library
        params = library.llama_context_default_params()
        params.n_ctx = sequences * context
        params.n_seq_max = sequences
        params.n_batch = params.n_ubatch = max_batch
        params.n_outputs_max = max(sequences, MAX_RUN)
        self._threads = threads if isinstance(threads, BatchThreads) else None
        max_threads = threads.max_threads if isinstance(threads, BatchThreads) else threads
        params.n_threads = params.n_threads_batch = max_threads
        params.flash_attn_type = _FLASH_ATTENTION[flash]
        params.kv_unified = False
        pointer = library.llama_init_from_model(model.pointer, params)
        if not pointer:
            raise ModelError(
                f"llama.cpp cannot allocate memory for {sequences} sequences of {context} tokens; "
                "lower --max-sequences or --context"
            )
        self._pointer: int = pointer
        self._adapters: tuple[int, ...] = ()
        bytes_per_token = max(1, model.kv_bytes_per_token)
        self._bytes_per_token, self._weight_bytes = bytes_per_token, model.weight_bytes
        self._pass_cost = model.weight_bytes / bytes_per_token / 2
        self._seq_ids = SeqIdMap(sequences, self._pass_cost, MAX_MOVED_BYTES / bytes_per_token)
        self._buffers = [np.empty(0, np.uint8), np.empty(0, np.uint8)]
        self._memory: int = library.llama_get_memory(pointer)
        vocabulary = library.llama_model_get_vocab(model.pointer)
        self._has_windows = model.has_windows
        self._max_sequences = model.kernels.max_sequences
        self._sequences = sequences
        self._vocabulary_size: int = library.llama_vocab_n_tokens(vocabulary)
        self._batch_tokens = np.zeros(max_batch, np.int32)
        self._batch_positions = np.zeros(max_batch, np.int32)
        self._batch_seq_ids = np.zeros(max_batch, np.int32)
        self._batch_outputs = np.zeros(max_batch, np.int8)
        self._seq_id_counts = np.ones(max_batch, np.int32)
        self._seq_id_pointers = (
            self._batch_seq_ids.ctypes.data + self._batch_seq_ids.itemsize * np.arange(max_batch)
        ).astype(np.uint64)
        self._batch = Batch(
            token=self._batch_tokens.ctypes.data,
            pos=self._batch_positions.ctypes.data,
            n_seq_id=self._seq_id_counts.ctypes.data,
            seq_id=self._seq_id_pointers.ctypes.data,
            logits=self._batch_outputs.ctypes.data,
        )

    @property
    def adapters(self) -> tuple[int, ...]:
        """The LoRA adapters that are set."""
        return self._adapters

    def set_adapters(self, adapters: tuple[int, ...]) -> None:
        """Sets the LoRA adapters of all following batches; does nothing if they are set already.

        Raises:
            DecodeError: llama.cpp rejects an adapter.
        """
        if adapters == self._adapters:
            return
        count = len(adapters)
        pointers = (ctypes.c_void_p * max(1, count))(*adapters)
        scales = (ctypes.c_float * max(1, count))(*[1.0] * count)
        if self._library.llama_set_adapters_lora(self._pointer, pointers, count, scales):
            raise DecodeError("llama.cpp rejects the adapter")
        self._adapters = adapters

    def append(
        self,
        slot: SlotId,
        tokens: Sequence[int] | Tokens,
        position: int,
        outputs: bool | NDArray[np.bool_],
    ) -> None:
        """Appends tokens to one sequence.

        Args:
            slot: The slot of the sequence.
            tokens: Token ids; at most `max_batch`.
            position: Number of tokens in the sequence so far.
            outputs: Whether to compute logits after the tokens: one bool for all of them, or one
                for each. `logits` returns those that were computed.

        Raises:
            DecodeError: llama.cpp failed to decode the batch.
        """
        positions = np.arange(position, position + len(tokens), dtype=np.int32)
        self._decode(self._seq_ids[slot], tokens, positions, outputs)

    def decode(
        self,
        slots: Sequence[SlotId],
        tokens: Sequence[int],
        positions: Sequence[int],
        min_sequences: int,
    ) -> Sequence[Logits]:
        """Appends one token to each of several sequences.

        Args:
            slots: Distinct slots. No slot of the cache, in `slots` or not, may be full.
            tokens: One token id for each slot.
            positions: Number of tokens in each sequence so far.
            min_sequences: Minimum number of sequences in a batch.

        Returns:
            The logits of each slot, shape (vocabulary,), float32; valid until the next call.

        Raises:
            DecodeError: llama.cpp failed to decode a batch or to copy a state.
        """
        groups = group_by_length([position + 1 for position in positions], self._pass_cost)
        for group in groups:
            self._make_contiguous([slots[index] for index in group])
        index_of = {self._seq_ids[slot]: index for index, slot in enumerate(slots)}
        batches: list[Sequence[SeqId]] = []
        for group in groups:
            seq_ids = sorted(self._seq_ids[slots[index]] for index in group)
            batches.extend(contiguous_batches(seq_ids, min_sequences, self._max_sequences))
        rows: dict[int, Logits] = {}
        for batch in batches:
            indices = [index_of[seq_id] for seq_id in batch]
            logits = self._decode_padded(
                batch,
                [tokens[index] for index in indices],
                [positions[index] for index in indices],
                min_sequences,
            )
            if len(batches) > 1:
                logits = logits.copy()  # the next batch overwrites llama.cpp's buffer
            rows.update(zip(indices, logits, strict=True))
        return [rows[index] for index in range(len(slots))]

    def logits(self, rows: int) -> Logits:
        """Returns the logits of the last batch.

        Args:
            rows: Number of tokens with an output in that batch.

        Returns:
            Shape (rows, vocabulary), float32; valid until the next call.
        """
        pointer: ctypes._Pointer[ctypes.c_float] = self._library.llama_get_logits(self._pointer)
        return np.ctypeslib.as_array(pointer, shape=(rows, self._vocabulary_size))

    def num_tokens(self, slot: SlotId) -> int:
        """Returns the number of cached tokens of a sequence."""
        return self._num_tokens(self._seq_ids[slot])

    def truncate(self, slot: SlotId, length: int) -> None:
        """Removes the cached tokens of a sequence from position `length` on."""
        self._truncate(self._seq_ids[slot], length)

    def copy(self, source: SlotId, target: SlotId) -> None:
        """Replaces one sequence by an exact copy of another.

        The copy goes through a buffer, whose cost grows with the number of cached tokens; between
        separate caches, `llama_memory_seq_cp` copies their whole capacity. But a saved state of a
        model with sliding windows lacks the positions that left the windows, so a prefix of the
        copy could not be continued. Such models use `llama_memory_seq_cp`.
        """
        if self._has_windows:
            seq_ids = self._seq_ids[source], self._seq_ids[target]
            self._library.llama_memory_seq_cp(self._memory, *seq_ids, -1, -1)
        else:
            self.restore(self.save(source), target)

    def save(self, slot: SlotId) -> State:
        """Returns the state of a sequence; valid until the next `save`, `copy` or `decode`."""
        return self._save(self._seq_ids[slot], 0)

    def restore(self, state: State, slot: SlotId) -> None:
        """Replaces a sequence by a saved state."""
        self._restore(state, self._seq_ids[slot])

    def close(self) -> None:
        """Frees the memory; may be called again."""
        if self._pointer:
            self._library.llama_free(self._pointer)
            self._pointer = 0

    def _make_contiguous(self, slots: Sequence[SlotId]) -> None:
        """Swaps a sequence id with one outside the batch, if closing the gap pays by now."""
        if self._has_windows:
            return  # a saved state lacks the positions that left the windows
        running = sorted(self._seq_ids[slot] for slot in slots)
        if (pair := self._seq_ids.next_swap(running, self._num_tokens)) is not None:
            first, second = pair
            states = self._save(first, 0), self._save(second, 1)
            self._restore(states[0], second)
            self._restore(states[1], first)
            self._seq_ids.swap(first, second)

    def _decode_padded(
        self,
        seq_ids: Sequence[SeqId],
        tokens: Sequence[int],
        positions: Sequence[int],
        min_sequences: int,
    ) -> Logits:
        """Decodes one batch; pads it with a token of another sequence if it is too small.

        That token is removed again. A cache of a single sequence has nothing to pad with.
        """
        if len(seq_ids) >= min_sequences or self._sequences == 1:
            self._decode(seq_ids, tokens, positions, True)
            return self.logits(len(seq_ids))
        last = seq_ids[-1]
        padding = SeqId(last + 1 if last + 1 < self._sequences else seq_ids[0] - 1)
        length = self._num_tokens(padding)
        rows = sorted([*zip(seq_ids, tokens, positions, strict=True), (padding, 0, length)])
        batch = np.array(rows, np.int32).T
        # The padding needs an output, too: the last layer computes only tokens with one.
        self._decode(batch[0], batch[1], batch[2], True)
        self._truncate(padding, length)
        logits = self.logits(len(rows))
        return logits[1:] if padding < last else logits[:-1]

    def _save(self, seq_id: SeqId, buffer: int) -> State:
        """Copies the state of a sequence into one of two buffers."""
        library, pointer = self._library, self._pointer
        size: int = library.llama_state_seq_get_size(pointer, seq_id)
        if self._buffers[buffer].size < size:
            self._buffers[buffer] = np.empty(size, np.uint8)
        state = self._buffers[buffer][:size]
        if library.llama_state_seq_get_data(pointer, state.ctypes.data, size, seq_id) != size:
            raise DecodeError(f"llama.cpp cannot save the {size:,} bytes of a sequence")
        return state

    def _restore(self, state: State, seq_id: SeqId) -> None:
        library, pointer, size = self._library, self._pointer, state.size
        self._truncate(seq_id, 0)
        if library.llama_state_seq_set_data(pointer, state.ctypes.data, size, seq_id) != size:
            raise DecodeError(f"llama.cpp cannot restore the {size:,} bytes of a sequence")

    def _num_tokens(self, seq_id: SeqId) -> int:
        last: int = self._library.llama_memory_seq_pos_max(self._memory, seq_id)
        return last + 1

    def _truncate(self, seq_id: SeqId, length: int) -> None:
        self._library.llama_memory_seq_rm(self._memory, seq_id, length, -1)

    def _decode(
        self,
        seq_ids: SeqId | Sequence[SeqId] | Tokens,
        tokens: Sequence[int] | Tokens,
        positions: Sequence[int] | Tokens,
        outputs: bool | NDArray[np.bool_],
    ) -> None:
        """Decodes a batch of tokens; computes logits after those with an output."""
        count = len(tokens)
        self._batch_seq_ids[:count] = seq_ids
        self._batch_tokens[:count] = tokens
        self._batch_positions[:count] = positions
        self._batch_outputs[:count] = outputs
        self._batch.n_tokens = count
        result = self._compute(positions)
        if result != 0:
            raise DecodeError(f"llama_decode returned {result} for a batch of {count} tokens")

    def _compute(self, positions: Sequence[int] | Tokens) -> int:
        """Computes the batch with as many threads as pay; returns the result of `llama_decode`."""
        library, pointer = self._library, self._pointer
        if self._threads is None:
            return int(library.llama_decode(pointer, self._batch))
        work = len(positions) * self._weight_bytes + int(np.sum(positions)) * self._bytes_per_token
        number = self._threads.begin(work)
        library.llama_set_n_threads(pointer, number, number)
        try:
            return int(library.llama_decode(pointer, self._batch))
        finally:
            self._threads.end()
