"""Copies of the embedded model with another pre-tokenizer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from friendli_endpoint.engine.llama.gguf.reading import Tensor, read_header
from friendli_endpoint.engine.llama.gguf.writing import Bytes, NewTensor, string_pair, write_gguf
from friendli_endpoint.engine.llama.model import find_embedded_model

__all__ = ["write_with_pre_tokenizer"]

KEY = "tokenizer.ggml.pre"


def write_with_pre_tokenizer(path: Path, name: str, *, weights: bool = True) -> Path:
    """Writes the embedded model with another pre-tokenizer.

    Args:
        path: The file to write.
        name: llama.cpp's name of the pre-tokenizer.
        weights: Whether to write the model's tensors; without them only its vocabulary can be
            loaded.
    """
    source = find_embedded_model()
    header = read_header(source)
    content = np.memmap(source, np.uint8, "r")
    pairs = bytes(content[header.pairs.start : header.pairs.stop])
    before = string_pair(KEY, str(header.metadata[KEY]))
    assert pairs.count(before) == 1

    def data_of(tensor: Tensor) -> Callable[[], Bytes]:
        return lambda: content[tensor.offset : tensor.offset + (tensor.nbytes or 0)]

    tensors = [
        NewTensor(tensor.name, tensor.shape, tensor.type, tensor.nbytes or 0, data_of(tensor))
        for tensor in (header.tensors if weights else ())
    ]
    pairs = pairs.replace(before, string_pair(KEY, name))
    write_gguf(path, header.num_keys, pairs, tensors, header.alignment)
    return path
