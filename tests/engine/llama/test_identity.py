"""The identity of a KV cache changes with everything that may change its bits."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from friendli_endpoint.engine.llama import identity
from friendli_endpoint.engine.llama.gguf.reading import GgufError
from friendli_endpoint.engine.llama.identity import hash_files, identity_of
from friendli_endpoint.engine.llama.kernels import Kernels
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs


def fake(**changed: Any) -> Any:
    """Returns a model whose library has a version and describes the processor."""
    library = SimpleNamespace(
        llama_version=lambda: changed.get("version", b"1"),
        llama_print_system_info=lambda: changed.get("system", b"AVX2 = 1"),
    )
    return SimpleNamespace(
        library=library,
        kernels=changed.get("kernels", Kernels()),
        offset_adapters=changed.get("offset_adapters", ()),
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"version": b"2"},
        {"system": b"AVX512 = 1"},
        {"kernels": Kernels(repack=False)},
        {"offset_adapters": (140_000,)},
    ],
    ids=["version", "processor", "kernels", "split"],
)
def test_the_identity_depends_on_the_library_and_the_kernels(changed: dict[str, Any]) -> None:
    assert identity_of(fake(), [b"a"]) == identity_of(fake(), [b"a"])
    assert identity_of(fake(**changed), [b"a"]) != identity_of(fake(), [b"a"])


def test_the_identity_does_not_depend_on_addresses() -> None:
    first, second = fake(offset_adapters=(140_000,)), fake(offset_adapters=(150_000,))
    assert identity_of(first, []) == identity_of(second, [])


def test_the_identity_depends_on_files_environment_and_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = identity_of(fake(), [b"a", b"b"])
    assert identity_of(fake(), [b"b", b"a"]) != before
    with monkeypatch.context() as patch:
        patch.setenv("GGML_CPU_TILED_MM", "5")
        assert identity_of(fake(), [b"a", b"b"]) != before
    monkeypatch.setattr(identity, "VERSION", identity.VERSION + 1)
    assert identity_of(fake(), [b"a", b"b"]) != before


def test_all_parts_of_the_library_are_hashed(tmp_path: Path) -> None:
    model = write_byte_pairs(tmp_path / "model.gguf", LLAMA)
    folder = tmp_path / "library"
    folder.mkdir()
    library, kernels = folder / "libllama.so", folder / "libggml-cpu.so"
    library.write_bytes(b"library")
    (folder / "README.md").write_bytes(b"text")
    alone = hash_files(model, library).result()
    kernels.write_bytes(b"kernels")
    with_kernels = hash_files(model, library).result()
    assert (len(alone), len(with_kernels)) == (2, 3)
    kernels.write_bytes(b"other kernels")
    assert hash_files(model, library).result() != with_kernels


def test_missing_files_are_errors(tmp_path: Path) -> None:
    model = write_byte_pairs(tmp_path / "model.gguf", LLAMA)
    with pytest.raises(OSError):
        hash_files(model, tmp_path / "absent.so").result()
    with pytest.raises(GgufError):
        hash_files(tmp_path / "absent.gguf", model)
