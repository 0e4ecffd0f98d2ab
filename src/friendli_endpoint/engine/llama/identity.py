"""Identity of KV caches on disk: all that decides their bits but the tokens and the adapter."""

import hashlib
import os
import platform
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from friendli_endpoint.engine.llama.gguf.reading import further_paths, read_header
from friendli_endpoint.engine.llama.model import LlamaModel
from friendli_endpoint.files import digest_of_file

__all__ = ["hash_files", "identity_of"]

VERSION = 1
"""To be increased when this program computes a KV cache in a way that gives other bits."""


def hash_files(model: Path, library: Path) -> Future[list[bytes]]:
    """Begins to hash the files of a model and of the C library, on a thread of its own.

    Args:
        model: The model file, or the first file of a model that is split into several.
        library: The C library; a library next to it whose name contains `ggml` is a part of it.

    Returns:
        The digests; an OSError if a file cannot be read.

    Raises:
        GgufError: The file is not a model.
    """
    parts = sorted(path for path in library.parent.glob("*ggml*") if path != library)
    models = [model, *further_paths(model, read_header(model))]
    pool = ThreadPoolExecutor(1, "hash")
    hashes = pool.submit(lambda: [digest_of_file(path) for path in (library, *parts, *models)])
    pool.shutdown(wait=False)
    return hashes


def identity_of(model: LlamaModel, digests: list[bytes]) -> bytes:
    """Returns the identity, 32 bytes: equal ones mean that the same prompt has the same KV cache.

    The number of threads is not a part of it, nor is the size of the KV cache: the bits depend on
    neither (docs/determinism.md). The kernels depend on the processor and on variables of the
    environment.

    Args:
        model: The model.
        digests: What `hash_files` returned.
    """
    library = model.library
    facts = (
        VERSION,
        library.llama_version(),
        library.llama_print_system_info(),
        platform.system(),
        platform.machine(),
        sorted(item for item in os.environ.items() if item[0].startswith(("GGML_", "LLAMA_"))),
        bool(model.offset_adapters),
        model.kernels,
        digests,
    )
    return hashlib.sha256(repr(facts).encode()).digest()
