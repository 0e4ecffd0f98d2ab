"""Logits of split models in llama.cpp, for each architecture that can be split."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFWriter
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.gguf.split import ARCHITECTURES, split
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from tests.support.models.byte_pairs import LLAMA, QWEN, QWEN_3, write_byte_pairs
from tests.support.models.gemma import write_gemma
from tests.support.models.weights import Shape

pytestmark = pytest.mark.model

LARGE = Shape(width=736, head=184, forward=512, type=Type.Q4_1)
"""Shape in which every matrix of a layer is large enough to be split."""

WRITERS: dict[str, Callable[[Path, Shape], Path]] = {
    "llama": lambda path, shape: write_byte_pairs(path, LLAMA, shape),
    "qwen2": lambda path, shape: write_byte_pairs(path, QWEN, shape),
    "qwen3": lambda path, shape: write_byte_pairs(path, QWEN_3, shape),
    "gemma3": lambda path, shape: write_gemma(path, 1000, shape),
}
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
TEXT = tuple(range(40, 80))
START = 8
SLOT = SlotId(0)

Numbers = NDArray[np.float32]


@contextmanager
def opened(path: Path) -> Iterator[LlamaContext]:
    model = LlamaModel(load(find_library()), path, split_q4_1=False)
    with closing(LlamaContext(model, 1, 128, threads=1)) as context:
        yield context


def logits(context: LlamaContext, adapter: int | None = None, rest: int = 32) -> Numbers:
    """Returns the logits after each token: `START` in one batch, then `rest` one at a time."""
    context.truncate(SLOT, 0)
    first = context.extend(SLOT, np.array(TEXT[:START], np.int32), 0, True, adapter)
    assert first is not None
    rows = [row.copy() for row in first]
    for at in range(START, START + rest):
        rows += [row.copy() for row in context.decode([SLOT], [TEXT[at]], [at], adapter)]
    return np.array(rows)


def deviation(first: Numbers, second: Numbers) -> float:
    return float(np.sqrt(((first - second) ** 2).mean()))


@dataclass(frozen=True)
class Split:
    """A split model, and the logits of its source."""

    model: Path
    offsets: Path
    before: Numbers
    rounding: float
    """Deviation of `before` from the logits of the F32 weights that the source was made from."""


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def split_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("split")
    source = WRITERS[request.param](folder / "source.gguf", LARGE)
    exact = WRITERS[request.param](folder / "exact.gguf", replace(LARGE, type=Type.F32))
    model, offsets = folder / "model.gguf", folder / "offsets.gguf"
    assert split(source, model, offsets)
    with opened(source) as context:
        before = logits(context)
    with opened(exact) as context:
        rounding = deviation(logits(context), before)
    return Split(model, offsets, before, rounding)


def test_a_split_model_has_the_logits_of_its_source(split_model: Split) -> None:
    with opened(split_model.model) as context:
        both = logits(context, context.load_adapter(split_model.offsets))
        without_offsets = logits(context)
    assert deviation(both, split_model.before) < split_model.rounding / 4
    assert deviation(without_offsets, split_model.before) > split_model.rounding


def test_the_offsets_of_each_matrix_change_the_logits(split_model: Split, tmp_path: Path) -> None:
    """If llama.cpp ignored the LoRA of a matrix, leaving it out would change no bit."""
    with opened(split_model.model) as context:
        both = logits(context, context.load_adapter(split_model.offsets), rest=1)
        for matrix in MATRICES:
            reduced = without(split_model.offsets, matrix, tmp_path / f"{matrix}.gguf")
            assert not np.array_equal(
                logits(context, context.load_adapter(reduced), rest=1), both
            ), matrix


def without(offsets: Path, matrix: str, path: Path) -> Path:
    """Writes a copy of a LoRA file without the matrices of a name."""
    reader = GGUFReader(offsets)
    writer = GGUFWriter(path, str(reader.fields["general.architecture"].contents()))
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 0.0)
    for tensor in reader.tensors:
        if f".{matrix}." not in tensor.name:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
