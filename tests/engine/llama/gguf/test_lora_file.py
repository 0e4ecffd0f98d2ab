"""Validation of the headers of LoRA adapters, and the reasons in its errors."""

from collections.abc import Callable
from pathlib import Path

import pytest

from friendli_endpoint.engine.llama.gguf.lora_file import (
    BaseModel,
    check_lora_file,
    read_base_model,
)
from friendli_endpoint.engine.llama.gguf.reading import GgufError
from friendli_endpoint.engine.llama.model import find_embedded_model
from tests.support.gguf_edit import GgufDraft, Pair, TensorInfo, number, text
from tests.support.lora import write_loras

Q, DOWN = "blk.0.attn_q.weight", "blk.1.ffn_down.weight"
pytestmark = pytest.mark.model

U32, I32, F32, F64 = 4, 5, 6, 12


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return read_base_model(find_embedded_model())


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = write_loras(tmp_path_factory.mktemp("lora"), find_embedded_model(), range(1))
    return path


@pytest.fixture
def draft(good: Path) -> GgufDraft:
    return GgufDraft.read(good)


@pytest.fixture
def reason(base: BaseModel, tmp_path: Path) -> Callable[[GgufDraft], str]:
    """Returns a function that returns the error message for a draft, after its path."""

    def error_of(draft: GgufDraft) -> str:
        path = draft.write(tmp_path / "lora.gguf")
        with pytest.raises(GgufError) as caught:
            check_lora_file(path, base)
        before, _, after = str(caught.value).partition(str(path))
        assert (before, after[:4]) == ("", " is ")
        return after

    return error_of


Reason = Callable[[GgufDraft], str]


def replaced(draft: GgufDraft, pair: Pair) -> GgufDraft:
    draft.pairs = [pair if known.key == pair.key else known for known in draft.pairs]
    return draft


def test_a_valid_adapter_is_accepted(good: Path, base: BaseModel) -> None:
    check_lora_file(good, base)


def test_the_smallest_file_that_crashes_llama_cpp_is_an_error(
    tmp_path: Path, base: BaseModel
) -> None:
    """A file of 52 bytes; llama.cpp reads the key as a string without checking its type."""
    path = tmp_path / "lora.gguf"
    path.write_bytes(GgufDraft([number("general.type", U32, 1)], [], b"").header()[:52])
    assert path.stat().st_size == 52
    with pytest.raises(GgufError, match=r"general\.type is not 'adapter'"):
        check_lora_file(path, base)


@pytest.mark.parametrize("key", ["general.type", "general.architecture", "adapter.type"])
def test_required_strings_of_another_type_or_value_are_an_error(
    key: str, draft: GgufDraft, reason: Reason
) -> None:
    assert f"{key} is not '" in reason(replaced(draft, number(key, I32, 0)))
    assert f"{key} is not '" in reason(replaced(draft, text(key, "other")))
    draft.pairs = [pair for pair in draft.pairs if pair.key != key]
    assert f"{key} is not '" in reason(draft)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (number("adapter.lora.alpha", U32, 4), "not a 32-bit float"),
        (number("adapter.lora.alpha", F64, 4), "not a 32-bit float"),
        (text("adapter.lora.alpha", "4"), "not a 32-bit float"),
        (number("adapter.lora.alpha", F32, float("nan")), "not finite"),
        (number("adapter.lora.alpha", F32, float("-inf")), "not finite"),
    ],
)
def test_an_alpha_that_is_not_a_finite_float_is_an_error(
    pair: Pair, expected: str, draft: GgufDraft, reason: Reason
) -> None:
    assert expected in reason(replaced(draft, pair))


def test_alpha_may_be_missing(draft: GgufDraft, base: BaseModel, tmp_path: Path) -> None:
    draft.pairs = [pair for pair in draft.pairs if pair.key != "adapter.lora.alpha"]
    check_lora_file(draft.write(tmp_path / "lora.gguf"), base)


@pytest.mark.parametrize("key", ["adapter.alora.invocation_tokens", "adapter.lora.prompt_prefix"])
def test_unsupported_keys_are_an_error(key: str, draft: GgufDraft, reason: Reason) -> None:
    draft.pairs.append(text(key, "a"))
    assert "is not supported" in reason(draft)


def test_a_repeated_key_or_tensor_is_an_error(draft: GgufDraft, reason: Reason) -> None:
    draft.tensors.append(draft.tensors[0])
    assert "two tensors of the same name" in reason(draft)
    draft.pairs.append(draft.pairs[0])
    assert "twice" in reason(draft)


@pytest.mark.parametrize("type", [9, 15, 24, 25, 26, 27, 28, 4, 36, 41, 2**31])
def test_unsupported_tensor_types_are_an_error(type: int, draft: GgufDraft, reason: Reason) -> None:
    draft.tensors[-1].type = type
    assert f"{DOWN}.lora_b" in reason(draft)


@pytest.mark.parametrize("shape", [[576, 4, 1], [576, 4, 2], [2304], [1, 1, 576, 4]])
def test_a_tensor_that_is_not_a_matrix_is_an_error(
    shape: list[int], draft: GgufDraft, reason: Reason
) -> None:
    draft.tensors[0].shape = shape
    assert Q in reason(draft)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([576, 4], [4, 575]),
        ([575, 4], [4, 576]),
        ([576, 4], [3, 576]),
        ([4, 576], [576, 4]),
        ([576, 0], [0, 576]),
        ([576, 2**62], [2**62, 576]),
        ([2**63, 4], [4, 576]),
    ],
)
def test_matrices_that_do_not_fit_the_tensor_are_an_error(
    first: list[int], second: list[int], draft: GgufDraft, reason: Reason
) -> None:
    draft.tensors[0].shape, draft.tensors[1].shape = first, second
    draft.data += bytes(1 << 16)
    assert Q in reason(draft)


def test_matrices_without_their_counterpart_or_tensor_are_an_error(
    draft: GgufDraft, reason: Reason
) -> None:
    draft.tensors.pop()
    assert f"{DOWN}.lora_b is missing" in reason(draft)
    draft.tensors[0].name = Q
    assert f"the name of {Q} does not end in .lora_a or .lora_b" in reason(draft)
    draft.tensors[0].name = "blk.99.attn_q.weight.lora_a"
    assert "the model has no tensor blk.99" in reason(draft)
    draft.tensors.clear()
    assert "contains no tensors" in reason(draft)


def test_adapters_of_norms_are_an_error(draft: GgufDraft, reason: Reason) -> None:
    """llama.cpp ignores complete norms in adapters, and cannot multiply the LoRA of a norm."""
    whole = TensorInfo("blk.0.attn_norm.weight", [576], 0, 70144)
    draft.data += bytes(1 << 16)
    draft.tensors[-1].offset = 43008
    draft.tensors.append(TensorInfo(whole.name, whole.shape, 0, 52224))
    assert "the name of blk.0.attn_norm.weight does not end in" in reason(draft)
    for tensor, suffix in zip(draft.tensors[:2], ("lora_a", "lora_b"), strict=True):
        tensor.name = f"blk.0.attn_norm.weight.{suffix}"
    draft.tensors.pop()
    assert "is not a matrix" in reason(draft)


def embeddings(vocabulary: int, width: int, rank: int = 4) -> GgufDraft:
    """A LoRA of the embeddings, in the shape that llama.cpp requires."""
    sizes = [vocabulary * rank * 4, width * rank * 4]
    tensors = [
        TensorInfo("token_embd.weight.lora_a", [rank, vocabulary], 0, 0),
        TensorInfo("token_embd.weight.lora_b", [rank, width], 0, sizes[0]),
    ]
    pairs = [
        text("general.type", "adapter"),
        text("general.architecture", "llama"),
        text("adapter.type", "lora"),
    ]
    return GgufDraft(pairs, tensors, bytes(sum(sizes)))


def test_an_adapter_of_embeddings_that_are_also_the_output_is_an_error(reason: Reason) -> None:
    """llama.cpp would apply the same LoRA to the output, whose shape it does not fit."""
    assert "is also the output matrix" in reason(embeddings(49152, 576))


def test_an_adapter_of_separate_embeddings_is_accepted_by_rows(tmp_path: Path) -> None:
    shapes = {"token_embd.weight": (64, 512), "output.weight": (64, 512)}
    path = embeddings(512, 64).write(tmp_path / "lora.gguf")
    check_lora_file(path, BaseModel("llama", shapes))
    draft = embeddings(512, 64)
    draft.tensors[0].shape, draft.tensors[1].shape = [64, 4], [4, 512]
    draft.tensors[1].offset = 1024
    with pytest.raises(GgufError, match="do not fit"):
        check_lora_file(draft.write(path), BaseModel("llama", shapes))


def test_tensors_that_are_not_contiguous_or_exceed_the_file_are_an_error(
    draft: GgufDraft, reason: Reason
) -> None:
    for offset in (0, 9215, 9217, 9248, 2**63):
        draft.tensors[1].offset = offset
        assert ", expected " in reason(draft)
    draft.tensors[1].offset = 9216
    draft.data = draft.data[:-1]
    assert f"it ends before the data of {DOWN}.lora_b" in reason(draft)


def test_all_files_of_a_split_model_are_read(tmp_path: Path) -> None:
    for index, name in ((1, "one"), (2, "two")):
        pairs = [text("general.architecture", "llama"), number("split.count", 2, 2)]
        draft = GgufDraft(pairs, [TensorInfo(name, [4], 0, 0)], bytes(32))
        draft.write(tmp_path / f"model-0000{index}-of-00002.gguf")
    base = read_base_model(tmp_path / "model-00001-of-00002.gguf")
    assert base.shapes == {"one": (4,), "two": (4,)}
    (tmp_path / "model-00002-of-00002.gguf").unlink()
    with pytest.raises(GgufError, match="00002-of-00002"):
        read_base_model(tmp_path / "model-00001-of-00002.gguf")
