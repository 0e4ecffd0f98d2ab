"""Requests to an engine are plain data, the same in another process."""

import dataclasses
import random
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from friendli_endpoint.chat.decoding.guide import ChoiceGuide
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.reasoning.styles import STYLES
from friendli_endpoint.generation import (
    VERSION,
    DecodingRules,
    GenerationRequest,
    Grammar,
    MediaSegment,
    SamplingParams,
    Segment,
    TextSegment,
)
from tests.chat.random_requests import MODELS, RULES, SOURCES, VOCABULARY, bodies, budgeted
from tests.support.chat import body_of, set_bits
from tests.support.scripted import ScriptedVocabulary

REQUESTS = TypeAdapter(GenerationRequest)


def transported(request: GenerationRequest) -> GenerationRequest:
    """The same request after it has been sent to another process."""
    packed = msgpack.packb(REQUESTS.dump_python(request))
    return REQUESTS.validate_python(msgpack.unpackb(packed, strict_map_key=False))


def allowed(guide: ChoiceGuide, vocabulary: ScriptedVocabulary) -> set[int] | None:
    mask = guide.mask()
    return None if mask is None else set_bits(mask, vocabulary)


def walk_together(here: ChoiceGuide, there: ChoiceGuide, draw: random.Random, most: int) -> None:
    """Checks that two guides do the same on a random walk."""
    assert here.looks_ahead == there.looks_ahead
    likely = [VOCABULARY.byte(character) for character in '<think>/{"a": tru1}_cl']
    for number in range(most):
        forced = list(here.fast_forward_tokens())
        assert list(there.fast_forward_tokens()) == forced
        choices = allowed(here, VOCABULARY)
        assert allowed(there, VOCABULARY) == choices
        if choices is None:
            choices = set(range(VOCABULARY.size))
        if not choices:
            break
        liked = sorted(choices.intersection(likely)) if draw.random() < 0.8 else []
        token = forced[0] if forced else draw.choice(liked or sorted(choices))
        findings = here.accept(token, number == most - 1)
        assert there.accept(token, number == most - 1) == findings
        if findings.finish is not None:
            return
    assert there.exhausted() == here.exhausted()


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(SOURCES),
    bodies(),
    st.none() | st.integers(1, 12),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_a_request_is_the_same_in_another_process(
    source: str, body: dict[str, Any], budget: int | None, stream: bool, seed: int
) -> None:
    asked = body_of(**budgeted(source, body, budget), stream=stream)
    request = MODELS[source].prepare(asked).request
    received = transported(request)
    assert received == request
    assert received.rules == request.rules and hash(received.rules) == hash(request.rules)
    elsewhere = RuleCompiler(VOCABULARY)
    for index in range(len(request.choices)):
        here, there = RULES.guide(request.rules), elsewhere.guide(received.rules)
        walk_together(here, there, random.Random(seed + index), 40)


def test_a_request_with_all_that_a_request_can_have_is_the_same_in_another_process() -> None:
    request = GenerationRequest(
        "r",
        (TextSegment((1, 2)), MediaSegment(3, bytes(range(32)), b"\xff\x00"), TextSegment((3,))),
        (
            SamplingParams(
                2**64 - 1,
                0.5,
                3,
                0.9,
                0.1,
                1.1,
                -0.5,
                0.25,
                {5: float("-inf"), 7: 2.0},
                0.2,
                0.75,
                (2, 14),
            ),
        ),
        DecodingRules(
            (0, 2),
            (3,),
            ("é", "\ud7ff"),
            1,
            Grammar("lark", "start: /a/"),
            dataclasses.replace(STYLES[-1].rule("x", ("<c>",), trims=False, budget=2)),
        ),
        7,
        0,
        "route",
        False,
    )
    received = transported(request)
    assert received == request
    assert received.num_prompt_tokens == 6


PICTURE = MediaSegment(3, bytes(32), b"\xff")


def of_prompt(*segments: Segment) -> GenerationRequest:
    return GenerationRequest("r", segments, (SamplingParams(0),), DecodingRules((0,)), 1)


def test_the_tokens_of_a_prompt_are_those_of_its_segments_in_order() -> None:
    request = of_prompt(TextSegment((7, 1)), TextSegment((1,)), TextSegment((0, 3)))
    assert request.prompt_ids == (7, 1, 1, 0, 3)
    assert request.num_prompt_tokens == 5


@pytest.mark.parametrize("segments", [(PICTURE,), (TextSegment((1,)), PICTURE)])
def test_a_prompt_with_media_is_counted_but_has_no_token_ids(segments: tuple[Segment, ...]) -> None:
    request = of_prompt(*segments)
    assert request.num_prompt_tokens == 2 + len(segments)
    with pytest.raises(ValueError, match="holds media"):
        _ = request.prompt_ids


def test_a_request_without_a_version_is_of_the_present_one() -> None:
    fields = REQUESTS.dump_python(of_prompt(TextSegment((1,))))
    del fields["version"]
    assert REQUESTS.validate_python(fields).version == VERSION
    older = dataclasses.replace(of_prompt(TextSegment((1,))), version=VERSION - 1)
    assert transported(older).version == VERSION - 1
