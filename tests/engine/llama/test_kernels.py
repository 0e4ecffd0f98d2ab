"""What the types of a model's matrices ask for."""

from functools import partial

import pytest

from friendli_endpoint.engine.llama.gguf.reading import Tensor
from friendli_endpoint.engine.llama.kernels import Kernels, choose_kernels

tiled = partial(Kernels, min_chunk_tokens=8, most=7)


@pytest.mark.parametrize(
    ("types", "asked"),
    [
        (["Q4_1", "Q8_0"], Kernels()),
        (["Q8_0", "F16"], Kernels(least=2)),
        (["IQ4_NL"], Kernels(least=2)),
        (["Q6_K", "Q8_0"], tiled()),
        (["Q4_K", "Q6_K"], tiled(repack=False)),
        (["Q6_K", "BF16"], tiled(least=2)),
        (["Q8_0", "99"], tiled(least=2, repack=False, are_known=False)),
    ],
)
def test_the_strictest_type_counts(types: list[str], asked: Kernels) -> None:
    tensors = [Tensor(f"blk.{n}.attn_q.weight", (32, 32), type) for n, type in enumerate(types)]
    assert choose_kernels([*tensors, Tensor("blk.0.attn_norm.weight", (32,), "F32")]) == asked


def test_embeddings_count_where_the_output_has_no_matrix_of_its_own() -> None:
    embeddings = Tensor("token_embd.weight", (32, 32), "F16")
    assert choose_kernels([embeddings]) == Kernels(least=2)
    assert choose_kernels([embeddings, Tensor("output.weight", (32, 32), "Q8_0")]) == Kernels()


@pytest.mark.parametrize(("type", "tiles"), [("Q8_0", True), ("Q6_K", False), ("99", False)])
def test_experts_are_never_computed_by_tiles(type: str, tiles: bool) -> None:
    assert choose_kernels([Tensor("blk.0.ffn_up_exps.weight", (32, 32, 4), type)]).tiles == tiles
