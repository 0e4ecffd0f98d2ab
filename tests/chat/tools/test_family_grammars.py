"""Outputs of each family's grammar are read by its parser and valid against the schemas."""

import json
import random

import jsonschema
import pytest

from friendli_endpoint.chat.tools import Marker

from .cases import CASES, NAMES, SCHEMAS, TOOLS, A, family, read, visible
from .walk import VOCABULARY, Walk, allowed, as_text, as_token, constraint, encoded

all_families = pytest.mark.parametrize("name", NAMES)
both_markers = pytest.mark.parametrize("marker", [as_text, as_token])
WALKS = 6
STEPS = 400


def start(name: str, marker: Marker, *, required: bool, parallel: bool) -> Walk:
    return Walk(constraint(family(name), TOOLS, marker, required=required, parallel=parallel))


def seed_of(*parts: object) -> random.Random:
    return random.Random(repr(parts))


def openings(name: str, marker: Marker) -> list[list[int]]:
    """Returns token ids of the texts that begin a call."""
    known = family(name).markers
    if name == "harmony":
        return [encoded("<|channel|>commentary to=functions.get <|constrain|>", marker)]
    if known and marker is as_token:
        return [[VOCABULARY.ids[known[0]]]]
    texts = {
        "llama3": ['{"name": "get"'],
        "functionary": [">>>get\n"],
        "functionary_tags": ["<function="],
        "pythonic": ["[get("],
    }
    return [list(text.encode()) for text in texts.get(name, list(known[:1]))]


def check(name: str, walk: Walk, finished: bool, parallel: bool) -> int:
    """Checks the calls in an output; returns their number."""
    result = read(name, [walk.output.decode(errors="ignore")])
    for call in result.calls:
        assert call.name in SCHEMAS
        if call.ended:
            arguments = json.loads(call.arguments)
            jsonschema.validate(arguments, SCHEMAS[call.name])
    if finished:
        assert all(call.ended for call in result.calls), walk.text
        if result.calls:
            assert parallel or len(result.calls) == 1
    return len(result.calls)


@pytest.mark.exhaustive
@all_families
@both_markers
@pytest.mark.parametrize("parallel", [False, True])
def test_required_output_is_calls_and_nothing_else(
    name: str, marker: Marker, parallel: bool
) -> None:
    draw, finished = seed_of(name, marker.__name__, parallel), 0
    for _ in range(WALKS):
        walk = start(name, marker, required=True, parallel=parallel)
        ended = walk.wander(draw, STEPS)
        calls = check(name, walk, ended, parallel)
        if ended:
            finished += 1
            assert calls >= 1
            assert read(name, [walk.text]).text == ""
            assert parallel or walk.ended or allowed(walk.state) == [VOCABULARY.eos_id]
    assert finished >= WALKS / 2


@pytest.mark.exhaustive
@all_families
@both_markers
@pytest.mark.parametrize("parallel", [False, True])
def test_calls_in_text_are_valid_against_the_schemas(
    name: str, marker: Marker, parallel: bool
) -> None:
    draw, finished = seed_of(name, marker.__name__, parallel), 0
    before = CASES[name].before
    for _ in range(WALKS):
        walk = start(name, marker, required=False, parallel=parallel)
        bare = marker is as_text and name in ("llama3", "pythonic")
        walk.write("" if bare else before, marker)
        for ids in openings(name, marker):
            for token in ids:
                assert token in allowed(walk.state)
                walk.append(token)
        ended = walk.wander(draw, STEPS)
        calls = check(name, walk, ended, parallel)
        if ended:
            finished += 1
            assert calls >= 1
            assert read(name, [walk.text]).text == ("" if bare else visible(name, before))
    assert finished >= WALKS / 2


@all_families
@both_markers
def test_text_without_calls_is_unconstrained(name: str, marker: Marker) -> None:
    walk = start(name, marker, required=False, parallel=True)
    text = '¿Qué? \U0001f600\n\n  {"a": [1, 2]}\t</b> `x` [1](y) "q\x07'
    walk.write(("all\n" if name == "functionary" else "") + text)
    assert not walk.ended and VOCABULARY.eos_id in allowed(walk.state)
    assert read(name, [walk.text]).text == text


@pytest.mark.exhaustive
@all_families
@both_markers
def test_grammar_and_parser_agree_on_text_that_resembles_a_call(name: str, marker: Marker) -> None:
    """Text that the grammar allows as text must be text for the parser, too."""
    draw = seed_of(name, marker.__name__)
    for text in (CASES[name].single, CASES[name].double):
        for _ in range(12):
            walk = start(name, marker, required=False, parallel=True)
            cut = draw.randrange(len(text))
            wild = text[:cut] + draw.choice(["x", " ", "\n", "é", '"']) + text[cut:]
            prefix = draw.choice(["", "\n", " \t", "x"])
            for token in (prefix + wild).encode():
                if walk.ended or token not in allowed(walk.state):
                    break
                walk.append(token)
            check(name, walk, finished=False, parallel=True)


def canonical(name: str) -> str:
    """Returns a required call as models write it; the grammars do not allow escaped letters."""
    city = json.dumps(A["city"]), json.dumps(A["city"], ensure_ascii=False)
    return CASES[name].single.removeprefix(">>>").replace(*city)


@all_families
def test_the_canonical_call_is_allowed_and_ends_the_output(name: str) -> None:
    walk = start(name, as_text, required=True, parallel=False)
    walk.write(canonical(name))
    assert walk.ended or allowed(walk.state) == [VOCABULARY.eos_id]


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].exact])
def test_white_space_in_arguments_is_limited(name: str) -> None:
    before, brace, _ = canonical(name).partition('{"city"')
    walk = start(name, as_text, required=True, parallel=False)
    walk.write(before + brace[0] + "\n" + " " * 16)
    assert ord(" ") not in allowed(walk.state)
