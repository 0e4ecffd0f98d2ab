"""Tokens of a running choice: the effects of its guide, its penalties and its limits."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from friendli_endpoint.engine.core.sampling import logprobs
from friendli_endpoint.generation import OutputSpan, TokenFindings
from tests.engine.core.scripted_loop import CHAOS, COUNTING, PROMPT, SIZE, VOCABULARY
from tests.support.scripted import (
    ScriptedGuide,
    ScriptedVocabulary,
    bitmask,
    request,
    run,
    serving,
)


class ReadingGuide(ScriptedGuide):
    """Guide that outputs the bytes of every token at once; an EOS token has none."""

    def accept(self, token_id: int, is_last: bool) -> TokenFindings:
        finish = super().accept(token_id, is_last).finish
        if finish == "stop":
            return TokenFindings(0, (), finish, is_end=True)
        content = VOCABULARY.token_bytes(token_id)
        return TokenFindings(len(content), (OutputSpan(False, content),), finish)


def test_a_choice_continues_its_prompt() -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, ReadingGuide(), max_tokens=3))
    assert inbox.tokens() == [81, 82, 83]
    contents = [VOCABULARY.token_bytes(token) for token in (81, 82, 83)]
    assert [[span.raw for span in step.findings.spans] for step in inbox.steps] == [
        [content] for content in contents
    ]
    assert [step.findings.num_bytes for step in inbox.steps] == list(map(len, contents))
    assert inbox.output() == b"".join(contents)
    assert [step.findings.finish for step in inbox.steps] == [None, None, "length"]
    assert all(step.logprob is None and step.top_logprobs == () for step in inbox.steps)


def test_an_eos_token_finishes_with_stop_and_is_delivered() -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, ScriptedGuide(ends=[82]), max_tokens=50))
    assert inbox.tokens() == [81, 82]
    assert inbox.finishes() == ["stop"]


def test_an_eos_token_at_max_tokens_finishes_with_stop() -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, ScriptedGuide(ends=[82]), max_tokens=2))
    assert inbox.finishes() == ["stop"]


def test_a_guide_gets_is_last_for_the_token_at_max_tokens() -> None:
    is_last_flags: list[bool] = []

    class RecordingGuide(ScriptedGuide):
        def accept(self, token_id: int, is_last: bool) -> TokenFindings:
            is_last_flags.append(is_last)
            return super().accept(token_id, is_last)

    with serving(COUNTING) as (engine, _):
        run(engine, request("r", PROMPT, RecordingGuide(), max_tokens=3))
    assert is_last_flags == [False, False, True]


@pytest.mark.parametrize("prompt", [5, 126, 127])
def test_a_choice_finishes_with_length_at_the_end_of_the_context(prompt: int) -> None:
    vocabulary = ScriptedVocabulary(context=128)
    with serving(CHAOS, vocabulary=vocabulary) as (engine, _):
        (inbox,) = run(engine, request("r", [9] * prompt, max_tokens=1000))
    assert len(inbox.steps) == 128 - prompt
    assert inbox.finishes() == ["length"]


def test_a_mask_applies_to_its_position_only() -> None:
    guide = ScriptedGuide(masks={1: bitmask([7, 8], SIZE)})
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=3))
    assert inbox.tokens() == [81, 7, 8]


def test_an_empty_mask_ends_the_choice_without_a_token() -> None:
    guide = ScriptedGuide(masks={1: bitmask([], SIZE)})
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=3, top_logprobs=3))
    assert inbox.tokens() == [81, None]
    assert inbox.steps[-1].findings == TokenFindings(0, (), "stop")
    assert inbox.steps[-1].logprob is None and inbox.steps[-1].top_logprobs == ()


@pytest.mark.parametrize("top", [0, 1, 20])
def test_log_probabilities_are_those_of_the_raw_logits(top: int) -> None:
    guide = ScriptedGuide(masks={1: bitmask([7], SIZE)})
    biased = request(
        "r", PROMPT, guide, max_tokens=3, top_logprobs=top, logit_bias={5: 100.0, 7: 100.0}
    )
    with serving(CHAOS) as (engine, _):
        (inbox,) = run(engine, biased)
    tokens = list(PROMPT)
    for step in inbox.steps:
        assert step.token_id is not None
        expected = logprobs(CHAOS(tuple(tokens)), step.token_id, top)
        assert (step.logprob, step.top_logprobs) == expected
        tokens.append(step.token_id)


@pytest.mark.parametrize("top", [0, 2])
def test_an_eos_token_has_no_log_probability(top: int) -> None:
    guide = ReadingGuide(ends=[82])
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=9, top_logprobs=top))
    first, end = inbox.steps
    assert first.logprob is not None and len(first.top_logprobs) == top
    assert (end.token_id, end.findings.is_end) == (82, True)
    assert end.logprob is None and end.top_logprobs == ()


@pytest.mark.parametrize("top", [0, 2])
def test_a_fast_forward_eos_token_has_no_log_probability(top: int) -> None:
    guide = ReadingGuide(ends=[34], forced={1: [30, 31, 32, 33, 34]})
    with serving(CHAOS) as (engine, backend):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=9, top_logprobs=top))
    assert len(backend.named("extend")) == 1
    *others, end = inbox.steps
    assert all(step.logprob is not None for step in others)
    assert (end.token_id, end.logprob, end.top_logprobs) == (34, None, ())


def two_likely(_tokens: tuple[int, ...]) -> NDArray[np.float32]:
    """Always prefers 7 to 8, and both by far to all others."""
    logits = np.full(SIZE, -50, np.float32)
    logits[[7, 8]] = 3, 2
    return logits


@pytest.mark.parametrize(
    ("penalty", "tokens"),
    [
        ({}, [7, 7, 7, 7]),
        ({"frequency_penalty": 2.0}, [7, 8, 7, 8]),
        ({"presence_penalty": 1.5}, [7, 8, 7, 7]),
        ({"repetition_penalty": 2.0}, [8, 7, 7, 7]),
    ],
)
def test_penalties_count_the_tokens_of_each_choice(
    penalty: dict[str, Any], tokens: list[int]
) -> None:
    guides = [ScriptedGuide() for _ in range(3)]
    penalized = request("r", [7, 60, 70], *guides, max_tokens=4, **penalty)
    with serving(two_likely, slots=2) as (engine, _):
        (inbox,) = run(engine, penalized)
    assert [inbox.tokens(choice) for choice in range(3)] == [tokens] * 3
