"""Sliding windows: models with layers that attend to 32 positions keep all guarantees."""

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
    """Opens an engine that has computed nothing yet."""
    with opened(path, 2) as loop:
        yield loop


@pytest.fixture(scope="module")
def engine(path: Path) -> Iterator[EngineLoop]:
    with opened(path, SEQUENCES) as loop:
        yield loop


def request_to(
    name: str, prompt: Sequence[int], choices: int = 1, length: int = 8
) -> GenerationRequest:
    guides = [ScriptedGuide() for _ in range(choices)]
    return request(name, prompt, *guides, max_tokens=length, top_logprobs=4, temperature=1.0)


def steps(engine: EngineLoop, *requests: GenerationRequest) -> list[list[list[TokenStep]]]:
    """Runs requests together; returns the steps of each choice of each request."""
    return [
        [inbox.of(choice) for choice in range(inbox.choices)] for inbox in run(engine, *requests)
    ]


def test_answers_do_not_depend_on_concurrent_requests(engine: EngineLoop) -> None:
    requests = [
        request_to(str(n), TEXT[40 * n : 40 * n + 20 + 33 * n], choices=1 + n % 2) for n in range(5)
    ]
    together = steps(engine, *requests)
    assert together == [steps(engine, single)[0] for single in requests]


def test_an_answer_can_fill_the_whole_context(engine: EngineLoop, fresh: EngineLoop) -> None:
    long = request_to("long", TEXT[5:], length=CONTEXT)
    result, *_ = steps(engine, long, request_to("short", TEXT[:50]))
    assert len(result[0]) == CONTEXT - long.num_prompt_tokens
    assert result == steps(fresh, long)[0]


def test_an_answer_does_not_depend_on_prompt_chunks(engine: EngineLoop, fresh: EngineLoop) -> None:
    """Chunks are small while other requests run, and large otherwise."""
    others = [request_to(f"other {n}", TEXT[n : n + 9], length=40) for n in range(2)]
    long = request_to("long", TEXT[::-1][:370])
    result = steps(engine, *others, long)[-1]
    assert result == steps(fresh, long)[0]


@pytest.mark.parametrize("kept", [9, WINDOW - 1, WINDOW, WINDOW + 1, 100, 197])
def test_a_prefix_shorter_than_the_cached_one_can_be_continued(
    engine: EngineLoop, fresh: EngineLoop, kept: int
) -> None:
    """The cache keeps positions outside the windows, which a shorter prefix still needs."""
    own = [440 + kept + n for n in range(2)]
    whole = [*own, *TEXT[:198]]
    steps(engine, request_to("whole", whole))
    branch = request_to("branch", [*whole[:kept], *TEXT[300:340]])
    (inbox,) = run(engine, branch)
    assert inbox.started is not None and inbox.started.cached_tokens == kept
    assert [inbox.of(0)] == steps(fresh, branch)[0]


def test_the_computed_kv_size_per_token_equals_llama_cpps(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "friendli_endpoint.llama"):
        with opened(path, 2):
            pass
    sizes = re.findall(r"llama_kv_cache: size = +([\d.]+) MiB", caplog.text)
    allocated = sum(map(float, sizes)) * (1 << 20)
    assert len(sizes) == 2, "one with windows, and one without"
    computed = read_model_file(path).kv_bytes_per_token
    assert computed is not None
    assert computed * 2 * CONTEXT == pytest.approx(allocated, rel=0.02)
    assert computed == LlamaModel(load(find_library()), path).kv_bytes_per_token
