"""Tensor types of GGUF files, llama.cpp's `enum ggml_type`: names, numbers and sizes."""

import math
from collections.abc import Sequence

__all__ = ["tensor_bytes", "type_name", "type_number"]

_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
}  # fmt: skip
"""Name, weights per block and bytes per block of each type, by its number in files."""

_NUMBERS = {name: number for number, (name, _, _) in _TYPES.items()}
_BLOCKS = {name: (weights, size) for name, weights, size in _TYPES.values()}


def type_name(number: int) -> str:
    """Returns the name of a type, such as "Q4_K", or its number if it is unknown."""
    return _TYPES[number][0] if number in _TYPES else str(number)


def type_number(name: str) -> int:
    """Returns the number of a type, given the result of `type_name`."""
    return _NUMBERS[name] if name in _NUMBERS else int(name)


def tensor_bytes(shape: Sequence[int], type: str) -> int | None:
    """Computes the size of the data of a tensor.

    Args:
        shape: Sizes of the dimensions, with the length of a row first.
        type: Name of the type.

    Returns:
        Bytes, or None if the type is unknown or a row is not divisible into blocks of the type.
    """
    weights, size = _BLOCKS.get(type, (0, 0))
    if not weights or shape[0] % weights:
        return None
    return math.prod(shape) // weights * size
