"""Answers of a real model with a prefix cache on disk: the bytes of computed ones."""

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Type

from friendli_endpoint.engine.core.backend import BLOCK_TOKENS
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import StartError
from tests.engine.core.disk.blocks import files
from tests.engine.core.scripted_loop import outcome
from tests.engine.llama.opened import loop_of, opened
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.support.models.gemma import write_gemma
from tests.support.models.weights import Shape
from tests.support.scripted import Inbox, request, run

pytestmark = pytest.mark.model

PROMPT = tuple(random.Random(4).choices(range(256), k=300))
SHARED = 200
NUM_BLOCKS = len(PROMPT) // BLOCK_TOKENS
BRANCHES = [(*PROMPT[:SHARED], *random.Random(n).choices(range(256), k=90)) for n in range(4)]


@pytest.fixture(scope="module", params=[Type.F16, Type.Q8_0], ids=lambda kind: kind.name)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = Shape(width=256, head=64, forward=512, type=request.param)
    return write_byte_pairs(tmp_path_factory.mktemp("model") / "model.gguf", LLAMA, shape)


@pytest.fixture(scope="module")
def lora(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = write_loras(tmp_path_factory.mktemp("loras"), model, range(1))
    return path


@contextmanager
def engine(model: Path, folder: Path | None, lora: Path | None = None) -> Iterator[EngineLoop]:
    """Opens an engine, which stores its prefixes when it is closed."""
    adapters = {} if lora is None else {"lora": lora}
    with opened(model, prefix_cache=folder, adapters=adapters) as local:
        yield loop_of(local)


def together(
    loop: EngineLoop, prompts: Sequence[Sequence[int]], adapter: str | None
) -> list[Inbox]:
    """Runs sampled requests with log probabilities, all at once."""
    requests = [
        request(
            str(number),
            prompt,
            max_tokens=4,
            top_logprobs=3,
            seed=prompt[-1],
            temperature=1.0,
            adapter=adapter,
        )
        for number, prompt in enumerate(prompts)
    ]
    return run(loop, *requests)


def cached(inbox: Inbox) -> int:
    assert inbox.started is not None
    return inbox.started.cached_tokens


@pytest.fixture(scope="module", params=[None, "lora"], ids=["base", "lora"])
def adapter(request: pytest.FixtureRequest) -> str | None:
    route: str | None = request.param
    return route


def test_an_answer_is_the_same_from_memory_from_disk_and_beside_others(
    model: Path, lora: Path, adapter: str | None, tmp_path: Path
) -> None:
    with engine(model, None, lora) as loop:
        (computed,) = together(loop, [PROMPT], adapter)
        (from_memory,) = together(loop, [PROMPT], adapter)
    expected = outcome(computed)
    assert (outcome(from_memory), cached(computed)) == (expected, 0)
    with engine(model, tmp_path, lora) as loop:
        (first,) = together(loop, [PROMPT], adapter)
    assert outcome(first) == expected
    with engine(model, tmp_path, lora) as loop:
        (from_disk,) = together(loop, [PROMPT], adapter)
    assert (outcome(from_disk), cached(from_disk)) == (expected, NUM_BLOCKS * BLOCK_TOKENS)
    with engine(model, tmp_path, lora) as loop:
        beside, *others = together(loop, [PROMPT, *BRANCHES], adapter)
        assert (outcome(beside), cached(beside)) == (expected, NUM_BLOCKS * BLOCK_TOKENS)
        for prompt, inbox in zip(BRANCHES, others, strict=True):
            assert cached(inbox) >= SHARED // BLOCK_TOKENS * BLOCK_TOKENS
            (alone,) = together(loop, [prompt], adapter)
            assert outcome(alone) == outcome(inbox)
    with engine(model, None, lora) as loop:
        for prompt, inbox in zip(BRANCHES, others, strict=True):
            (alone,) = together(loop, [prompt], adapter)
            assert outcome(alone) == outcome(inbox)


def test_a_damaged_file_changes_no_answer(model: Path, tmp_path: Path) -> None:
    with engine(model, tmp_path) as loop:
        (computed,) = together(loop, [PROMPT], None)
    paths = files(tmp_path)
    assert len(paths) == NUM_BLOCKS
    content = bytearray(paths[2].read_bytes())
    content[len(content) // 2] ^= 1
    paths[2].write_bytes(content)
    with engine(model, tmp_path) as loop:
        (again,) = together(loop, [PROMPT], None)
    assert (outcome(again), cached(again)) == (outcome(computed), 2 * BLOCK_TOKENS)
    with engine(model, tmp_path) as loop:
        (mended,) = together(loop, [PROMPT], None)
    assert (outcome(mended), cached(mended)) == (outcome(computed), NUM_BLOCKS * BLOCK_TOKENS)


def test_prefixes_belong_to_the_content_of_the_model(model: Path, tmp_path: Path) -> None:
    with engine(model, tmp_path / "cache") as loop:
        together(loop, [PROMPT], None)
    copy, changed = tmp_path / "copy.gguf", tmp_path / "changed.gguf"
    shutil.copy(model, copy)
    content = bytearray(model.read_bytes())
    content[-1] ^= 1  # the last byte of the last matrix
    changed.write_bytes(content)
    for path, num_cached in ((copy, NUM_BLOCKS * BLOCK_TOKENS), (changed, 0)):
        with engine(path, tmp_path / "cache") as loop:
            (inbox,) = together(loop, [PROMPT], None)
            assert cached(inbox) == num_cached


def test_a_model_with_sliding_windows_is_refused(tmp_path: Path) -> None:
    path = write_gemma(tmp_path / "windows.gguf", 1024)
    with (
        pytest.raises(StartError, match=r"--prefix-cache: windows has sliding-window attention"),
        engine(path, tmp_path),
    ):
        pass
