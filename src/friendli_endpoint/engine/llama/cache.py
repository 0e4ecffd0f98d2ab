"""One llama.cpp context: sequences side by side, each with a cache of its own, and their logits.

What is measured and kept to here: with separate caches, the logits of a token do not depend on
what else is in the batch, as long as a sequence that brings one token to a batch is never mixed
with one that brings several, and the batch is of a size that `kernels.py` allows. So a batch is
either one token from each of several sequences, or several of a single one.
"""

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import MAX_RUN, Logits, SlotId, Tokens
from friendli_endpoint.engine.llama.batches import by_length, divide
from friendli_endpoint.engine.llama.library import FLASH_ATTENTION_OFF, FLASH_ATTENTION_ON, Batch
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError
from friendli_endpoint.engine.llama.places import Places, SeqId
from friendli_endpoint.engine.llama.values import State

__all__ = ["Cache", "DecodeError"]

MOST_MOVED = 1 << 30
"""Most bytes of caches that are held a second time while sequences change places."""


class DecodeError(Exception):
    """llama.cpp did not decode a batch; the caches are in an unknown state."""


class Cache:
    """Keys and values of a fixed number of sequences, computed in one way.

    All calls must come from one thread at a time. `llama_decode` releases the GIL.

    Args:
        model: The weights; must outlive the cache.
        sequences: How many sequences can be held.
        room: Tokens each of them can hold.
        threads: Threads that compute.
        flash: Whether attention is llama.cpp's flash attention.
        batch: Most tokens that one graph computation takes.

    Raises:
        ModelError: There is no memory for that much.
    """

    def __init__(
        self, model: LlamaModel, sequences: int, room: int, threads: int, flash: bool, batch: int
    ) -> None:
        library = self._library = model.library
        params = library.llama_context_default_params()
        params.n_ctx = sequences * room
        params.n_seq_max = sequences
        params.n_batch = params.n_ubatch = batch
        params.n_outputs_max = max(sequences, MAX_RUN)
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = FLASH_ATTENTION_ON if flash else FLASH_ATTENTION_OFF
        params.kv_unified = False
        pointer = library.llama_init_from_model(model.pointer, params)
        if not pointer:
            raise ModelError(
                f"llama.cpp cannot make room for {sequences} sequences of {room} tokens; "
                "lower --max-sequences or --context"
            )
        self._pointer: int = pointer
        self._adapters: tuple[int, ...] = ()
        bytes_per_token = max(1, model.kv_bytes_per_token)
        self._pass_cost = model.weight_bytes / bytes_per_token / 2
        self._seq_ids = Places(sequences, self._pass_cost, MOST_MOVED / bytes_per_token)
        self._states = [np.empty(0, np.uint8), np.empty(0, np.uint8)]
        self._memory: int = library.llama_get_memory(pointer)
        vocabulary = library.llama_model_get_vocab(model.pointer)
        self._has_windows = model.has_windows
        self._most = model.kernels.most
        self._sequences = sequences
        self._vocabulary_size: int = library.llama_vocab_n_tokens(vocabulary)
        self._token = np.zeros(batch, np.int32)
        self._position = np.zeros(batch, np.int32)
        self._sequence = np.zeros(batch, np.int32)
        self._output = np.zeros(batch, np.int8)
        self._sequence_count = np.ones(batch, np.int32)
        self._sequence_at = (
            self._sequence.ctypes.data + self._sequence.itemsize * np.arange(batch)
        ).astype(np.uint64)
        self._batch = Batch(
            token=self._token.ctypes.data,
            pos=self._position.ctypes.data,
            n_seq_id=self._sequence_count.ctypes.data,
            seq_id=self._sequence_at.ctypes.data,
            logits=self._output.ctypes.data,
        )

    @property
    def adapters(self) -> tuple[int, ...]:
        """What the weights are changed by."""
        return self._adapters

    def use(self, adapters: tuple[int, ...]) -> None:
        """Sets what the weights are changed by, from the next batch on."""
        if adapters == self._adapters:
            return
        count = len(adapters)
        pointers = (ctypes.c_void_p * max(1, count))(*adapters)
        scales = (ctypes.c_float * max(1, count))(*[1.0] * count)
        if self._library.llama_set_adapters_lora(self._pointer, pointers, count, scales):
            raise DecodeError("llama.cpp does not take the adapter")
        self._adapters = adapters

    def append(
        self,
        slot: SlotId,
        tokens: Sequence[int] | Tokens,
        position: int,
        outputs: bool | NDArray[np.bool_],
    ) -> None:
        """Appends tokens to one sequence; `logits` has those after each with an output."""
        positions = np.arange(position, position + len(tokens), dtype=np.int32)
        self._decode(self._seq_ids[slot], tokens, positions, outputs)

    def decode(
        self,
        slots: Sequence[SlotId],
        tokens: Sequence[int],
        positions: Sequence[int],
        least: int,
    ) -> Sequence[Logits]:
        """Appends one token to each of several sequences.

        Args:
            slots: Distinct slots. None, of any sequence, may be full.
            tokens: One id for each.
            positions: How many tokens each holds already.
            least: Fewest sequences of a batch.

        Returns:
            Logits of shape (vocabulary,), float32, for each; valid until the next call.
        """
        groups = by_length([position + 1 for position in positions], self._pass_cost)
        for group in groups:
            self._gather([slots[index] for index in group])
        index_of = {self._seq_ids[slot]: index for index, slot in enumerate(slots)}
        batches: list[Sequence[SeqId]] = []
        for group in groups:
            seq_ids = sorted(self._seq_ids[slots[index]] for index in group)
            batches.extend(divide(seq_ids, least, self._most))
        rows: dict[int, Logits] = {}
        for batch in batches:
            indices = [index_of[seq_id] for seq_id in batch]
            at = [positions[index] for index in indices]
            logits = self._decode_each(batch, [tokens[index] for index in indices], at, least)
            if len(batches) > 1:
                logits = logits.copy()  # the next batch overwrites it
            rows.update(zip(indices, logits, strict=True))
        return [rows[index] for index in range(len(slots))]

    def logits(self, rows: int) -> Logits:
        """Of the last batch, shape (rows, vocabulary), float32; valid until the next call."""
        pointer: ctypes._Pointer[ctypes.c_float] = self._library.llama_get_logits(self._pointer)
        return np.ctypeslib.as_array(pointer, shape=(rows, self._vocabulary_size))

    def held(self, slot: SlotId) -> int:
        """How many tokens a sequence holds."""
        return self._held(self._seq_ids[slot])

    def drop(self, slot: SlotId, length: int) -> None:
        """Drops all that a sequence holds from position `length` on."""
        self._drop(self._seq_ids[slot], length)

    def copy(self, source: SlotId, target: SlotId) -> None:
        """Makes one sequence hold what another holds, to the bit.

        It goes through a buffer, at the cost of what is held; `llama_memory_seq_cp` between
        separate caches costs all that they could hold. But what goes through a buffer lacks what
        the windows of a model have passed, and a prefix of it could not be gone on with.
        """
        if self._has_windows:
            seq_ids = self._seq_ids[source], self._seq_ids[target]
            self._library.llama_memory_seq_cp(self._memory, *seq_ids, -1, -1)
        else:
            self.restore(self.save(source), target)

    def save(self, slot: SlotId) -> State:
        """What a sequence holds; valid until the next is saved."""
        return self._save(self._seq_ids[slot], 0)

    def restore(self, state: State, slot: SlotId) -> None:
        """Lets a sequence hold what was saved, and nothing else."""
        self._restore(state, self._seq_ids[slot])

    def close(self) -> None:
        """Frees the memory."""
        if self._pointer:
            self._library.llama_free(self._pointer)
            self._pointer = 0

    def _gather(self, slots: Sequence[SlotId]) -> None:
        """Lets sequences that are decoded together lie side by side, where that is worth it."""
        if self._has_windows:
            return  # what is copied lacks what the windows have passed
        running = sorted(self._seq_ids[slot] for slot in slots)
        if (pair := self._seq_ids.due(running, self._held)) is not None:
            first, second = pair
            states = self._save(first, 0), self._save(second, 1)
            self._restore(states[0], second)
            self._restore(states[1], first)
            self._seq_ids.exchange(first, second)

    def _decode_each(
        self, seq_ids: Sequence[SeqId], tokens: Sequence[int], positions: Sequence[int], least: int
    ) -> Logits:
        """Decodes one batch, together with a token that is dropped where it would be too small."""
        if len(seq_ids) >= least or self._sequences == 1:
            self._decode(seq_ids, tokens, positions, True)
            return self.logits(len(seq_ids))
        last = seq_ids[-1]
        beside = SeqId(last + 1 if last + 1 < self._sequences else seq_ids[0] - 1)
        length = self._held(beside)
        rows = sorted([*zip(seq_ids, tokens, positions, strict=True), (beside, 0, length)])
        batch = np.array(rows, np.int32).T
        # It has an output, too: the last layer computes only those that have one.
        self._decode(batch[0], batch[1], batch[2], True)
        self._drop(beside, length)
        logits = self.logits(len(rows))
        return logits[1:] if beside < last else logits[:-1]

    def _save(self, seq_id: SeqId, buffer: int) -> State:
        """The state of a sequence, in one of two buffers."""
        library, pointer = self._library, self._pointer
        size: int = library.llama_state_seq_get_size(pointer, seq_id)
        if self._states[buffer].size < size:
            self._states[buffer] = np.empty(size, np.uint8)
        state = self._states[buffer][:size]
        if library.llama_state_seq_get_data(pointer, state.ctypes.data, size, seq_id) != size:
            raise DecodeError(f"llama.cpp cannot copy the {size:,} bytes of a sequence")
        return state

    def _restore(self, state: State, seq_id: SeqId) -> None:
        library, pointer, size = self._library, self._pointer, state.size
        self._drop(seq_id, 0)
        if library.llama_state_seq_set_data(pointer, state.ctypes.data, size, seq_id) != size:
            raise DecodeError(f"llama.cpp cannot take the {size:,} bytes of a sequence")

    def _held(self, seq_id: SeqId) -> int:
        last: int = self._library.llama_memory_seq_pos_max(self._memory, seq_id)
        return last + 1

    def _drop(self, seq_id: SeqId, length: int) -> None:
        self._library.llama_memory_seq_rm(self._memory, seq_id, length, -1)

    def _decode(
        self,
        seq_ids: SeqId | Sequence[SeqId] | Tokens,
        tokens: Sequence[int] | Tokens,
        positions: Sequence[int] | Tokens,
        outputs: bool | NDArray[np.bool_],
    ) -> None:
        """Computes a batch of tokens, and the logits after those with an output."""
        count = len(tokens)
        self._sequence[:count] = seq_ids
        self._token[:count] = tokens
        self._position[:count] = positions
        self._output[:count] = outputs
        self._batch.n_tokens = count
        result: int = self._library.llama_decode(self._pointer, self._batch)
        if result != 0:
            raise DecodeError(f"llama_decode answered {result} to a batch of {count} tokens")
