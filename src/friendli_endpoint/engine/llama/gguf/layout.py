"""Checks where the tensors of a GGUF file lie, before anything reads their data."""

from friendli_endpoint.engine.llama.gguf.reading import Header, Tensor

__all__ = ["LayoutError", "check_layout"]


class LayoutError(Exception):
    """Tensors that cannot be read as the header describes them; the message says why."""


def check_layout(header: Header) -> None:
    """Checks that the data of all tensors follow one another, as llama.cpp asks, within the file.

    Raises:
        LayoutError: They do not, or a tensor has no size or a type that llama.cpp does not compute.
    """
    expected = header.data
    for tensor in header.tensors:
        size = _size(tensor)
        if tensor.offset != expected:
            raise LayoutError(
                f"{tensor.name} begins at byte {tensor.offset:,}, and {expected:,} is expected"
            )
        if tensor.offset + size > header.size:
            raise LayoutError(f"it ends before {tensor.name} does")
        expected += -(-size // header.alignment) * header.alignment


def _size(tensor: Tensor) -> int:
    shape = " x ".join(f"{length:,}" for length in tensor.shape)
    if 0 in tensor.shape:
        raise LayoutError(f"{tensor.name} is empty ({shape})")
    if tensor.type.isdigit():
        raise LayoutError(f"{tensor.name} is of type {tensor.type}, which is not computed with")
    if tensor.nbytes is None:
        raise LayoutError(f"{tensor.name} ({shape}) does not divide into blocks of {tensor.type}")
    return tensor.nbytes
