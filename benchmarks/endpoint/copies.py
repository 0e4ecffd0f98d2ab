"""Modified copies of a model file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, ReaderTensor
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.gguf.repack import copy_metadata

__all__ = ["write_copy"]


def write_copy(
    reader: GGUFReader,
    target: Path,
    changed: Mapping[str, object],
    data: Callable[[ReaderTensor], tuple[NDArray[Any], GGMLQuantizationType]],
) -> None:
    """Writes a copy of a model file with other metadata or tensor data.

    Args:
        reader: The file.
        target: Path of the copy.
        changed: Metadata by key that replaces the file's.
        data: Returns the data and type that replace those of a tensor.
    """
    writer = GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    copy_metadata(reader, writer, changed)
    for tensor in reader.tensors:
        values, kind = data(tensor)
        writer.add_tensor(tensor.name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
