"""What a model file says of itself: its kind, its size, what a token of context costs."""

from dataclasses import dataclass
from pathlib import Path

from friendli_endpoint.engine.llama.gguf.kv_size import kv_bytes_per_token
from friendli_endpoint.engine.llama.gguf.reading import GgufError, Tensor, read_header

__all__ = ["GgufError", "ModelFile", "read_model_file"]

QUANTISATIONS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
    39: "NVFP4", 40: "Q1_0",
}  # fmt: skip
"""Names of `general.file_type`, llama.cpp's `enum llama_ftype`."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file by its own account.

    Attributes:
        path: The file.
        size: Its size in bytes.
        architecture: As llama.cpp names it, such as "llama".
        quantisation: Of most of its tensors, such as "Q4_K_M", or None where it does not say.
        context: Tokens it was trained for, or None.
        kv_bytes_per_token: Key-value cache of one token at 16 bits, in bytes, or None.
        tensors: What it is made of.
    """

    path: Path
    size: int
    architecture: str
    quantisation: str | None
    context: int | None
    kv_bytes_per_token: int | None
    tensors: tuple[Tensor, ...]


def read_model_file(path: Path) -> ModelFile:
    """What a model file says of itself; takes some hundredths of a second.

    Raises:
        GgufError: It is not there, no GGUF file, or a damaged one.
    """
    header = read_header(path)
    metadata = header.metadata
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise GgufError(f"{path} does not say which architecture it is")
    kind = metadata.get("general.file_type")
    context = metadata.get(f"{architecture}.context_length")
    return ModelFile(
        path,
        path.stat().st_size,
        architecture,
        QUANTISATIONS.get(kind) if isinstance(kind, int) else None,
        context if isinstance(context, int) else None,
        kv_bytes_per_token(metadata, architecture),
        header.tensors,
    )
