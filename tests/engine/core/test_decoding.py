"""Several tokens in one step: fast-forward tokens and drafts."""

import threading
from collections.abc import Sequence
from itertools import count, pairwise, takewhile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli_endpoint.engine.core.sampling import logprobs
from friendli_endpoint.generation import StepReport, TokenLogprob
from tests.engine.core.scripted_loop import (
    CHAOS,
    COUNTING,
    PROMPT,
    SIZE,
    failure,
    outcome,
    with_new_guides,
)
from tests.support.scripted import (
    ScriptedGuide,
    ScriptedVocabulary,
    bitmask,
    repeating,
    request,
    run,
    serving,
)

RUN = [30, 31, 32, 33, 34]


def test_fast_forward_tokens_are_generated_whatever_the_logits() -> None:
    guide = ScriptedGuide(forced={0: [9], 2: [100, 101], 3: [101]})
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=5, top_logprobs=1))
    assert inbox.tokens() == [9, 10, 100, 101, 102]
    assert guide.accepted == [9, 10, 100, 101, 102]
    first = inbox.steps[0]
    assert first.logprob is not None and first.logprob.token_id == 9
    assert first.logprob.logprob < first.top_logprobs[0].logprob
    assert first.top_logprobs[0].token_id == 81


@pytest.mark.parametrize("top", [None, 2])
def test_several_fast_forward_tokens_are_computed_in_one_call(top: int | None) -> None:
    guide = ScriptedGuide(forced={1: RUN})
    with serving(CHAOS) as (engine, backend):
        asked = request("r", PROMPT, guide, max_tokens=8, top_logprobs=top)
        (inbox,) = run(engine, asked)
    first, *run_and_more = inbox.tokens()
    assert run_and_more[:5] == RUN
    (extended,) = backend.named("extend")
    assert extended.tokens == (first, *RUN[:-1])
    after, last = backend.named("decode")
    assert after.tokens == (RUN[-1],) and len(last.tokens) == 1
    tokens = list(PROMPT)
    for step in inbox.steps:
        assert step.token_id is not None
        expected: tuple[TokenLogprob | None, tuple[TokenLogprob, ...]] = (None, ())
        if top is not None:
            expected = logprobs(CHAOS(tuple(tokens)), step.token_id, top)
        assert (step.logprob, step.top_logprobs) == expected
        tokens.append(step.token_id)


@pytest.mark.parametrize(
    ("guide", "max_tokens", "expected", "finish"),
    [
        (ScriptedGuide(ends=[32], forced={1: RUN}), 9, [81, 30, 31, 32], "stop"),
        (ScriptedGuide(forced={1: RUN}), 4, [81, 30, 31, 32], "length"),
        (ScriptedGuide(forced={1: RUN}), 6, [81, *RUN], "length"),
        (ScriptedGuide(forced={0: RUN, 1: RUN[1:]}), 6, [*RUN, 35], "length"),
    ],
)
def test_fast_forward_tokens_end_at_an_eos_id_and_at_max_tokens(
    guide: ScriptedGuide, max_tokens: int, expected: list[int], finish: str
) -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=max_tokens))
    assert inbox.tokens() == expected == guide.accepted
    assert inbox.finishes() == [finish]


@pytest.mark.parametrize("remaining", range(1, 9))
def test_fast_forward_tokens_never_exceed_the_context(remaining: int) -> None:
    vocabulary = ScriptedVocabulary(context=128)
    guide = ScriptedGuide(forced={1: RUN})
    with serving(COUNTING, vocabulary=vocabulary) as (engine, _):
        (inbox,) = run(engine, request("r", [80] * (128 - remaining), guide, max_tokens=1000))
    assert inbox.tokens() == [81, *RUN, 35, 36][:remaining]
    assert inbox.finishes() == ["length"]


def test_a_guide_that_fails_at_a_fast_forward_token_fails_its_request_alone() -> None:
    faulty = ScriptedGuide(forced={1: RUN}, fails_at=3)
    with serving(COUNTING) as (engine, _):
        failed, good = run(
            engine,
            request("bad", PROMPT, faulty, max_tokens=9),
            request("good", PROMPT, ScriptedGuide(forced={1: RUN}), max_tokens=9),
        )
    assert "the guide cannot go on" in (failure(failed) or "")
    assert good.tokens() == [81, *RUN, 35, 36, 37]


def test_a_step_computes_a_bounded_number_of_fast_forward_tokens() -> None:
    long = list(range(200, 216))
    guides = [ScriptedGuide(forced={1: long, 17: long, 33: long}) for _ in range(5)]
    with serving(COUNTING, slots=6, step_tokens=16) as (engine, backend):
        requests = [
            request(f"f{n}", PROMPT, guide, max_tokens=60) for n, guide in enumerate(guides)
        ]
        plain, *others = run(engine, request("plain", PROMPT, max_tokens=120), *requests)
    assert plain.tokens() == [81 + n for n in range(120)]
    assert [inbox.tokens()[1:49] for inbox in others] == [long * 3] * 5
    calls = [call for call in backend.calls if call.name in ("extend", "decode")]
    for call, following in pairwise(calls):
        assert "decode" in (call.name, following.name), "a step computes one such run"


@given(
    seed=st.integers(0, 1 << 16),
    period=st.integers(1, 9),
    share=st.sampled_from([0.3, 0.8, 0.95, 1.0]),
    batch_invariant_positions=st.integers(0, 120),
    runs=st.dictionaries(st.integers(0, 50), st.lists(st.integers(4, 200), max_size=9)),
    ends=st.frozensets(st.integers(4, 200), max_size=2),
)
@settings(max_examples=80, deadline=None)
def test_drafts_do_not_change_the_output(
    seed: int,
    period: int,
    share: float,
    batch_invariant_positions: int,
    runs: dict[int, list[int]],
    ends: frozenset[int],
) -> None:
    rule = repeating(SIZE, period, share)
    fixed = {start + n: token for start, run in runs.items() for n, token in enumerate(run)}
    forced = {
        start: [fixed[at] for at in takewhile(fixed.__contains__, count(start))] for start in fixed
    }
    allowed = bitmask(range(4, 200), SIZE)

    def outcomes(drafts: bool) -> list[object]:
        found: list[object] = []
        with serving(
            rule, slots=2, batch_invariant_positions=batch_invariant_positions, drafts=drafts
        ) as (engine, _):
            for temperature in (0.0, 1.0):
                guide = ScriptedGuide(ends, masks={5: allowed, 20: allowed}, forced=forced)
                prompt = [*range(10, 20), *range(10, 10 + seed % 8)]
                asked = request(
                    "r",
                    prompt,
                    guide,
                    seed=seed,
                    temperature=temperature,
                    max_tokens=80,
                    top_logprobs=2,
                    repetition_penalty=1.1,
                    presence_penalty=0.5,
                    top_p=0.95,
                )
                (inbox,) = run(engine, asked)
                found += [outcome(inbox), guide.accepted]
        return found

    assert outcomes(True) == outcomes(False)


@pytest.mark.parametrize(
    ("drafts", "batch_invariant_positions"), [(True, 100), (True, 0), (True, 30), (False, 100)]
)
def test_repeating_output_is_drafted_at_batch_invariant_positions_only(
    drafts: bool, batch_invariant_positions: int
) -> None:
    asked = request("r", [5, 6, 7, 8, 9] * 3, max_tokens=60)
    reports: list[StepReport] = []
    rule = repeating(SIZE, 5, 1.0)
    with serving(
        rule,
        batch_invariant_positions=batch_invariant_positions,
        drafts=drafts,
        report=reports.append,
    ) as (engine, backend):
        (inbox,) = run(engine, asked)
    assert inbox.tokens() == [5, 6, 7, 8, 9] * 12
    ahead = backend.named("extend")
    assert all(call.position + len(call.tokens) <= batch_invariant_positions for call in ahead)
    drafted = sum(report.drafted for report in reports)
    assert drafted == sum(len(call.tokens) - 1 for call in ahead)
    assert sum(report.accepted for report in reports) == drafted
    calls = len(ahead) + len(backend.named("decode"))
    assert {(True, 100): calls < 12, (True, 30): 40 < calls < 52}.get(
        (drafts, batch_invariant_positions), calls == 59
    )


def test_output_that_does_not_repeat_is_not_drafted() -> None:
    with serving(CHAOS, batch_invariant_positions=128) as (engine, backend):
        run(engine, request("r", PROMPT, max_tokens=60))
    assert backend.named("extend") == []


def test_rejected_draft_tokens_do_not_change_the_output() -> None:
    asked = request("r", PROMPT, max_tokens=120, top_logprobs=2, temperature=1.0)
    reports: list[StepReport] = []
    rule = repeating(SIZE, 5, 0.9)
    with serving(rule, batch_invariant_positions=128, report=reports.append) as (engine, _):
        (drafted,) = run(engine, asked)
    with serving(rule, batch_invariant_positions=128, drafts=False) as (engine, _):
        (decoded,) = run(engine, with_new_guides(asked))
    assert outcome(drafted) == outcome(decoded)
    accepted = sum(report.accepted for report in reports)
    assert 0 < accepted < sum(report.drafted for report in reports)


def test_choices_that_run_in_a_batch_are_not_drafted() -> None:
    guides = [ScriptedGuide(), ScriptedGuide()]
    with serving(repeating(SIZE, 5, 1.0), batch_invariant_positions=128) as (engine, backend):
        run(engine, request("r", [5, 6, 7, 8, 9] * 3, *guides, max_tokens=30))
    assert backend.named("extend") == []


class WatchedGuide(ScriptedGuide):
    """Records the threads that ask it for masks and for fast-forward tokens."""

    def __init__(self, *, looks_ahead: bool) -> None:
        super().__init__(forced={1: RUN, 6: RUN})
        self.looks_ahead = looks_ahead
        self.threads: set[str] = set()

    def mask(self) -> NDArray[np.uint32] | None:
        self.threads.add(threading.current_thread().name)
        return super().mask()

    def fast_forward_tokens(self) -> Sequence[int]:
        self.threads.add(threading.current_thread().name)
        return super().fast_forward_tokens()


def test_a_slow_guide_is_never_asked_on_the_thread_of_the_engine() -> None:
    slow, fast = WatchedGuide(looks_ahead=True), WatchedGuide(looks_ahead=False)
    with serving(CHAOS) as (engine, _):
        inboxes = run(
            engine,
            request("slow", PROMPT, slow, max_tokens=12),
            request("fast", PROMPT, fast, max_tokens=12),
        )
    assert inboxes[0].tokens() == inboxes[1].tokens()
    assert inboxes[0].tokens()[1:6] == RUN
    assert {name.rstrip("0123456789_") for name in slow.threads} == {"guides"}
    assert fast.threads == {"engine"}
