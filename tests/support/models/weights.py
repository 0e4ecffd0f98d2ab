"""Random weights of a decoder, in the shapes that llama.cpp expects for an architecture."""

import ctypes
from dataclasses import dataclass

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.library import find_library

__all__ = ["Shape", "write_shape", "write_weights"]

_BLOCK = 32
"""Number of weights in a Q8_0 block, which share one scale."""


@dataclass(frozen=True)
class Shape:
    """Dimensions of a decoder.

    Attributes:
        vocabulary: Number of token ids.
        context: Training context length in the metadata, in tokens.
        width: Width of the embeddings, a multiple of 32.
        layers: Number of layers.
        heads: Number of query heads; there are half as many key-value heads.
        head: Width of a head.
        forward: Width of the feed-forward layers.
        type: Type of the matrices.
    """

    vocabulary: int = 0
    context: int = 2048
    width: int = 32
    layers: int = 2
    heads: int = 4
    head: int = 16
    forward: int = 64
    type: GGMLQuantizationType = GGMLQuantizationType.F32

    @property
    def kv_heads(self) -> int:
        return self.heads // 2


def write_shape(writer: GGUFWriter, shape: Shape) -> None:
    """Writes the dimensions to the metadata."""
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(shape.head)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def write_weights(
    writer: GGUFWriter, shape: Shape, norms: tuple[str, ...], biases: tuple[str, ...] = ()
) -> None:
    """Writes random weights; the output matrix is tied to the embeddings.

    Args:
        writer: The file.
        shape: Dimensions of the model.
        norms: Names of each layer's norms; those of heads end with `q_norm` and `k_norm`.
        biases: Names of the matrices of each layer that have a bias.
    """
    random = np.random.default_rng(5)
    query_width, kv_width = shape.heads * shape.head, shape.kv_heads * shape.head
    matrices = {
        "attn_q": (query_width, shape.width),
        "attn_k": (kv_width, shape.width),
        "attn_v": (kv_width, shape.width),
        "attn_output": (shape.width, query_width),
        "ffn_gate": (shape.forward, shape.width),
        "ffn_up": (shape.forward, shape.width),
        "ffn_down": (shape.width, shape.forward),
    }

    def vector(name: str, size: int, mean: float) -> None:
        writer.add_tensor(name, random.normal(mean, 0.2, size).astype(np.float32))

    _add_embeddings(writer, random, shape)
    vector("output_norm.weight", shape.width, 1.0)
    for layer in range(shape.layers):
        for name, (rows, columns) in matrices.items():
            weights = random.normal(0, 1.5 / columns**0.5, (rows, columns)).astype(np.float32)
            blocks = _quantized(weights, shape.type)
            writer.add_tensor(f"blk.{layer}.{name}.weight", blocks, raw_dtype=shape.type)
        for name in norms:
            size = shape.head if name.endswith(("q_norm", "k_norm")) else shape.width
            vector(f"blk.{layer}.{name}.weight", size, 1.0)
        for name in biases:
            vector(f"blk.{layer}.{name}.bias", matrices[name][0], 0.0)


def _quantized(weights: NDArray[np.float32], kind: GGMLQuantizationType) -> NDArray[np.uint8]:
    """Quantizes rows with llama.cpp, because the gguf package reads more types than it writes."""
    rows, columns = weights.shape
    values, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.empty((rows, columns // values * size), np.uint8)
    importance = np.ones(columns, np.float32)
    quantize = ctypes.CDLL(str(find_library())).ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [
        ctypes.c_int,
        *2 * [ctypes.c_void_p],
        *3 * [ctypes.c_int64],
        ctypes.c_void_p,
    ]
    addresses = weights.ctypes.data, blocks.ctypes.data
    written = quantize(int(kind), *addresses, 0, rows, columns, importance.ctypes.data)
    assert written == blocks.size
    return blocks


def _add_embeddings(writer: GGUFWriter, random: np.random.Generator, shape: Shape) -> None:
    """Adds embeddings as random Q8_0 blocks, which is faster than quantizing random numbers."""
    blocks = shape.vocabulary * shape.width // _BLOCK
    made = np.empty((blocks, 2 + _BLOCK), np.uint8)
    made[:, :2] = np.array([0.5 / 74], np.float16).view(np.uint8)  # bytes deviate by 74
    made[:, 2:] = np.frombuffer(random.bytes(blocks * _BLOCK), np.uint8).reshape(blocks, _BLOCK)
    rows: NDArray[np.uint8] = made.reshape(shape.vocabulary, -1)
    writer.add_tensor("token_embd.weight", rows, raw_dtype=GGMLQuantizationType.Q8_0)
