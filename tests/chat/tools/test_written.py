"""Calls that are written out are what the family's model would have written."""

import json

import pytest

from friendli_endpoint.chat.tools.written import WrittenCall

from .cases import NAMES, SCHEMAS, TOOLS, A, B, called, family, parsed, read
from .walk import VOCABULARY, Walk, allowed, as_text, constraint

CALLS = [WrittenCall("get", A), WrittenCall("get_all", B), WrittenCall("now.utc", {})]
all_families = pytest.mark.parametrize("name", NAMES)


@all_families
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_parser_reads_written_calls(name: str, number: int) -> None:
    reading = parsed(family(name), family(name).call_text(CALLS[:number]))
    assert reading.text == ""
    assert [(c.name, json.loads(c.arguments), c.ended) for c in reading.calls] == [
        (call.name, call.arguments, True) for call in CALLS[:number]
    ]


def is_parallel(name: str) -> bool:
    """Whether the grammar of a family can have several calls at all."""
    grammars = {
        family(name).grammar(TOOLS, required=True, parallel=parallel, marker=as_text)
        for parallel in (True, False)
    }
    return len(grammars) == 2


@all_families
def test_the_grammar_allows_written_calls(name: str) -> None:
    """All but a marker at the end, which in some families is a token that ends the output."""
    calls = CALLS if is_parallel(name) else CALLS[:1]
    walk = Walk(constraint(family(name), TOOLS, as_text, required=True, parallel=True))
    # The prompt of a model that addresses its output ends with the marker of the first recipient.
    for token in family(name).call_text(calls).removeprefix(">>>").encode():
        if walk.ended or token not in allowed(walk.state):
            break
        walk.append(token)
    assert walk.ended or VOCABULARY.eos_id in allowed(walk.state), walk.text
    assert [(c.name, json.loads(c.arguments)) for c in read(name, [walk.text]).calls] == [
        (call.name, call.arguments) for call in calls
    ]


@all_families
@pytest.mark.parametrize("text", ["not JSON", '{"city": "Zür', "[1, 2]"])
def test_arguments_that_are_not_an_object_are_written_as_they_are(name: str, text: str) -> None:
    written = family(name).call_text([WrittenCall("get", text), WrittenCall("get_all", B)])
    assert text in written
    assert written.index("get") < written.index(text) < written.index("get_all")


def test_every_tool_of_the_cases_is_written() -> None:
    assert {call.name for call in CALLS} == set(SCHEMAS)
    assert called("get", "{}").ended
