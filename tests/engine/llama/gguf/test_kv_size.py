"""Size of the KV cache, from the metadata of a file."""

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
def test_the_size_follows_from_the_shape_of_the_layers(
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
def test_the_size_is_unknown_if_the_metadata_are_invalid(
    keys: dict[str, Any], tmp_path: Path
) -> None:
    file = read_model_file(write(tmp_path / "m.gguf", **{**SHAPE, **keys}))
    assert file.kv_bytes_per_token is None


METADATA: dict[str, Value] = {
    "m.block_count": 2,
    "m.embedding_length": 64,
    "m.attention.head_count": 8,
}


def test_keys_of_other_architectures_are_ignored() -> None:
    assert kv_bytes_per_token(METADATA, "m") == 2 * 2 * 8 * (8 + 8)
    assert kv_bytes_per_token(METADATA, "n") is None
    foreign: dict[str, Value] = {"n.attention.head_count_kv": 1, "attention.head_count_kv": 1}
    assert kv_bytes_per_token({**METADATA, **foreign}, "m") == kv_bytes_per_token(METADATA, "m")


@pytest.mark.parametrize("missing", METADATA)
def test_the_size_is_unknown_if_a_key_is_missing(missing: str) -> None:
    metadata = {key: value for key, value in METADATA.items() if key != missing}
    assert kv_bytes_per_token(metadata, "m") is None


def test_the_size_is_unknown_for_more_layers_than_llama_cpp_loads() -> None:
    assert kv_bytes_per_token({**METADATA, "m.block_count": 512}, "m") == 512 * 2 * 8 * (8 + 8)
    assert kv_bytes_per_token({**METADATA, "m.block_count": 513}, "m") is None


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"m.attention.head_count_kv": [2]}, 2 * 2 * (8 + 8)),
        ({"m.attention.head_count_kv": [2, 2, 2]}, 2 * 4 * (8 + 8)),
        ({"m.attention.head_count_kv": []}, 2 * 16 * (8 + 8)),
        ({"m.attention.sliding_window_pattern": [True]}, 2 * 8 * (8 + 8) + 2 * 8 * (2 + 2)),
        ({"m.attention.shared_kv_layers": 2}, 0),
        ({"m.attention.shared_kv_layers": 3}, 0),
    ],
)
def test_arrays_may_have_another_length_than_the_number_of_layers(
    changes: dict[str, Value], size: int
) -> None:
    narrow: dict[str, Value] = {
        "m.attention.key_length_swa": 2,
        "m.attention.value_length_swa": 2,
    }
    assert kv_bytes_per_token({**METADATA, **narrow, **changes}, "m") == size
