"""Batch sizes and kernel options that make a token's logits independent of the rest of its batch.

llama.cpp chooses the matrix multiplication kernel by the number of tokens in the batch. Different
kernels sum in different orders, so they round differently, and the same token gets different bits
in batches of different sizes. Within the sizes that one kernel handles, its bits are always the
same: results are batch-invariant as long as every batch stays within such a range.

Measured for every type on x86-64 with AVX2, for all batch sizes from 1 to 16 and for a prompt of
101 tokens cut at many places, comparing logits bit by bit:

- Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, MXFP4, TQ1_0 and TQ2_0: the same bits in batches of all sizes.
- F32, F16, BF16 and IQ4_NL: a single token is multiplied by dot products, two or more by blocks of
  the matrix. So a token is never decoded alone: a lone sequence is padded with a token of another
  one. This also holds with LoRA adapters, whose matrices usually have such types.
- Types with blocks of 256 weights ("K" and "IQ" types): tiled kernels from 8 tokens on, dot
  products below. So decode batches have at most 7 sequences and prompt chunks at least 8 tokens.
- Q4_K, if repacked while loading: four tokens at a time, and the remaining ones one by one. So
  models with Q4_K are not repacked.

All restrictions apply to types that were not measured. The number of threads changes no bit of any
type, measured with one, two and three threads in turn, with and without a LoRA.

In mixture-of-experts layers, routing decides how many tokens of a batch each expert gets, so batch
sizes cannot keep an expert within the range of one kernel. If experts have a type with tiled
kernels, these are switched off.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from friendli_endpoint.engine.llama.gguf.reading import Tensor

__all__ = ["MIN_SEQUENCES_WITH_LORA", "Kernels", "choose_kernels"]

MIN_SEQUENCES_WITH_LORA = 2
"""Minimum number of sequences in a decode batch that uses a LoRA adapter."""

_BATCH_INVARIANT = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4", "TQ1_0", "TQ2_0"}
"""Types with the same bits in batches of all sizes."""

_DIFFERENT_ALONE = {"F32", "F16", "BF16", "IQ4_NL"}
"""Types for which a single token gets other bits than two or more."""

_TILED = {
    "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S",
    "IQ3_XXS", "IQ3_S", "IQ4_XS",
}  # fmt: skip
"""Types with tiled kernels from `_MIN_TILED_TOKENS` tokens on."""

_REPACKABLE = _BATCH_INVARIANT | _DIFFERENT_ALONE | _TILED - {"Q4_K"}
"""Types to which the same rules apply if llama.cpp repacks them."""

_MIN_TILED_TOKENS = 8
"""Batch size from which llama.cpp uses tiled kernels, in tokens."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Restrictions on batches and kernels under which results do not depend on the batch.

    Attributes:
        min_chunk_tokens: Minimum number of prompt tokens in a prefill batch, unless the whole
            prompt is shorter.
        min_sequences: Minimum number of sequences in a decode batch, which has one token of each.
        max_sequences: Maximum number of sequences in a decode batch; None for no limit.
        repack: Whether llama.cpp may repack weights while loading.
        tiles: Whether llama.cpp may use its tiled kernels.
        are_measured: Whether all types of the model were measured. All restrictions apply to other
            types, but may not be enough for them.
    """

    min_chunk_tokens: int = 2
    min_sequences: int = 1
    max_sequences: int | None = None
    repack: bool = True
    tiles: bool = True
    are_measured: bool = True

    def apply(self) -> None:
        """Switches tiled kernels off if needed.

        Affects the whole process, and only before its first computation.
        """
        if not self.tiles:
            os.environ["GGML_CPU_TILED_MM"] = "0"


def choose_kernels(tensors: Iterable[Tensor]) -> Kernels:
    """Returns the restrictions that the types of a model's matrices require."""
    matrices = {tensor.name: tensor for tensor in tensors if tensor.dimensions > 1}
    if "output.weight" in matrices:  # otherwise the embeddings are also the output matrix
        matrices.pop("token_embd.weight", None)
    types = {tensor.type for tensor in matrices.values()}
    experts = {tensor.type for tensor in matrices.values() if tensor.dimensions > 2}
    tiled = bool(types - _BATCH_INVARIANT - _DIFFERENT_ALONE)
    return Kernels(
        min_chunk_tokens=_MIN_TILED_TOKENS if tiled else 2,
        min_sequences=2 if types - _BATCH_INVARIANT - _TILED else 1,
        max_sequences=_MIN_TILED_TOKENS - 1 if tiled else None,
        repack=not types - _REPACKABLE,
        tiles=not experts - _BATCH_INVARIANT - _DIFFERENT_ALONE,
        are_measured=not types - _BATCH_INVARIANT - _DIFFERENT_ALONE - _TILED,
    )
