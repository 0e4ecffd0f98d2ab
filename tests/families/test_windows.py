"""Sliding windows: layers that look back 32 positions change nothing about what is promised."""

import logging
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.llama.engine import LlamaOptions, LlamaSource
from friendli_endpoint.engine.llama.gguf.model_file import read_model_file
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from friendli_endpoint.generation import GenerationRequest, TokenStep
from tests.support.models.gemma import WINDOW, write_gemma
from tests.support.scripted import ScriptedGuide, request, run, scripted_guide

SIZE, SEQUENCES, CONTEXT = 1024, 4, 512
TEXT = tuple(random.Random(1).choices(range(440, SIZE), k=400))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gemma(tmp_path_factory.mktemp("models") / "small.gguf", SIZE)


@contextmanager
def opened(path: Path, sequences: int) -> Iterator[EngineLoop]:
    options = LlamaOptions(sequences=sequences, context=CONTEXT, threads=1)
    engine = LlamaSource(path, options).open(scripted_guide)
    with closing(engine):
        yield engine._loop


@pytest.fixture
def fresh(path: Path) -> Iterator[EngineLoop]:
    """An engine that has computed nothing yet."""
    with opened(path, 2) as loop:
        yield loop


@pytest.fixture(scope="module")
def engine(path: Path) -> Iterator[EngineLoop]:
    with opened(path, SEQUENCES) as loop:
        yield loop


def asked(name: str, prompt: Sequence[int], choices: int = 1, length: int = 8) -> GenerationRequest:
    guides = [ScriptedGuide() for _ in range(choices)]
    return request(name, prompt, *guides, max_tokens=length, top_logprobs=4, temperature=1.0)


def said(engine: EngineLoop, *requests: GenerationRequest) -> list[list[list[TokenStep]]]:
    """The steps of each choice of each request."""
    return [
        [inbox.of(choice) for choice in range(inbox.choices)] for inbox in run(engine, *requests)
    ]


def test_neighbours_change_no_bit(engine: EngineLoop) -> None:
    requests = [
        asked(str(n), TEXT[40 * n : 40 * n + 20 + 33 * n], choices=1 + n % 2) for n in range(5)
    ]
    together = said(engine, *requests)
    assert together == [said(engine, each)[0] for each in requests]


def test_a_context_is_filled_to_its_end(engine: EngineLoop, fresh: EngineLoop) -> None:
    long = asked("long", TEXT[5:], length=CONTEXT)
    beside, *_ = said(engine, long, asked("beside", TEXT[:50]))
    assert len(beside[0]) == CONTEXT - long.num_prompt_tokens
    assert beside == said(fresh, long)[0]


def test_a_prompt_is_the_same_in_whatever_pieces(engine: EngineLoop, fresh: EngineLoop) -> None:
    """Pieces are small while others run, and large where nothing else does."""
    others = [asked(f"other {n}", TEXT[n : n + 9], length=40) for n in range(2)]
    long = asked("long", TEXT[::-1][:370])
    beside = said(engine, *others, long)[-1]
    assert beside == said(fresh, long)[0]


@pytest.mark.parametrize("kept", [9, WINDOW - 1, WINDOW, WINDOW + 1, 100, 197])
def test_what_goes_back_behind_the_window_sees_all_of_it(
    engine: EngineLoop, fresh: EngineLoop, kept: int
) -> None:
    """The cache keeps what the windows have passed, or a shorter prefix could not be gone on."""
    own = [440 + kept + n for n in range(2)]
    whole = [*own, *TEXT[:198]]
    said(engine, asked("whole", whole))
    branch = asked("branch", [*whole[:kept], *TEXT[300:340]])
    (inbox,) = run(engine, branch)
    assert inbox.started is not None and inbox.started.cached_tokens == kept
    assert [inbox.of(0)] == said(fresh, branch)[0]


def test_the_memory_for_a_token_is_what_llama_cpp_takes(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "friendli_endpoint.llama"):
        with opened(path, 2):
            pass
    sizes = re.findall(r"llama_kv_cache: size = +([\d.]+) MiB", caplog.text)
    taken = sum(map(float, sizes)) * (1 << 20)
    assert len(sizes) == 2, "one with windows, and one without"
    told = read_model_file(path).kv_bytes_per_token
    assert told is not None
    assert told * 2 * CONTEXT == pytest.approx(taken, rel=0.02)
    assert told == LlamaModel(load(find_library()), path).kv_bytes_per_token
