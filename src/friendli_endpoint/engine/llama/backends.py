"""Backends of a llama.cpp library, which compute on processors and GPUs, and their devices."""

import ctypes
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Device", "devices", "load_backends"]

_BACKEND = re.compile(r"(lib)?ggml-(?P<kind>[a-z]+)(-[^.]+)?\.(so|dylib|dll)")
"""File names of backends, to which the packaging of a wheel may have added a hash."""

_loaded: dict[int, set[Path]] = {}
"""Files of the backends that were loaded into each build with dynamic backends, by its handle."""

_lock = threading.Lock()

_KINDS: dict[int, Literal["CPU", "GPU", "integrated GPU", "accelerator"]] = {
    0: "CPU",
    1: "GPU",
    2: "integrated GPU",
}
"""Kinds of devices by the values of `enum ggml_backend_dev_type`."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a library can compute on.

    Attributes:
        name: Short name that llama.cpp gives it, such as `CPU` or `Vulkan0`.
        description: Name of the hardware, as its driver states it.
        kind: Kind of the device. Accelerators compute a part of the work of a processor.
        free_bytes: Free memory of the device; 0 if the driver does not tell.
    """

    name: str
    description: str
    kind: Literal["CPU", "GPU", "integrated GPU", "accelerator"]
    free_bytes: int

    @property
    def is_gpu(self) -> bool:
        """Whether whole layers of a model can be computed on the device."""
        return self.kind in ("GPU", "integrated GPU")


def load_backends(library: ctypes.CDLL, path: Path, gpu: bool) -> None:
    """Loads the backends that lie beside a library into it, unless they are linked into it.

    llama.cpp's own search finds backends only by their exact names, except those of processors.

    Args:
        library: The library, with its functions declared.
        path: The file of the library.
        gpu: Whether to load other backends than that of the processor, which may allocate memory
            and start threads. They can also be loaded later.
    """
    handle: int = library._handle
    with _lock:
        if handle not in _loaded and library.ggml_backend_reg_count():
            return
        loaded = _loaded.setdefault(handle, set())
        for file in _backend_files(path.parent, gpu):
            if file not in loaded:
                library.ggml_backend_load(str(file).encode())
                loaded.add(file)


def _backend_files(folder: Path, gpu: bool) -> Iterator[Path]:
    """Yields the backends to load: of those for processors, only the best for this one."""
    kinds: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if found := _BACKEND.fullmatch(file.name):
            kinds.setdefault(found["kind"], []).append(file)
    kinds.pop("base", None)
    if variants := kinds.pop("cpu", None):
        yield max(variants, key=_score)
    if gpu:
        for files in kinds.values():
            yield from files


def _score(file: Path) -> int:
    """Returns how well a backend suits this processor; 0 if it cannot run here."""
    try:
        return int(ctypes.CDLL(str(file)).ggml_backend_score())
    except (AttributeError, OSError):
        return 0


def devices(library: ctypes.CDLL) -> tuple[Device, ...]:
    """Returns the devices of the loaded backends, in llama.cpp's order."""
    return tuple(
        _device(library, library.ggml_backend_dev_get(index))
        for index in range(library.ggml_backend_dev_count())
    )


def _device(library: ctypes.CDLL, pointer: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    library.ggml_backend_dev_memory(pointer, ctypes.byref(free), ctypes.byref(total))
    return Device(
        name=(library.ggml_backend_dev_name(pointer) or b"").decode(errors="replace"),
        description=(library.ggml_backend_dev_description(pointer) or b"").decode(errors="replace"),
        kind=_KINDS.get(library.ggml_backend_dev_type(pointer), "accelerator"),
        free_bytes=free.value,
    )
