"""LoRA adapters with random weights: small files, but large enough weights to change answers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

__all__ = ["write_loras"]

RANK = 4
TARGETS = ("blk.0.attn_q.weight", "blk.1.ffn_down.weight")


def write_loras(folder: Path, model: Path, seeds: range, scale: float = 0.5) -> list[Path]:
    """Writes a LoRA for a few tensors of a model for each seed.

    Args:
        folder: Folder for the files, named `lora-SEED.gguf`.
        model: The GGUF file of the model.
        seeds: Seeds of the random weights.
        scale: Standard deviation of the weights of the first matrix; the second has a quarter of
            it.
    """
    return list(_write(folder, GGUFReader(model), seeds, scale))


def _write(folder: Path, model: GGUFReader, seeds: range, scale: float) -> Iterator[Path]:
    architecture = str(model.fields["general.architecture"].contents())
    tensors = [tensor for tensor in model.tensors if tensor.name in TARGETS]
    for seed in seeds:
        random = np.random.default_rng(seed)
        path = folder / f"lora-{seed}.gguf"
        writer = GGUFWriter(path, architecture)
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(RANK))
        for tensor in tensors:
            columns, rows = (int(size) for size in tensor.shape[:2])
            first = random.normal(0, scale, (RANK, columns)).astype(np.float32)
            second = random.normal(0, scale / 4, (rows, RANK)).astype(np.float32)
            writer.add_tensor(f"{tensor.name}.lora_a", first)
            writer.add_tensor(f"{tensor.name}.lora_b", second)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        yield path
