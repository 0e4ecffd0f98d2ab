"""Writes headers of model files with the gguf package."""

from pathlib import Path
from typing import Any

from gguf import GGUFValueType, GGUFWriter

__all__ = ["SHAPE", "write"]


def write(path: Path, architecture: str = "llama", **keys: Any) -> Path:
    """Writes a file with these keys and no tensors; `__` in a name stands for a dot."""
    writer = GGUFWriter(path, architecture)
    for name, value in keys.items():
        kind = GGUFValueType.UINT32 if isinstance(value, int) else GGUFValueType.get_type(value)
        writer.add_key_value(name.replace("__", "."), value, kind)
    writer.add_array("tokenizer.ggml.tokens", ["one", "two", "ü"])
    writer.add_array("tokenizer.ggml.scores", [0.5] * 2000)
    writer.add_uint32("general.quantization_version", 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


SHAPE: dict[str, Any] = {
    "llama__block_count": 4,
    "llama__embedding_length": 64,
    "llama__attention__head_count": 8,
    "llama__context_length": 2048,
}
