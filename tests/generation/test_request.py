"""Requests and their rules are plain data that survives serialization."""

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from friendli_endpoint.generation.codec import Codec
from tests.chat.random_requests import MODELS, RULES, SOURCES, VOCABULARY, bodies, budgeted
from tests.support.chat import body_of, set_bits
from tests.support.scripted import ScriptedVocabulary

REQUESTS: Codec[GenerationRequest] = Codec(GenerationRequest)


def transported(request: GenerationRequest) -> GenerationRequest:
    """Serializes and deserializes a request."""
    return REQUESTS.decode(REQUESTS.encode(request))


def allowed(guide: ChoiceGuide, vocabulary: ScriptedVocabulary) -> set[int] | None:
    mask = guide.mask()
    return None if mask is None else set_bits(mask, vocabulary)


def walk_together(
    here: ChoiceGuide, there: ChoiceGuide, draw: random.Random, max_tokens: int
) -> None:
    """Checks that two guides behave equally on a random walk."""
    assert here.looks_ahead == there.looks_ahead
    likely = [VOCABULARY.byte(character) for character in '<think>/{"a": tru1}_cl']
    for number in range(max_tokens):
        fast_forward = list(here.fast_forward_tokens())
        assert list(there.fast_forward_tokens()) == fast_forward
        choices = allowed(here, VOCABULARY)
        assert allowed(there, VOCABULARY) == choices
        if choices is None:
            choices = set(range(VOCABULARY.size))
        if not choices:
            break
        liked = sorted(choices.intersection(likely)) if draw.random() < 0.8 else []
        token = fast_forward[0] if fast_forward else draw.choice(liked or sorted(choices))
        is_last = number == max_tokens - 1
        findings = here.accept(token, is_last)
        assert there.accept(token, is_last) == findings
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
def test_a_request_and_its_guides_survive_serialization(
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


def test_a_request_with_every_field_set_survives_serialization() -> None:
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
            dataclasses.replace(STYLES[-1].rule("x", ("<c>",), trims=False, budget=2), before="b "),
            "é ",
        ),
        7,
        0,
        "route",
        False,
        resumed=True,
    )
    received = transported(request)
    assert received == request
    assert received.num_prompt_tokens == 6


IMAGE = MediaSegment(3, bytes(32), b"\xff")


def of_prompt(*segments: Segment) -> GenerationRequest:
    return GenerationRequest("r", segments, (SamplingParams(0),), DecodingRules((0,)), 1)


def test_prompt_ids_are_those_of_the_segments_in_order() -> None:
    request = of_prompt(TextSegment((7, 1)), TextSegment((1,)), TextSegment((0, 3)))
    assert request.prompt_ids == (7, 1, 1, 0, 3)
    assert request.num_prompt_tokens == 5


@pytest.mark.parametrize("segments", [(IMAGE,), (TextSegment((1,)), IMAGE)])
def test_a_prompt_with_media_has_a_length_but_no_token_ids(segments: tuple[Segment, ...]) -> None:
    request = of_prompt(*segments)
    assert request.num_prompt_tokens == 2 + len(segments)
    with pytest.raises(ValueError, match="contains media"):
        _ = request.prompt_ids


def test_the_version_defaults_to_the_current_one() -> None:
    asked = of_prompt(TextSegment((1,)))
    assert asked.version == VERSION
    older = dataclasses.replace(asked, version=VERSION - 1)
    assert transported(older).version == VERSION - 1
