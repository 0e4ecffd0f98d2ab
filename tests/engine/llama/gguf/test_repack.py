"""Copies of models with matrices in Q8_0."""

import re
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, quants

from friendli._install import install_extra
from friendli_endpoint.engine.llama.gguf.model_file import read_model_file
from friendli_endpoint.engine.llama.gguf.repack import RepackError, repack
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.support.models.weights import Shape


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shape = Shape(width=64, head=16, forward=128, type=Type.Q4_1)
    return write_byte_pairs(tmp_path / "model.gguf", LLAMA, shape)


def test_repacking_changes_only_the_types_of_matrices(source: Path, tmp_path: Path) -> None:
    copy = repack(source, tmp_path / "kept")
    assert copy.name == "model.gguf"
    before, after = GGUFReader(source), GGUFReader(copy)
    assert [tensor.name for tensor in after.tensors] == [tensor.name for tensor in before.tensors]
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert new.shape.tolist() == old.shape.tolist()
        if old.tensor_type is Type.Q4_1:
            assert new.tensor_type is Type.Q8_0
            numbers = quants.dequantize(old.data, old.tensor_type)
            errors = np.abs(quants.dequantize(new.data, Type.Q8_0) - numbers)
            assert errors.max() < np.abs(numbers).max() / 127
        else:
            assert new.tensor_type is old.tensor_type
            assert np.array_equal(new.data, old.data)
    assert before.fields.keys() == after.fields.keys()
    for name, field in before.fields.items():
        if not name.startswith("GGUF.") and name != "general.file_type":
            assert after.fields[name].contents() == field.contents()
            assert after.fields[name].types == field.types
    assert read_model_file(copy).quantisation == "Q8_0"


def test_a_copy_is_made_once_per_content(source: Path, tmp_path: Path) -> None:
    copy = repack(source, tmp_path / "kept")
    made = copy.stat().st_mtime_ns, copy.stat().st_ino
    assert repack(source, tmp_path / "kept") == copy
    assert (copy.stat().st_mtime_ns, copy.stat().st_ino) == made
    write_byte_pairs(source, LLAMA, Shape(width=64, head=16, forward=128, type=Type.Q4_0))
    assert repack(source, tmp_path / "kept") != copy


@pytest.mark.parametrize("damaged", ["copy", "checksum"])
def test_a_damaged_copy_is_made_again(source: Path, tmp_path: Path, damaged: str) -> None:
    copy = repack(source, tmp_path / "kept")
    good = copy.read_bytes()
    if damaged == "copy":
        copy.write_bytes(good[:-100] + bytes(100))
    else:
        copy.with_suffix(".sha256").unlink()
    assert repack(source, tmp_path / "kept").read_bytes() == good
    assert sorted(path.suffix for path in copy.parent.iterdir()) == [".gguf", ".sha256"]


def test_a_file_that_cannot_be_repacked_is_an_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RepackError, match=r"cannot repack .*model\.gguf"):
        repack(source, tmp_path / "file")
    with pytest.raises(RepackError, match="No such file"):
        repack(tmp_path / "none.gguf", tmp_path / "kept")
    source.write_bytes(source.read_bytes()[:2000])
    with pytest.raises(RepackError, match="damaged"):
        repack(source, tmp_path / "kept")
    assert list(tmp_path.rglob("*.part")) == []


def test_a_missing_gguf_package_is_an_error_that_names_the_extra(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(RepackError, match=re.escape(install_extra("repack"))):
        repack(source, tmp_path / "kept")
