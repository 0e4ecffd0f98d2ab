"""Tools without `parameters`: in every family, their only arguments are an empty object."""

import json
import random
from typing import Any

import pytest

from friendli_endpoint.chat.request.tool_choice import tool_choice
from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.chat.tools import ToolSpec
from tests.support.chat import body_of

from .cases import NAMES, family, read
from .walk import Walk, as_text, constraint

WALKS = 12
STEPS = 400


def spec_of(**fields: Any) -> ToolSpec:
    """Returns a function of a request with these fields, as families take it."""
    tool = {"type": "function", "function": {"name": "now", **fields}}
    (offered,) = tool_choice(body_of(tools=[tool])).tools
    root = rewrite_schema(offered.parameters, offered.param).root
    return ToolSpec(offered.name, offered.description, root)


def arguments(name: str, tool: ToolSpec) -> set[str]:
    """Returns the arguments of random calls in a family's format."""
    found = set()
    for number in range(WALKS):
        walk = Walk(constraint(family(name), [tool], as_text, required=True, parallel=False))
        if walk.wander(random.Random(f"{name} {number}"), STEPS):
            (call,) = read(name, [walk.text], [tool]).calls
            assert call.ended
            found.add(json.dumps(json.loads(call.arguments)))
    return found


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fields", [{}, {"parameters": None}], ids=["absent", "null"])
def test_a_tool_without_parameters_takes_no_arguments(name: str, fields: dict[str, Any]) -> None:
    assert arguments(name, spec_of(**fields)) == {"{}"}


def test_an_empty_schema_allows_any_arguments() -> None:
    assert arguments("hermes", spec_of(parameters={})) - {"{}"}
