"""Bitwise equal logits for every weight type, whatever is computed in the same batches."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.core.chunking import ChunkPolicy
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.engine import MAX_CHUNK_TOKENS, STEP_TOKENS
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from friendli_endpoint.engine.llama.threads import BatchThreads
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.support.models.weights import Shape

SEQUENCES, CONTEXT = 10, 1024
TYPES = [
    Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0,
    Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.IQ4_NL, Type.IQ4_XS, Type.IQ3_S,
    Type.IQ2_XXS, Type.MXFP4, Type.TQ2_0,
]  # fmt: skip
TEXT = tuple(random.Random(3).choices(range(256), k=1000))
START = 40

Logits = NDArray[np.float32]

ZERO, ONE, TWO = SlotId(0), SlotId(1), SlotId(2)


class SetThreads(BatchThreads):
    """A number of threads that a test sets; more than one are slow on a busy machine."""

    number = 1

    def begin(self, _work: float) -> int:
        return self.number

    def end(self) -> None:
        pass


@pytest.fixture(scope="module")
def threads() -> SetThreads:
    return SetThreads(3)


def model_file(folder: Path, kind: Type) -> Path:
    """Writes a model with weights of one type; those of Q4_1 are large enough to be split."""
    width = 512 if kind is Type.Q4_1 else 256
    shape = Shape(width=width, head=64, forward=2 * width, type=kind)
    return write_byte_pairs(folder / "model.gguf", LLAMA, shape)


@pytest.fixture(scope="module", params=TYPES, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Type:
    return Type(request.param)


@pytest.fixture(scope="module")
def path(kind: Type, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_file(tmp_path_factory.mktemp("types"), kind)


@pytest.fixture(scope="module")
def context(kind: Type, path: Path, threads: SetThreads) -> Iterator[LlamaContext]:
    model = LlamaModel(load(find_library()), path)
    assert bool(model.offset_adapters) == (kind is Type.Q4_1)
    context = LlamaContext(model, SEQUENCES, CONTEXT, threads)
    yield context
    context.close()


@pytest.fixture(scope="module")
def adapter(context: LlamaContext, path: Path) -> int:
    (lora,) = write_loras(path.parent, path, range(1))
    return context.load_adapter(lora)


def prefilled(
    context: LlamaContext,
    slot: int,
    length: int,
    cuts: Sequence[int] = (),
    adapter: int | None = None,
) -> Logits:
    sequence = SlotId(slot)
    context.truncate(sequence, 0)
    logits = None
    for start, end in pairwise([0, *cuts, length]):
        tokens = np.array(TEXT[start:end])
        logits = context.prefill(sequence, tokens, start, end == length, adapter)
    assert logits is not None and np.isfinite(logits).all()
    return logits.copy()


def decoded(context: LlamaContext, own: int, others: Sequence[int]) -> list[Logits]:
    """Decodes fixed tokens in a sequence, in batches with others at other positions of the text."""
    sequences = sorted([own, *others])
    starts = [START if sequence == own else START - 1 - sequence for sequence in sequences]
    for sequence, start in zip(sequences, starts, strict=True):
        prefilled(context, sequence, start)
    rows = []
    for step in range(12):
        at = [start + step for start in starts]
        logits = context.decode(
            list(map(SlotId, sequences)), [TEXT[position] for position in at], at
        )
        rows.append(logits[sequences.index(own)].copy())
    return rows


@pytest.mark.parametrize(
    ("own", "others"),
    [
        (3, [4]),
        (3, [1, 5]),
        (3, [2, 4]),
        (3, [0, 1, 2, *range(4, SEQUENCES)]),
        (0, []),
        (SEQUENCES - 1, []),
        (SEQUENCES - 1, [SEQUENCES - 2]),
        (SEQUENCES - 1, range(SEQUENCES - 1)),
    ],
)
def test_logits_do_not_depend_on_other_sequences(
    context: LlamaContext, own: int, others: Sequence[int]
) -> None:
    alone = decoded(context, 3, [])
    assert np.array_equal(alone, decoded(context, own, others))


def test_logits_do_not_depend_on_longer_sequences(context: LlamaContext) -> None:
    def rows(lengths: Sequence[int]) -> list[Logits]:
        for sequence, length in enumerate(lengths):
            prefilled(context, sequence, length, range(300, length - 8, 300))
        found = []
        for step in range(3):
            at = [length + step for length in lengths]
            tokens = [TEXT[position] for position in at]
            found.append(
                context.decode(list(map(SlotId, range(len(lengths)))), tokens, at)[0].copy()
            )
        return found

    alone = rows([40])
    for others in ([300], [600, 45], [900, 41, 300, 42, 43]):
        assert np.array_equal(alone, rows([40, *others]))


def chunks_of_the_engine(length: int) -> list[list[int]]:
    """Returns the cuts that the scheduler's policy makes beside different numbers of choices."""
    policy = ChunkPolicy(STEP_TOKENS, MAX_CHUNK_TOKENS)
    sizes = {policy.limit(running, 0) for running in range(SEQUENCES + 20)}
    return [[*range(size, length - 7, size)] for size in sorted(sizes)]


def test_logits_do_not_depend_on_prompt_chunks(context: LlamaContext, adapter: int) -> None:
    for used in (None, adapter):
        whole = prefilled(context, 0, 101, (), used)
        for cuts in ([64], [8], [93], [8, 17, 26, 36, 47, 59], [50, 92]):
            assert np.array_equal(whole, prefilled(context, 1, 101, cuts, used))
        for cuts in chunks_of_the_engine(101):
            assert np.array_equal(whole, prefilled(context, 1, 101, cuts, used))


def test_logits_do_not_depend_on_the_chunks_of_a_long_prompt(
    context: LlamaContext, adapter: int
) -> None:
    for used in (None, adapter):
        whole = prefilled(context, 0, 700, range(128, 700, 128), used)
        for first in (17, 31):
            growing = [first * number + number * number for number in range(1, 17)]
            cuts = [cut for cut in growing if cut < 690]
            assert np.array_equal(whole, prefilled(context, 1, 700, cuts, used))


@pytest.fixture
def alternating(threads: SetThreads) -> Iterator[Callable[[int], None]]:
    """Sets the number of threads; 1 afterwards."""
    yield lambda number: setattr(threads, "number", number)
    threads.number = 1


def test_logits_do_not_depend_on_the_number_of_threads(
    context: LlamaContext, adapter: int, alternating: Callable[[int], None]
) -> None:
    def rows(numbers: Sequence[int], used: int | None) -> list[Logits]:
        found = []
        number = cycle(numbers)
        for slot, length in ((ZERO, 60), (ONE, 300)):
            prefilled(context, slot, length - 20, (), used)
            tokens = np.array(TEXT[length - 20 : length])
            alternating(next(number))
            logits = context.prefill(slot, tokens, length - 20, True, used)
            assert logits is not None
            found.append(logits.copy())
            alternating(1)
        for slots, at in (([ZERO], [60]), ([ZERO, ONE], [61, 300]), ([ONE], [301])):
            alternating(next(number))
            found += context.decode(slots, [TEXT[position] for position in at], at, used)
            found = [logits.copy() for logits in found]
        alternating(1)
        return found

    for used in (None, adapter):
        assert np.array_equal(rows([1], used), rows([2, 3], used))


def test_decoded_tokens_have_the_kv_of_prefilled_ones_where_declared(
    context: LlamaContext,
) -> None:
    end = START + 40
    whole = prefilled(context, 0, end + 20)
    for sequence in (1, 2):
        prefilled(context, sequence, START)
    for at in range(START, end, 5):
        context.decode([ONE, TWO], [TEXT[at]] * 2, [at, at])
        context.extend(ONE, np.array(TEXT[at + 1 : at + 5]), at + 1, False)
        for position in range(at + 1, at + 5):
            context.decode([TWO], [TEXT[position]], [position])
    for sequence in (1, 2):
        after = context.prefill(SlotId(sequence), np.array(TEXT[end : end + 20]), end, True)
        assert after is not None
        assert np.array_equal(whole, after) or context.batch_invariant_positions < end


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 16])
def test_verified_draft_tokens_have_the_logits_of_single_steps(
    context: LlamaContext, size: int
) -> None:
    prefilled(context, 0, START)
    prefilled(context, 1, START)
    for start in range(START, min(context.batch_invariant_positions, START + 48), size):
        expected = [
            context.decode([SlotId(0)], [TEXT[at]], [at])[0].copy()
            for at in range(start, start + size)
        ]
        tokens = np.array([*TEXT[start : start + size - 1], 1 + TEXT[start + size]])
        context.extend(ONE, tokens, start, True)
        context.truncate(ONE, start)
        rows = context.extend(ONE, np.array(TEXT[start : start + size]), start, True)
        assert rows is not None and np.array_equal(expected, rows)


def test_decoded_tokens_differ_from_prefilled_ones_only_for_tiled_types(
    context: LlamaContext, kind: Type
) -> None:
    assert bool(context.batch_invariant_positions) == (
        not kind.name.endswith(("K", "IQ4_XS", "IQ3_S", "IQ2_XXS"))
    )


def test_padding_a_batch_with_another_sequence_does_not_change_it(context: LlamaContext) -> None:
    """A batch that would be too small is padded with another sequence."""
    prefilled(context, 4, 60)
    expected = prefilled(context, 5, 60), context.decode([SlotId(5)], [7], [60])[0].copy()
    decoded(context, 3, [])
    assert np.array_equal(context.decode([SlotId(4)], [7], [60])[0], expected[1])
