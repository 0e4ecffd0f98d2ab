"""Backends of a llama.cpp library, which compute on processors and GPUs, and their devices."""

import ctypes
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Device", "devices", "load_backends"]

_RENAMED_BACKEND = re.compile(r"(lib)?ggml-(?!base-|cpu-)[a-z]+-[^.]+\.(so|dylib|dll)")
"""File names of backends to which the packaging of a wheel has added a hash."""

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


def load_backends(library: ctypes.CDLL, path: Path) -> None:
    """Loads the backends that lie beside a library; does nothing if it has backends already.

    Builds with dynamic backends have none at first. llama.cpp finds those of the processor by the
    pattern of their file name, and others only by their exact name, so a backend that a wheel
    contains under another name is loaded explicitly.

    Args:
        library: The library, with its functions declared.
        path: The file of the library.
    """
    with _lock:
        if library.ggml_backend_reg_count():
            return
        library.ggml_backend_load_all_from_path(str(path.parent).encode())
        for file in sorted(path.parent.iterdir()):
            if _RENAMED_BACKEND.fullmatch(file.name):
                library.ggml_backend_load(str(file).encode())


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
