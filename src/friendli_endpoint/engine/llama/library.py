"""Finds and loads the llama.cpp library, and checks that the declarations match it.

A wrong struct layout corrupts memory. So a library of an unknown version is rejected, and so is one
whose default parameter structs have another layout; see `bindings.py`.
"""

import ctypes
import importlib.util
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from friendli._install import install_extra
from friendli_endpoint.engine.llama.backends import devices, load_backends
from friendli_endpoint.engine.llama.bindings import (
    KNOWN_DEFAULTS,
    KNOWN_VERSIONS,
    SIGNATURES,
    LogCallback,
)
from friendli_endpoint.generation import StartError

__all__ = ["LibraryError", "check_gpu", "find_library", "load", "warnings_as_debug"]

log = logging.getLogger("friendli_endpoint.llama")

PACKAGE = "xllamacpp"
"""Package that contains the default library, in an extension module with the C functions."""

_LIBRARY_NAME = re.compile(
    r"(lib)?llama(-\w+)?\.(so|dylib|dll)[.\d]*|xllamacpp(\.\w+)*\.(so|dylib|pyd)"
)

_MAX_STRUCT_BYTES = 1024
"""Size of the buffer for a struct of unknown layout, in bytes; the known ones have up to 192."""


class LibraryError(StartError):
    """The C library is missing or unsupported; the message says what to do."""


def find_library(path: Path | None = None) -> Path:
    """Finds the file of the llama.cpp library.

    Args:
        path: The file, or a folder that contains it, also in subfolders; by default, the folder of
            the installed xllamacpp package, which is not imported.

    Returns:
        An absolute path.

    Raises:
        LibraryError: The file does not exist, or the package is not installed.
    """
    if path is None:
        return _default_library()
    if not path.exists():
        raise LibraryError(f"the library {path} does not exist")
    return _library_in(path.absolute()) if path.is_dir() else path.absolute()


def _default_library() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise LibraryError(
            f"llama.cpp is not installed; install it with: {install_extra('endpoint')}"
        )
    return _library_in(Path(spec.submodule_search_locations[0]))


def _library_in(folder: Path) -> Path:
    """Returns the library in a folder: of several names, the shortest one closest to the top."""
    found = [path for path in folder.rglob("*") if _LIBRARY_NAME.fullmatch(path.name)]
    if not found:
        raise LibraryError(f"{folder} contains no llama.cpp library for this platform")
    return min(found, key=lambda path: (len(path.parts), len(path.name), path.name))


def load(path: Path, gpu: bool = False) -> ctypes.CDLL:
    """Loads the library and its backends, and declares its functions.

    From then on, llama.cpp logs to the logger `friendli_endpoint.llama`.

    Args:
        path: The file, as `find_library` returns it.
        gpu: Whether to load backends for other devices than processors, too.

    Raises:
        LibraryError: The library cannot be loaded, lacks a function, has an unsupported version or
            struct layout, or cannot compute on the processor.
    """
    # When llama.cpp aborts, it would start a debugger, which may never end.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise LibraryError(f"the library {path} cannot be loaded: {error}") from error
    for name, (result, arguments) in SIGNATURES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise LibraryError(f"the library {path} has no function {name}") from None
        function.restype = result
        function.argtypes = arguments
    _check_version(library, path)
    for name in KNOWN_DEFAULTS:
        _check_layout(library, path, name)
    library.llama_log_set(_forward_log, None)
    library.llama_backend_init()
    load_backends(library, path, gpu)
    if not any(device.kind == "CPU" for device in devices(library)):
        raise LibraryError(f"the library {path} has no CPU backend in its folder")
    return library


def check_gpu(library: ctypes.CDLL) -> None:
    """Checks that a loaded library can compute on a GPU.

    Raises:
        LibraryError: It has no backend for GPUs, or its backends find no GPU.
    """
    if not any(device.is_gpu for device in devices(library)):
        raise LibraryError(
            "--gpu-layers is set, but llama.cpp finds no GPU; set --library to a build with a "
            "backend for it, or --gpu-layers to 0"
        )


def _check_version(library: ctypes.CDLL, path: Path) -> None:
    version = (library.llama_version() or b"").decode(errors="replace")
    if version not in KNOWN_VERSIONS:
        known = ", ".join(sorted(KNOWN_VERSIONS))
        raise LibraryError(
            f"the library {path} is llama.cpp {version!r}; this release supports {known}"
        )


def _check_layout(library: ctypes.CDLL, path: Path, name: str) -> None:
    """Checks the values of the parameter struct that a function returns."""
    function = getattr(library, name)
    layout = function.restype
    size = _MAX_STRUCT_BYTES - ctypes.sizeof(layout)
    fields = [("params", layout), ("rest", ctypes.c_ubyte * size)]
    # The function writes as many bytes as its own struct has, which may be larger.
    function.restype = type("PaddedParams", (ctypes.Structure,), {"_fields_": fields})
    defaults = function().params
    function.restype = layout
    for field, value in KNOWN_DEFAULTS[name].items():
        actual = getattr(defaults, field)
        if actual != value:
            raise LibraryError(
                f"the library {path} has an unsupported interface: "
                f"{name}().{field} is {actual!r}, expected {value!r}"
            )


_WARNING = 3
_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, _WARNING: logging.INFO, 4: logging.ERROR}
_line = ""


@contextmanager
def warnings_as_debug() -> Iterator[None]:
    """Logs llama.cpp's warnings at DEBUG within the block, which causes them intentionally."""
    before = _LEVELS[_WARNING]
    _LEVELS[_WARNING] = logging.DEBUG
    try:
        yield
    finally:
        _LEVELS[_WARNING] = before


def _forward(level: int, text: bytes | None, _user: object) -> None:
    """Joins llama.cpp's log fragments into lines and logs them: warnings as INFO, info as DEBUG."""
    global _line
    _line += (text or b"").decode(errors="replace")
    if _line.endswith("\n"):
        log.log(_LEVELS.get(level, logging.DEBUG), "%s", _line.rstrip())
        _line = ""


_forward_log = LogCallback(_forward)
"""The log callback; it must never be garbage-collected, because the library keeps calling it."""
