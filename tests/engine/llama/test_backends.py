"""Backends that lie beside a library, and their devices."""

import ctypes
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from friendli_endpoint.engine.llama import backends
from friendli_endpoint.engine.llama.backends import Device, devices, load_backends
from friendli_endpoint.engine.llama.library import find_library, load


@dataclass
class ScriptedLibrary:
    """The functions of a library for its backends.

    Attributes:
        num_backends: Number of backends that are linked into the library.
        found: Kind, name, description and free bytes of each device.
        loaded: Arguments of the calls that load backends.
    """

    num_backends: int = 0
    found: list[tuple[int, bytes | None, bytes, int]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def ggml_backend_reg_count(self) -> int:
        return self.num_backends

    def ggml_backend_load(self, path: bytes) -> int:
        self.num_backends += 1
        self.loaded.append(Path(path.decode()).name)
        return 1

    @property
    def _handle(self) -> int:
        return -id(self)

    def ggml_backend_dev_count(self) -> int:
        return len(self.found)

    def ggml_backend_dev_get(self, index: int) -> int:
        return index

    def ggml_backend_dev_type(self, device: int) -> int:
        return self.found[device][0]

    def ggml_backend_dev_name(self, device: int) -> bytes | None:
        return self.found[device][1]

    def ggml_backend_dev_description(self, device: int) -> bytes:
        return self.found[device][2]

    def ggml_backend_dev_memory(self, device: int, free: object, total: object) -> None:
        pointers = [
            ctypes.cast(cast("ctypes.c_void_p", p), ctypes.POINTER(ctypes.c_size_t))
            for p in (free, total)
        ]
        pointers[0][0] = self.found[device][3]

    def as_library(self) -> ctypes.CDLL:
        return cast("ctypes.CDLL", self)


FILES = [
    "libggml-2f623e0b.so.0.27.0",
    "libggml-base-82914aef.so.0.27.0",
    "libggml-base.so",
    "libggml-cpu-haswell.so",
    "libggml-cpu-zen4.so",
    "libggml-cuda.so",
    "libggml-rpc-77.txt",
    "libggml-vulkan-4062e2a6.so",
    "libllama-af9aab63.so.0.7.0",
]
GPU_BACKENDS = ["libggml-cuda.so", "libggml-vulkan-4062e2a6.so"]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library in a folder with backends, of which the one for Haswell suits the processor."""
    for name in FILES:
        (tmp_path / name).touch()
    monkeypatch.setattr(backends, "_score", lambda file: 64 if "haswell" in file.name else 0)
    monkeypatch.setattr(backends, "_loaded", {})
    return tmp_path / FILES[-1]


def test_only_the_best_backend_for_the_processor_is_loaded_without_gpus(path: Path) -> None:
    library = ScriptedLibrary()
    for _ in range(2):
        load_backends(library.as_library(), path, gpu=False)
    assert library.loaded == ["libggml-cpu-haswell.so"]


def test_backends_for_gpus_are_loaded_once_whatever_their_names(path: Path) -> None:
    library = ScriptedLibrary()
    for gpu in (False, True, True, False):
        load_backends(library.as_library(), path, gpu)
    assert library.loaded == ["libggml-cpu-haswell.so", *GPU_BACKENDS]


def test_nothing_is_loaded_into_a_library_with_linked_backends(path: Path) -> None:
    library = ScriptedLibrary(num_backends=2)
    load_backends(library.as_library(), path, gpu=True)
    assert library.loaded == []


def test_a_folder_without_backends_loads_nothing(path: Path, tmp_path: Path) -> None:
    library = ScriptedLibrary()
    (tmp_path / "empty").mkdir()
    load_backends(library.as_library(), tmp_path / "empty" / "libllama.so", gpu=True)
    assert library.loaded == []


def test_a_backend_that_cannot_be_asked_does_not_suit(tmp_path: Path) -> None:
    (tmp_path / "libggml-cpu.so").write_bytes(b"not a library")
    assert backends._score(tmp_path / "libggml-cpu.so") == 0
    assert backends._score(find_library()) == 0


def test_devices_are_described() -> None:
    library = ScriptedLibrary(
        found=[
            (1, b"Vulkan0", b"a card", 7),
            (2, b"Vulkan1", b"a chip", 8),
            (0, b"CPU", b"a processor", 9),
            (3, b"BLAS", b"a library", 0),
            (17, None, b"unheard of", 0),
        ]
    )
    found = devices(library.as_library())
    assert found == (
        Device("Vulkan0", "a card", "GPU", 7),
        Device("Vulkan1", "a chip", "integrated GPU", 8),
        Device("CPU", "a processor", "CPU", 9),
        Device("BLAS", "a library", "accelerator", 0),
        Device("", "unheard of", "accelerator", 0),
    )
    assert [device.is_gpu for device in found] == [True, True, False, False, False]


def test_the_installed_library_computes_on_the_processor() -> None:
    library = load(find_library())
    before = devices(library)
    (cpu,) = (device for device in before if device.kind == "CPU")
    assert cpu.name == "CPU" and cpu.free_bytes > 0
    assert len(devices(load(find_library()))) == len(before)
