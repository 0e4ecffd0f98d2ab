"""Properties of model files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.llama.engine import locate
from friendli_endpoint.engine.llama.gguf.model_file import read_model_file
from friendli_endpoint.engine.llama.gguf.reading import GgufError
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from tests.engine.llama.gguf.headers import write


@pytest.mark.model
def test_properties_of_the_embedded_model_are_those_llama_cpp_reads() -> None:
    path = locate(None)
    file = read_model_file(path)
    model = LlamaModel(load(find_library()), path)
    assert file.architecture == model.metadata("general.architecture")
    assert (file.quantisation, file.size) == ("Q4_1", path.stat().st_size)
    assert file.context == model.train_context
    assert file.kv_bytes_per_token == model.kv_bytes_per_token


@pytest.mark.parametrize(("number", "name"), [(0, "F32"), (15, "Q4_K_M"), (9999, None)])
def test_the_file_type_is_a_quantisation_name(
    number: int, name: str | None, tmp_path: Path
) -> None:
    file = read_model_file(write(tmp_path / "m.gguf", general__file_type=number))
    assert file.quantisation == name
    assert (file.context, file.kv_bytes_per_token) == (None, None)


@given(offset=st.integers(0, 600), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_is_an_error_that_names_it(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, offset: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(whole[:offset] + bytes([byte]) + whole[offset + 1 :])
    try:
        assert read_model_file(path).size == len(whole)
    except GgufError as error:
        assert str(path) in str(error)
