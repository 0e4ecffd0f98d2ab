"""Validates the offsets and sizes of the tensors in a GGUF file, before their data are read."""

from friendli_endpoint.engine.llama.gguf.reading import Header, Tensor

__all__ = ["LayoutError", "check_layout"]


class LayoutError(Exception):
    """The tensors cannot be read as the header describes them; the message says why."""


def check_layout(header: Header) -> None:
    """Checks that the data of all tensors are contiguous, as llama.cpp requires, and in the file.

    Raises:
        LayoutError: They are not, or a tensor is empty or has a type that llama.cpp does not
            support.
    """
    expected = header.data_start
    for tensor in header.tensors:
        size = _size(tensor)
        if tensor.offset != expected:
            raise LayoutError(
                f"{tensor.name} begins at byte {tensor.offset:,}, expected {expected:,}"
            )
        if tensor.offset + size > header.size:
            raise LayoutError(f"it ends before the data of {tensor.name}")
        expected += -(-size // header.alignment) * header.alignment


def _size(tensor: Tensor) -> int:
    shape = " x ".join(f"{length:,}" for length in tensor.shape)
    if 0 in tensor.shape:
        raise LayoutError(f"{tensor.name} is empty ({shape})")
    if tensor.type.isdigit():
        raise LayoutError(f"{tensor.name} has the unsupported type {tensor.type}")
    if tensor.nbytes is None:
        raise LayoutError(f"{tensor.name} ({shape}) is not divisible into blocks of {tensor.type}")
    return tensor.nbytes
