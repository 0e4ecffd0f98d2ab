"""Which batches give a token the same bits, by the types of a model's matrices.

llama.cpp multiplies matrices by other kernels for batches of other sizes, and they round otherwise.
What follows was measured type by type, on x86-64 with AVX2: all sizes from 1 to 16, prompts of 101
tokens cut in many places, and the logits compared to the bit.

- F16, BF16, F32 and IQ4_NL: one token alone is multiplied by dot products, more by blocks of a
  matrix. A LoRA is made of such matrices, too.
- Types with blocks of 256 ("K" and "IQ" types): tiles from 8 tokens on, dot products below.
- Q4_K, repacked as it is loaded: four tokens at a time, the rest one by one.
- Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, MXFP4, TQ1_0 and TQ2_0: the same bits in every batch.

Other types are held to all of it.

Expert by expert, the tokens of a batch are divided by what they say, so the matrices of experts
cannot be kept to one side of a size; their tiles are switched off.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from friendli_endpoint.engine.llama.gguf.reading import Tensor

__all__ = ["LEAST_WITH_LORA", "Kernels", "choose_kernels"]

LEAST_WITH_LORA = 2
"""Fewest sequences in a batch that a LoRA changes."""

_SAME = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4", "TQ1_0", "TQ2_0"}
_OTHER_ALONE = {"F32", "F16", "BF16", "IQ4_NL"}
_TILED = {
    "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S",
    "IQ3_XXS", "IQ3_S", "IQ4_XS",
}  # fmt: skip
_SAME_REPACKED = (_OTHER_ALONE | _TILED) - {"Q4_K"}
_TILES_FROM = 8


@dataclass(frozen=True, slots=True)
class Kernels:
    """How to compute so that what else is computed changes nothing.

    Attributes:
        min_chunk_tokens: Fewest tokens of a prompt in a batch, if it has as many.
        least: Fewest sequences in a batch of one token each.
        most: Most of them, or None for any number.
        repack: Whether weights may be laid out anew as they are loaded.
        tiles: Whether large batches may go through tiles.
        are_known: Whether all types were measured; others are held to every rule, but may have
            more of them.
    """

    min_chunk_tokens: int = 2
    least: int = 1
    most: int | None = None
    repack: bool = True
    tiles: bool = True
    are_known: bool = True

    def apply(self) -> None:
        """Switches tiles off; counts for the whole process, before its first computation."""
        if not self.tiles:
            os.environ["GGML_CPU_TILED_MM"] = "0"


def choose_kernels(tensors: Iterable[Tensor]) -> Kernels:
    """What the matrices of a model ask for."""
    matrices = {tensor.name: tensor for tensor in tensors if tensor.dimensions > 1}
    if "output.weight" in matrices:  # otherwise the embeddings are the matrix of the output, too
        matrices.pop("token_embd.weight", None)
    types = {tensor.type for tensor in matrices.values()}
    experts = {tensor.type for tensor in matrices.values() if tensor.dimensions > 2}
    tiled = bool(types - _SAME - _OTHER_ALONE)
    return Kernels(
        min_chunk_tokens=_TILES_FROM if tiled else 2,
        least=2 if types - _SAME - _TILED else 1,
        most=_TILES_FROM - 1 if tiled else None,
        repack=not types - _SAME - _SAME_REPACKED,
        tiles=not experts - _SAME - _OTHER_ALONE,
        are_known=not types - _SAME - _OTHER_ALONE - _TILED,
    )
