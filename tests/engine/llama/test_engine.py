"""Answers of the real model: independent of load, of the prefix cache and of drafts."""

import asyncio
import pickle
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.core.backend import AdapterError
from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.llama import engine as llama_engine
from friendli_endpoint.engine.llama import model as llama_model
from friendli_endpoint.engine.llama.backends import Device
from friendli_endpoint.engine.llama.capacity import EngineCapacity, fit
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.engine import LlamaOptions, LlamaSource, TriedModel, locate
from friendli_endpoint.engine.llama.model import LlamaModel
from friendli_endpoint.engine.llama.threads import BatchThreads
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary
from friendli_endpoint.generation import (
    Engine,
    GenerationRequest,
    GuideMaker,
    RequestError,
    StartError,
    StepReport,
    Vocabulary,
)
from tests.engine.core.scripted_loop import with_new_guides
from tests.engine.llama.opened import CONTEXT, PROMPT, SEQUENCES, loop_of, opened
from tests.support.lora import write_loras
from tests.support.scripted import Inbox, ScriptedGuide, request, run, scripted_guide

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def embedded() -> Iterator[LocalEngine]:
    with opened() as embedded:
        yield embedded


@pytest.fixture(scope="module")
def loop(embedded: LocalEngine) -> EngineLoop:
    return loop_of(embedded)


def test_the_model_card_describes_the_engine(embedded: LocalEngine) -> None:
    engine: Engine = embedded
    card = engine.card
    assert card.name == locate(None).stem
    assert (card.num_sequences, card.context) == (SEQUENCES, CONTEXT)
    assert "message" in (card.chat_template or "")
    assert (card.modalities, card.adapters) == (("text",), ())
    assert card.deterministic and card.devices == ("CPU",)


@pytest.mark.parametrize(
    ("device", "gpu_layers", "names"),
    [
        (Device("GPU0", "", "GPU", 0), 0, ("CPU",)),
        (Device("GPU0", "", "GPU", 0), 40, ("CPU", "GPU0")),
        (Device("GPU0", "", "integrated GPU", 0), 1, ("CPU", "GPU0")),
        (Device("BLAS", "", "accelerator", 0), 0, ("CPU", "BLAS")),
    ],
    ids=["unused GPU", "GPU", "integrated GPU", "accelerator"],
)
def test_only_what_processors_compute_alone_is_deterministic(
    device: Device, gpu_layers: int, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = Device("CPU", "", "CPU", 0)
    monkeypatch.setattr(llama_model, "devices", lambda _library: (cpu, device))
    options = LlamaOptions(sequences=2, context=CONTEXT, threads=1, gpu_layers=gpu_layers)
    engine = TriedModel(locate(None), options)(lambda _: scripted_guide, lambda _: None)
    try:
        assert engine.card.devices == names
        assert engine.card.deterministic == (names == ("CPU",))
        (inbox,) = run(loop_of(engine), request("r", PROMPT * 8, max_tokens=3))
        assert inbox.finishes() == ["length"]
    finally:
        engine.close()


def test_a_source_loads_the_vocabulary_of_its_model(
    embedded: LocalEngine, vocabulary: LlamaVocabulary
) -> None:
    source = LlamaSource(None, LlamaOptions(sequences=1, context=CONTEXT))
    loaded: Vocabulary = source.vocabulary()
    assert loaded.size == vocabulary.size == embedded.card.vocabulary_size
    assert (loaded.end_ids, loaded.control_ids) == (vocabulary.end_ids, vocabulary.control_ids)
    assert (loaded.bos_id, loaded.eos_id) == (vocabulary.bos_id, vocabulary.eos_id)
    assert loaded.adds_bos == vocabulary.adds_bos
    ids = range(vocabulary.size)
    assert list(map(loaded.token_bytes, ids)) == list(map(vocabulary.token_bytes, ids))
    for text in ("", "The sea is wide.", "<|im_start|>user é日本🙂"):
        for special in (False, True):
            assert loaded.tokenize(text, special) == vocabulary.tokenize(text, special)


def test_answers_are_the_same_alone_and_in_a_batch(loop: EngineLoop) -> None:
    requests = [
        request(
            str(number),
            PROMPT[: 9 + 7 * number],
            *(ScriptedGuide() for _ in range(1 + number % 2)),
            max_tokens=4,
            seed=number,
            temperature=1.0,
            top_logprobs=3,
        )
        for number in range(4)
    ]
    together = run(loop, *requests)
    for sent, batched in zip(requests, together, strict=True):
        (alone,) = run(loop, with_new_guides(sent))
        for choice in range(len(sent.choices)):
            assert alone.of(choice) == batched.of(choice)


def test_cancelling_a_request_does_not_change_another(loop: EngineLoop) -> None:
    kept, cancelled = Inbox(1), Inbox(1)
    loop.submit(request("kept", PROMPT, max_tokens=4), kept)
    loop.submit(request("cancelled", PROMPT, max_tokens=400), cancelled)
    assert cancelled.begun.wait(60)
    loop.cancel("cancelled")
    (again,) = run(loop, request("kept again", PROMPT, max_tokens=4))
    assert kept.wait().tokens() == again.tokens()
    assert len(cancelled.steps) < 400 and cancelled.failure is None


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_loras(tmp_path_factory.mktemp("loras"), locate(None), range(2))


def test_adapters_change_only_the_answers_that_use_them(
    loop: EngineLoop, loras: list[Path]
) -> None:
    for route, path in zip(("one", "two"), loras, strict=True):
        loop.load_adapter(route, path)
    requests = [
        request(f"{route} {n}", PROMPT[: 20 + n], adapter=route, max_tokens=4, top_logprobs=1)
        for n in range(2)
        for route in (None, "one", "two")
    ]
    together = run(loop, *requests)
    alone = [run(loop, with_new_guides(sent))[0] for sent in requests]
    assert [inbox.of(0) for inbox in together] == [inbox.of(0) for inbox in alone]
    first = [inbox.steps[0].logprob for inbox in alone[:3]]
    assert len({found.logprob for found in first if found}) == 3
    for route in ("one", "two"):
        loop.unload_adapter(route)
    (after,) = run(loop, with_new_guides(requests[0]))
    assert after.of(0) == alone[0].of(0)
    with pytest.raises(RequestError, match="no adapters are loaded"):
        loop.submit(requests[1], Inbox(1))


def test_a_model_is_not_an_adapter(loop: EngineLoop) -> None:
    with pytest.raises(AdapterError, match="is not a LoRA adapter"):
        loop.load_adapter("model", locate(None))
    assert loop.adapters == ()


def test_a_file_that_is_not_an_adapter_is_an_error_that_names_it(
    embedded: LocalEngine, tmp_path: Path
) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"not an adapter at all")
    for path in (tmp_path / "bad.gguf", tmp_path / "absent.gguf", locate(None)):
        with pytest.raises(RequestError, match=path.name.replace(".", r"\.")) as caught:
            asyncio.run(embedded.load_adapter("one", path))
        assert (caught.value.status, caught.value.code) == (400, "adapter_refused")
    assert embedded.card.adapters == ()


def test_adapters_in_the_options_are_loaded_at_the_start(loras: list[Path]) -> None:
    options = LlamaOptions(
        sequences=1, context=CONTEXT, adapters=dict(zip(("one", "two"), loras, strict=True))
    )
    engine = LlamaSource(None, options).open(scripted_guide)
    try:
        assert engine.card.adapters == ("one", "two")
        (inbox,) = run(loop_of(engine), request("r", PROMPT, adapter="two", max_tokens=1))
        assert inbox.finishes() == ["length"]
    finally:
        engine.close()
    invalid = replace(options, adapters={"one": locate(None)})
    with pytest.raises(StartError, match="is not a LoRA adapter for this model"):
        LlamaSource(None, invalid).open(scripted_guide)


def test_the_opener_that_another_process_gets_opens_the_same_engine(
    embedded: LocalEngine, vocabulary: LlamaVocabulary
) -> None:
    options = LlamaOptions(sequences=SEQUENCES, context=CONTEXT, num_engines=2)
    opener = pickle.loads(pickle.dumps(LlamaSource(None, options).opener()))
    sizes: list[int] = []

    def make_guides(loaded: Vocabulary) -> GuideMaker:
        sizes.append(loaded.size)
        return scripted_guide

    like = embedded.card
    small = replace(options, sequences=1, context=256)
    engine: LocalEngine = replace(opener, options=small)(make_guides, lambda _report: None, like)
    try:
        assert engine.card == like and sizes == [vocabulary.size]
        sent = request("r", PROMPT, max_tokens=4, top_logprobs=2)
        (found,) = run(loop_of(engine), sent)
        (expected,) = run(loop_of(embedded), with_new_guides(sent))
        assert found.of(0) == expected.of(0)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("num_engines", "given", "threads"), [(1, None, 7), (2, None, 3), (9, None, 1), (2, 5, 5)]
)
def test_engines_on_one_machine_share_its_processors_and_its_memory(
    monkeypatch: pytest.MonkeyPatch, num_engines: int, given: int | None, threads: int
) -> None:
    found: dict[str, Any] = {}

    def fitted(*sizes: int, free_bytes: int, **others: Any) -> EngineCapacity:
        found["free"] = free_bytes
        return fit(*sizes, free_bytes=free_bytes, **others)

    def context(
        model: LlamaModel, sequences: int, length: int, number: BatchThreads
    ) -> LlamaContext:
        found["threads"] = number.max_threads
        return LlamaContext(model, sequences, length, 1)

    monkeypatch.setattr(llama_engine, "available_threads", lambda: 7)
    monkeypatch.setattr(llama_engine, "available_memory", lambda: 8 << 30)
    monkeypatch.setattr(llama_engine, "fit", fitted)
    monkeypatch.setattr(llama_engine, "LlamaContext", context)
    options = LlamaOptions(sequences=1, context=256, threads=given, num_engines=num_engines)
    TriedModel(locate(None), options)(lambda _: scripted_guide, lambda _: None).close()
    assert found == {"free": (8 << 30) // num_engines, "threads": threads}


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_drafts_do_not_change_answers(temperature: float) -> None:
    """Prompts of a repeating text, one of which reaches the limit of drafts."""
    text = random.Random(3).sample(range(300, 40_000), 20)
    requests: list[GenerationRequest] = [
        request("short", text * 3, max_tokens=60, top_logprobs=2, temperature=temperature),
        request("long", text * 10, max_tokens=60, top_logprobs=2, temperature=temperature),
    ]
    answers, drafted = [], []
    for drafts in (True, False):
        reports: list[StepReport] = []
        with opened(sequences=2, drafts=drafts, report=reports.append) as engine:
            loop = loop_of(engine)
            answers.append([run(loop, with_new_guides(sent))[0].of(0) for sent in requests])
        drafted.append(sum(report.drafted for report in reports))
    assert answers[0] == answers[1]
    assert drafted[0] > 0 == drafted[1]


@pytest.mark.parametrize("seed", [7, 8])
def test_a_cached_prefix_does_not_change_answers(loop: EngineLoop, seed: int) -> None:
    """Prompts that share prefixes; one continues another's prompt and its answer."""
    fresh = random.Random(seed).sample(range(300, 40_000), 90)
    sent = request("first", fresh[:60], max_tokens=12, top_logprobs=2)
    (first,) = run(loop, sent)
    answer = [token for token in first.tokens() if token is not None]
    requests = [
        request("again", fresh[:60], max_tokens=4, top_logprobs=2),
        request("on", [*fresh[:60], *answer, *fresh[60:64]], max_tokens=4, top_logprobs=2),
        request("branch", [*fresh[:31], *fresh[64:]], max_tokens=4, top_logprobs=2),
    ]
    warm = run(loop, *requests)
    cached = [inbox.started.cached_tokens for inbox in warm if inbox.started]
    assert cached[0] == 58 and cached[1] >= 60 and cached[2] == 31
    with opened(sequences=1) as engine:
        cold = loop_of(engine)
        for sent, cached_run in zip(requests, warm, strict=True):
            (uncached_run,) = run(cold, with_new_guides(sent))
            assert uncached_run.of(0) == cached_run.of(0)
            run(cold, request("evict", [9] * 70, max_tokens=1))
