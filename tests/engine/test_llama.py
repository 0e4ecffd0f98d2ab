"""What only the real model can show: the bits of its logits, and its tokens."""

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.context import DecodeError, LlamaContext
from friendli_endpoint.engine.llama.embedded import EmbeddedEngine, locate, open_engine
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError, find_embedded_model
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary
from friendli_endpoint.engine.split import SplitError
from friendli_endpoint.generation import Refusal, StepReport
from tests.support.lora import write_loras
from tests.support.scripted import Inbox, ScriptedGuide, request, run

pytestmark = pytest.mark.model

SEQUENCES, CONTEXT = 4, 512
PROMPT = tuple(1000 + 37 * n % 20011 for n in range(40))

Logits = NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> LlamaModel:
    return LlamaModel(load(find_library()), find_embedded_model())


@pytest.fixture(scope="module")
def vocabulary(model: LlamaModel) -> LlamaVocabulary:
    return LlamaVocabulary(model, CONTEXT)


@pytest.fixture(scope="module")
def context(model: LlamaModel) -> Iterator[LlamaContext]:
    context = LlamaContext(model, SEQUENCES, CONTEXT, 2)
    yield context
    context.close()


def prefilled(
    context: LlamaContext, sequence: int, tokens: Sequence[int], cuts: Sequence[int] = ()
) -> Logits:
    """The logits after a prompt that is prefilled in pieces."""
    context.truncate(sequence, 0)
    logits = None
    for start, stop in pairwise([0, *cuts, len(tokens)]):
        logits = context.prefill(sequence, tokens[start:stop], start, stop == len(tokens))
    assert logits is not None
    return logits.copy()


def same(first: Logits, second: Logits) -> bool:
    return first.tobytes() == second.tobytes()


@pytest.fixture(scope="module")
def whole(context: LlamaContext) -> Logits:
    return prefilled(context, 0, PROMPT)


@st.composite
def cuts(draw: st.DrawFn) -> list[int]:
    """Where to cut the prompt, every piece of two tokens at least."""
    chosen = sorted(draw(st.sets(st.integers(2, len(PROMPT) - 2), max_size=5)))
    kept: list[int] = []
    for cut in chosen:
        if cut - (kept[-1] if kept else 0) >= 2:
            kept.append(cut)
    return kept


@settings(max_examples=8, deadline=None)
@given(cuts(), st.integers(0, SEQUENCES - 1))
def test_a_prompt_in_any_pieces_gives_the_same_bits(
    context: LlamaContext, whole: Logits, cuts: list[int], sequence: int
) -> None:
    assert same(prefilled(context, sequence, PROMPT, cuts), whole)


def test_the_logits_are_of_the_vocabulary(
    context: LlamaContext, vocabulary: LlamaVocabulary, whole: Logits
) -> None:
    assert whole.shape == (vocabulary.size,)
    assert np.isfinite(whole).all()
    context.truncate(1, 0)
    assert context.prefill(1, PROMPT[:4], 0, False) is None


def continued(
    context: LlamaContext, sequence: int, tokens: Sequence[int], start: int = len(PROMPT)
) -> list[Logits]:
    """Decodes tokens, by default after the prompt, alone."""
    rows = []
    for position, token in enumerate(tokens, start):
        rows.append(context.decode([sequence], [token], [position])[0].copy())
    return rows


def test_a_sequence_decodes_the_same_bits_alone_and_beside_others(context: LlamaContext) -> None:
    tokens = [20, 3000, 41000]
    prefilled(context, 0, PROMPT)
    alone = continued(context, 0, tokens)
    for others in ([2], [1, 2, 3]):
        batch = [*others, 0]
        lengths = {each: 5 + 9 * each for each in others}
        for each in others:
            prefilled(context, each, PROMPT[: lengths[each]])
        prefilled(context, 0, PROMPT)
        for step, token in enumerate(tokens):
            row = batch.index(0)
            positions = [lengths[each] + step if each else len(PROMPT) + step for each in batch]
            fed = [token if each == 0 else 500 + each for each in batch]
            beside = context.decode(batch, fed, positions)
            assert len(beside) == len(batch)
            assert same(beside[row].copy(), alone[step])
            batch.reverse()


def test_sequences_that_lie_apart_move_together_and_none_loses_a_bit(
    context: LlamaContext,
) -> None:
    tokens = [20, 3000, 41000, 7, 99]
    prompts = [PROMPT[: 40 - 9 * each] for each in range(SEQUENCES)]
    expected = []
    for prompt in prompts:
        prefilled(context, 0, prompt)
        rows = [context.decode([0], [t], [len(prompt) + n])[0].copy() for n, t in enumerate(tokens)]
        expected.append(rows)
    for running in ([0, 2], [3, 1], [0, 1, 3], [2, 0, 3]):
        for each, prompt in enumerate(prompts):
            prefilled(context, each, prompt)
        for step, token in enumerate(tokens):
            at = [len(prompts[each]) + step for each in running]
            rows = context.decode(running, [token] * len(running), at)
            for each, row in zip(running, rows, strict=True):
                assert same(row.copy(), expected[each][step])
        for idle in set(range(SEQUENCES)).difference(running):
            (row,) = context.decode([idle], tokens[:1], [len(prompts[idle])])
            assert same(row.copy(), expected[idle][0])


def test_a_copy_goes_on_like_its_source(context: LlamaContext) -> None:
    prefilled(context, 2, PROMPT[::-1])
    prefilled(context, 0, PROMPT)
    context.copy(0, 2)
    first = continued(context, 0, [11, 12])
    second = continued(context, 2, [11, 12])
    assert all(map(same, first, second))


def test_an_extended_answer_is_the_same_in_every_sequence(context: LlamaContext) -> None:
    tokens = np.array([20, 3000, 41000, *range(500, 513)], np.int32)
    prefilled(context, 0, PROMPT)
    rows = context.extend(0, tokens, len(PROMPT), True)
    assert rows is not None
    expected = [row.copy() for row in rows]
    (after,) = continued(context, 0, [7], len(PROMPT) + len(tokens))
    for sequence in (1, 3):
        prefilled(context, 2, PROMPT[:9])
        prefilled(context, sequence, PROMPT)
        rows = context.extend(sequence, tokens, len(PROMPT), True)
        assert rows is not None and all(map(same, rows, expected))
        context.truncate(sequence, len(PROMPT))
        assert context.extend(sequence, tokens, len(PROMPT), False) is None
        at = [9, len(PROMPT) + len(tokens)]
        assert same(context.decode([2, sequence], [7, 7], at)[1].copy(), after)


def test_nothing_generated_is_kept_where_a_sequence_is_always_alone(model: LlamaModel) -> None:
    """What an adapter changes has other bits alone."""
    with closing(LlamaContext(model, 1, CONTEXT, 1)) as lone:
        assert lone.flash and lone.alike == 0


def test_what_is_truncated_is_forgotten(context: LlamaContext) -> None:
    prefilled(context, 0, PROMPT)
    first = continued(context, 0, [11, 12, 13])
    context.truncate(0, len(PROMPT))
    assert all(map(same, first, continued(context, 0, [11, 12, 13])))
    context.truncate(0, len(PROMPT))
    context.copy(0, 3)
    context.truncate(3, len(PROMPT))
    assert all(map(same, first, continued(context, 3, [11, 12, 13])))


def test_a_batch_that_cannot_be_decoded_says_so(context: LlamaContext, whole: Logits) -> None:
    context.truncate(1, 0)
    with pytest.raises(DecodeError, match="batch of 1 tokens"):
        context.decode([1], [10**9], [0])
    assert same(prefilled(context, 1, PROMPT), whole)


@pytest.fixture(scope="module")
def known(vocabulary: LlamaVocabulary) -> bytes:
    """The bytes that the model has tokens for; it was trained on no text with the others."""
    pieces = {vocabulary.piece(token) for token in range(vocabulary.size)}
    known = bytes(value for value in range(256) if bytes([value]) in pieces)
    assert set("\n\t aZ09é日本🙂".encode()) <= set(known)
    return known


@settings(max_examples=300, deadline=None)
@given(st.text(), st.booleans())
def test_text_comes_back_from_its_tokens(
    vocabulary: LlamaVocabulary, known: bytes, text: str, special: bool
) -> None:
    ids = vocabulary.tokenize(text, special)
    assert b"".join(map(vocabulary.piece, ids)) == bytes(b for b in text.encode() if b in known)
    assert all(0 <= token < vocabulary.size for token in ids)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["<|im_end|>", "<|im_start|>", "<|", "|>", "im_end", "a", " "])))
def test_control_tokens_are_recognised_only_where_asked(
    vocabulary: LlamaVocabulary, parts: list[str]
) -> None:
    text = "".join(parts)
    assert not vocabulary.control_ids.intersection(vocabulary.tokenize(text, False))
    found = [t for t in vocabulary.tokenize(text, True) if t in vocabulary.control_ids]
    assert len(found) == text.count("<|im_end|>") + text.count("<|im_start|>")


def test_every_control_token_is_written_out_in_full(vocabulary: LlamaVocabulary) -> None:
    assert vocabulary.end_ids <= vocabulary.control_ids
    assert vocabulary.eos_id in vocabulary.end_ids
    for token in vocabulary.control_ids:
        text = vocabulary.piece(token).decode()
        assert vocabulary.tokenize(text, True) == [token]
        assert token not in vocabulary.tokenize(text, False)


def test_the_empty_text_has_no_tokens(vocabulary: LlamaVocabulary) -> None:
    assert vocabulary.tokenize("", True) == vocabulary.tokenize("", False) == []


def test_the_model_tells_what_it_is(model: LlamaModel) -> None:
    assert model.train_context >= 2048
    assert model.kv_bytes_per_token > 0
    assert 0 < model.weight_bytes < find_embedded_model().stat().st_size
    assert "message" in (model.chat_template() or "")
    assert model.metadata("general.architecture") == "llama"
    assert model.metadata("there.is.no.such.key") is None
    template = model.metadata("tokenizer.chat_template")
    assert template == model.chat_template(), "values longer than a first buffer are read whole"


def test_opening_a_model_tells_an_operator_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert LlamaModel(load(find_library()), find_embedded_model()).offsets
    assert caplog.records == []


@pytest.mark.parametrize(
    "fault",
    [SplitError("cannot split it: No space left on device"), FileNotFoundError("no folder")],
)
def test_a_model_that_cannot_be_split_is_served_as_it_is(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_paths: Path) -> bool:
        raise fault

    monkeypatch.setattr("friendli_endpoint.engine.llama.model.split", failing)
    assert LlamaModel(load(find_library()), find_embedded_model()).offsets == ()
    assert f"{fault}; it is served more slowly, as it is" in caplog.messages


def test_room_that_no_memory_gives_is_refused(model: LlamaModel) -> None:
    with pytest.raises(ModelError, match=r"300 sequences .* lower --max-sequences or --context"):
        LlamaContext(model, 300, CONTEXT, 1)


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedEngine]:
    embedded = open_engine(locate(None), sequences=SEQUENCES, context=CONTEXT, threads=2)
    yield embedded
    embedded.close()


def test_answers_are_the_same_alone_and_among_others(embedded: EmbeddedEngine) -> None:
    assert (embedded.capacity.sequences, embedded.capacity.context) == (SEQUENCES, CONTEXT)
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
    together = run(embedded.engine, *requests)
    for asked, beside in zip(requests, together, strict=True):
        (alone,) = run(embedded.engine, asked)
        choices = range(len(asked.choices))
        assert [alone.of(each) for each in choices] == [beside.of(each) for each in choices]


def test_a_cancel_leaves_the_others_alone(embedded: EmbeddedEngine) -> None:
    kept, gone = Inbox(1), Inbox(1)
    embedded.engine.submit(request("kept", PROMPT, max_tokens=4), kept)
    embedded.engine.submit(request("gone", PROMPT, max_tokens=400), gone)
    assert gone.begun.wait(60)
    embedded.engine.cancel("gone")
    (again,) = run(embedded.engine, request("kept again", PROMPT, max_tokens=4))
    assert kept.wait().tokens() == again.tokens()
    assert len(gone.steps) < 400 and gone.failure is None


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_loras(tmp_path_factory.mktemp("loras"), locate(None), range(2))


def test_adapters_change_answers_and_disturb_nobody(
    embedded: EmbeddedEngine, loras: list[Path]
) -> None:
    for route, path in zip(("one", "two"), loras, strict=True):
        embedded.engine.load_adapter(route, path)
    requests = [
        request(f"{route} {n}", PROMPT[: 20 + n], adapter=route, max_tokens=4, top_logprobs=1)
        for n in range(2)
        for route in (None, "one", "two")
    ]
    together = run(embedded.engine, *requests)
    alone = [run(embedded.engine, each)[0] for each in requests]
    assert [each.of(0) for each in together] == [each.of(0) for each in alone]
    first = [each.steps[0].logprob for each in alone[:3]]
    assert len({each.logprob for each in first if each}) == 3
    for route in ("one", "two"):
        embedded.engine.unload_adapter(route)
    (after,) = run(embedded.engine, requests[0])
    assert after.of(0) == alone[0].of(0)
    with pytest.raises(Refusal, match="there are none"):
        embedded.engine.submit(requests[1], Inbox(1))


def test_a_model_is_no_adapter(embedded: EmbeddedEngine) -> None:
    with pytest.raises(ModelError, match="is no LoRA adapter"):
        embedded.engine.load_adapter("model", locate(None))
    assert embedded.engine.adapters == ()


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_what_was_drafted_has_the_bits_of_one_token_at_a_time(temperature: float) -> None:
    """Prompts of a text that repeats itself, one of them up to where drafts may go."""
    text = random.Random(3).sample(range(300, 40_000), 20)
    requests = [
        request("short", text * 3, max_tokens=60, top_logprobs=2, temperature=temperature),
        request("long", text * 10, max_tokens=60, top_logprobs=2, temperature=temperature),
    ]
    answers, drafted = [], []
    for drafts in (True, False):
        reports: list[StepReport] = []
        opened = open_engine(
            locate(None),
            sequences=2,
            context=CONTEXT,
            threads=1,
            drafts=drafts,
            report=reports.append,
        )
        with closing(opened) as each:
            answers.append([run(each.engine, asked)[0].of(0) for asked in requests])
        drafted.append(sum(report.drafted for report in reports))
    assert answers[0] == answers[1]
    assert drafted[0] > 0 == drafted[1]


@pytest.mark.parametrize("seed", [7, 8])
def test_a_warm_cache_gives_the_bits_of_a_cold_one(embedded: EmbeddedEngine, seed: int) -> None:
    """Prompts that begin alike, one of them in the place of another's answer."""
    fresh = random.Random(seed).sample(range(300, 40_000), 90)
    asked = request("asked", fresh[:60], max_tokens=12, top_logprobs=2)
    (first,) = run(embedded.engine, asked)
    said = [token for token in first.tokens() if token is not None]
    requests = [
        request("again", fresh[:60], max_tokens=4, top_logprobs=2),
        request("on", [*fresh[:60], *said, *fresh[60:64]], max_tokens=4, top_logprobs=2),
        request("branch", [*fresh[:31], *fresh[64:]], max_tokens=4, top_logprobs=2),
    ]
    warm = run(embedded.engine, *requests)
    cached = [each.started.cached_tokens for each in warm if each.started]
    assert cached[0] == 58 and cached[1] >= 60 and cached[2] == 31
    cold = open_engine(locate(None), sequences=1, context=CONTEXT, threads=2)
    try:
        for each, beside in zip(requests, warm, strict=True):
            (alone,) = run(cold.engine, each)
            assert alone.of(0) == beside.of(0)
            run(cold.engine, request("other", [9] * 70, max_tokens=1))
    finally:
        cold.close()
