"""The size of the key-value cache, from what a file says of the layers."""

from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.llama.gguf.kv_size import kv_bytes_per_token
from friendli_endpoint.engine.llama.gguf.model_file import read_model_file
from friendli_endpoint.engine.llama.gguf.reading import Value
from tests.engine.llama.gguf.headers import SHAPE, write


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ({}, 2 * 4 * 8 * (8 + 8)),
        ({"llama__attention__head_count_kv": 2}, 2 * 4 * 2 * (8 + 8)),
        ({"llama__attention__head_count_kv": [2, 0, 2, 0]}, 2 * 4 * (8 + 8)),
        (
            {"llama__attention__key_length": 16, "llama__attention__value_length": 4},
            2 * 4 * 8 * (16 + 4),
        ),
        ({"llama__attention__head_count": [8, 0, 4, 8]}, 2 * 20 * (8 + 8)),
        (
            {
                "llama__attention__head_count_kv": [2, 2, 1, 2],
                "llama__attention__sliding_window_pattern": [True, True, False, True],
                "llama__attention__key_length_swa": 4,
                "llama__attention__value_length": 6,
            },
            2 * (2 + 2 + 2) * (4 + 6) + 2 * (8 + 6),
        ),
        ({"llama__attention__shared_kv_layers": 3}, 2 * 8 * (8 + 8)),
        ({"llama__attention__sliding_window_pattern": 6}, 2 * 4 * 8 * (8 + 8)),
    ],
)
def test_the_cache_of_a_token_is_told_from_the_shape(
    keys: dict[str, Any], size: int, tmp_path: Path
) -> None:
    file = read_model_file(write(tmp_path / "m.gguf", **{**SHAPE, **keys}))
    assert file.kv_bytes_per_token == size
    assert (file.context, file.quantisation) == (2048, None)


@pytest.mark.parametrize(
    "keys",
    [
        {"llama__attention__head_count": [-1, 0, 0, 0]},
        {"llama__attention__head_count": [float("nan")] * 4},
        {"llama__attention__head_count": 0},
        {"llama__block_count": 4_000_000_000},
        {"llama__embedding_length": "wide"},
    ],
)
def test_sizes_that_cannot_be_leave_the_cache_unknown(keys: dict[str, Any], tmp_path: Path) -> None:
    file = read_model_file(write(tmp_path / "m.gguf", **{**SHAPE, **keys}))
    assert file.kv_bytes_per_token is None


FACTS: dict[str, Value] = {
    "m.block_count": 2,
    "m.embedding_length": 64,
    "m.attention.head_count": 8,
}


def test_keys_of_other_architectures_say_nothing() -> None:
    assert kv_bytes_per_token(FACTS, "m") == 2 * 2 * 8 * (8 + 8)
    assert kv_bytes_per_token(FACTS, "n") is None
    others: dict[str, Value] = {"n.attention.head_count_kv": 1, "attention.head_count_kv": 1}
    assert kv_bytes_per_token({**FACTS, **others}, "m") == kv_bytes_per_token(FACTS, "m")


@pytest.mark.parametrize("missing", FACTS)
def test_a_file_that_leaves_out_a_size_says_nothing(missing: str) -> None:
    facts = {key: value for key, value in FACTS.items() if key != missing}
    assert kv_bytes_per_token(facts, "m") is None


def test_as_many_layers_count_as_llama_cpp_loads() -> None:
    assert kv_bytes_per_token({**FACTS, "m.block_count": 512}, "m") == 512 * 2 * 8 * (8 + 8)
    assert kv_bytes_per_token({**FACTS, "m.block_count": 513}, "m") is None


@pytest.mark.parametrize(
    ("facts", "size"),
    [
        ({"m.attention.head_count_kv": [2]}, 2 * 2 * (8 + 8)),
        ({"m.attention.head_count_kv": [2, 2, 2]}, 2 * 4 * (8 + 8)),
        ({"m.attention.head_count_kv": []}, 2 * 16 * (8 + 8)),
        ({"m.attention.sliding_window_pattern": [True]}, 2 * 8 * (8 + 8) + 2 * 8 * (2 + 2)),
        ({"m.attention.shared_kv_layers": 2}, 0),
        ({"m.attention.shared_kv_layers": 3}, 0),
    ],
)
def test_lists_may_be_of_another_length_than_there_are_layers(
    facts: dict[str, Value], size: int
) -> None:
    narrow: dict[str, Value] = {
        "m.attention.key_length_swa": 2,
        "m.attention.value_length_swa": 2,
    }
    assert kv_bytes_per_token({**FACTS, **narrow, **facts}, "m") == size
