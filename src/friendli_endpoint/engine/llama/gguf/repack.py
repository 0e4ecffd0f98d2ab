"""Converts the matrices of a model file to Q8_0, in a copy that is cached on disk.

Q8_0 has kernels that multiply by blocks, which is faster when several sequences are decoded
together. It takes more memory than smaller types, which is slower for a single sequence. Figures
are in docs/benchmarks.md. The copy is made once per content of a file, and its checksum is verified
before every use.
"""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gguf import GGUFReader, GGUFWriter, ReaderTensor
from friendli._install import install_extra
from friendli_endpoint.files import digest_of_file, read_text
from friendli_endpoint.generation import StartError

__all__ = ["RepackError", "copy_metadata", "repack"]

_BLOCK = 32
"""Number of weights in a block of Q8_0, which share a scale."""

_KEPT = ("ffn_gate_inp", "position_embd", "token_types", "ssm_conv1d", "rope_freqs")
"""Substrings of the names of matrices that are not multiplied, or too sensitive to rounding."""

_FILE_KEYS = ("GGUF.", "general.architecture", "general.file_type", "split.")
"""Prefixes of keys that describe the file instead of the model."""


class RepackError(StartError):
    """The copy cannot be made; the message says why in a sentence."""


def repack(source: Path, folder: Path) -> Path:
    """Returns a copy of a model file with matrices of type Q8_0; makes it if there is none yet.

    Args:
        source: A GGUF file.
        folder: Folder of all copies.

    Returns:
        The copy: its file name is that of the source, its folder is named by the source's checksum.

    Raises:
        RepackError: The gguf package is missing, the source cannot be read or is damaged, or the
            copy cannot be written.
    """
    if importlib.util.find_spec("gguf") is None:
        raise RepackError(
            f"--repack needs the gguf package; install it with: {install_extra('repack')}"
        )
    try:
        digest = digest_of_file(source).hex()
        copy = folder / f"{digest[:16]}-q8_0" / source.name
        checksum = copy.with_suffix(".sha256")
        if _is_intact(copy, checksum):
            return copy
        copy.parent.mkdir(parents=True, exist_ok=True)
        part, written = (copy.with_suffix(f".{os.getpid()}.{end}") for end in ("part", "sum"))
        try:
            _write(source, part)
            written.write_text(digest_of_file(part).hex())
            written.replace(checksum)
            part.replace(copy)
        finally:
            part.unlink(missing_ok=True)
            written.unlink(missing_ok=True)
    except OSError as error:
        raise RepackError(f"cannot repack {source}: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError) as error:
        raise RepackError(f"cannot repack {source}: the file is damaged: {error}") from error
    return copy


def _is_intact(copy: Path, checksum: Path) -> bool:
    """Whether there is a copy with this checksum; otherwise it is made again."""
    try:
        return read_text(checksum) == digest_of_file(copy).hex()
    except (OSError, UnicodeDecodeError):
        return False


def _write(source: Path, target: Path) -> None:
    """Writes the copy, with only one matrix in memory at a time."""
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType, quants

    reader = GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(target, str(architecture))
    copy_metadata(reader, writer, {})
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    for tensor in reader.tensors:
        if _is_repacked(tensor):
            rows = (*tensor.data.shape[:-1], int(tensor.shape[0]) // _BLOCK * (_BLOCK + 2))
            size = int(np.prod(rows))
            writer.add_tensor_info(
                tensor.name, rows, np.dtype(np.uint8), size, GGMLQuantizationType.Q8_0
            )
        else:
            data = tensor.data
            writer.add_tensor_info(
                tensor.name, data.shape, data.dtype, data.nbytes, tensor.tensor_type
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        data = tensor.data
        if _is_repacked(tensor):
            numbers = quants.dequantize(data, tensor.tensor_type)
            data = quants.quantize(numbers, GGMLQuantizationType.Q8_0)
        writer.write_tensor_data(data)
    writer.close()


def copy_metadata(
    reader: "GGUFReader", writer: "GGUFWriter", changed: Mapping[str, object]
) -> None:
    """Copies all metadata of a file but those that describe the file and its types.

    Args:
        reader: The file.
        writer: The copy.
        changed: Values by key that replace those of the file.
    """
    for field in reader.fields.values():
        if not field.name.startswith(_FILE_KEYS):
            value_type, *item_types = field.types
            value = changed.get(field.name, field.contents())
            writer.add_key_value(
                field.name, value, value_type, item_types[-1] if item_types else None
            )


def _is_repacked(tensor: "ReaderTensor") -> bool:
    return (
        len(tensor.shape) > 1
        and tensor.tensor_type.name != "Q8_0"
        and int(tensor.shape[0]) % _BLOCK == 0
        and not any(part in tensor.name for part in _KEPT)
    )
