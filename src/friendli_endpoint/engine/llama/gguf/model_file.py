"""Properties of a model file from its header: architecture, quantization, size, KV cache size."""

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
"""Names of the values of `general.file_type`, llama.cpp's `enum llama_ftype`."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Properties of a model file, as its header states them.

    Attributes:
        path: The file.
        size: Size of the file in bytes.
        architecture: The value of `general.architecture`, such as "llama".
        quantisation: Quantization of most tensors, such as "Q4_K_M", or None if unknown.
        context: Context length the model was trained for in tokens, or None if unknown.
        kv_bytes_per_token: Size of the KV cache of one token at 16 bits in bytes, or None if
            unknown.
        tensors: All tensors in the file.
    """

    path: Path
    size: int
    architecture: str
    quantisation: str | None
    context: int | None
    kv_bytes_per_token: int | None
    tensors: tuple[Tensor, ...]


def read_model_file(path: Path) -> ModelFile:
    """Reads the properties of a model file; takes some hundredths of a second.

    Raises:
        GgufError: The file is missing, is not a GGUF file, or is damaged.
    """
    header = read_header(path)
    metadata = header.metadata
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise GgufError(f"{path} does not name its architecture in general.architecture")
    file_type = metadata.get("general.file_type")
    context = metadata.get(f"{architecture}.context_length")
    return ModelFile(
        path,
        path.stat().st_size,
        architecture,
        QUANTISATIONS.get(file_type) if isinstance(file_type, int) else None,
        context if isinstance(context, int) else None,
        kv_bytes_per_token(metadata, architecture),
        header.tensors,
    )
