"""Names, numbers and sizes of tensor types."""

import pytest
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Type

from friendli_endpoint.engine.llama.gguf.tensor_types import tensor_bytes, type_name, type_number

NAMED = [type for type in Type if not type_name(type).isdigit()]


@pytest.mark.parametrize("type", NAMED, ids=lambda type: type.name)
def test_types_are_those_of_the_gguf_package(type: Type) -> None:
    assert type_name(type) == type.name
    assert type_number(type.name) == type
    weights, size = GGML_QUANT_SIZES[type]
    assert tensor_bytes((2 * weights, 3, 5), type.name) == 30 * size


def test_the_size_of_an_unknown_type_or_a_partial_block_is_unknown() -> None:
    assert type_name(999) == "999"
    assert type_number("999") == 999
    assert tensor_bytes((64, 2), "999") is None
    assert tensor_bytes((48, 2), "Q4_1") is None
