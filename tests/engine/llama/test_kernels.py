"""Restrictions on batches and kernels by the types of a model's matrices."""

from functools import partial

import pytest

from friendli_endpoint.engine.llama.gguf.reading import Tensor
from friendli_endpoint.engine.llama.kernels import Kernels, choose_kernels

tiled = partial(Kernels, min_chunk_tokens=8, max_sequences=7)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["Q4_1", "Q8_0"], Kernels()),
        (["Q8_0", "F16"], Kernels(min_sequences=2)),
        (["IQ4_NL"], Kernels(min_sequences=2)),
        (["Q6_K", "Q8_0"], tiled()),
        (["Q4_K", "Q6_K"], tiled(repack=False)),
        (["Q6_K", "BF16"], tiled(min_sequences=2)),
        (["Q8_0", "99"], tiled(min_sequences=2, repack=False, are_measured=False)),
    ],
)
def test_the_restrictions_of_all_types_are_combined(types: list[str], expected: Kernels) -> None:
    tensors = [Tensor(f"blk.{n}.attn_q.weight", (32, 32), type) for n, type in enumerate(types)]
    assert choose_kernels([*tensors, Tensor("blk.0.attn_norm.weight", (32,), "F32")]) == expected


def test_embeddings_count_if_they_are_also_the_output_matrix() -> None:
    embeddings = Tensor("token_embd.weight", (32, 32), "F16")
    assert choose_kernels([embeddings]) == Kernels(min_sequences=2)
    assert choose_kernels([embeddings, Tensor("output.weight", (32, 32), "Q8_0")]) == Kernels()


@pytest.mark.parametrize(("type", "tiles"), [("Q8_0", True), ("Q6_K", False), ("99", False)])
def test_tiled_kernels_are_off_for_experts_of_tiled_types(type: str, tiles: bool) -> None:
    assert choose_kernels([Tensor("blk.0.ffn_up_exps.weight", (32, 32, 4), type)]).tiles == tiles
