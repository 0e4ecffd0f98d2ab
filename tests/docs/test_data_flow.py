"""The table of parameters in docs/data-flow.md, held against the body and the code."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.request.chat_request import ChatRequest
from friendli_endpoint.generation import (
    DecodingRules,
    GenerationRequest,
    ReasoningRule,
    SamplingParams,
)

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "friendli_endpoint"
PAGE = (ROOT / "docs" / "data-flow.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| `([\w/]+\.py)` \| (.+) \| `([\w/]+\.py)` \|$", re.MULTILINE)
TYPES = {
    kind.__name__: kind
    for kind in (ChatRequest, DecodingRules, GenerationRequest, ReasoningRule, SamplingParams)
}
ROWS: list[tuple[str, str, str, str]] = ROW.findall(PAGE)


def test_every_field_of_the_body_has_one_row_in_its_order() -> None:
    listed = [name for name, *_ in ROWS]
    assert len(set(listed)) == len(listed)
    assert set(listed) == set(DedicatedChatCompletionBody.model_fields)


@pytest.mark.parametrize(("name", "checked", "turned", "effect"), ROWS, ids=lambda value: value)
def test_a_row_names_what_the_code_has(name: str, checked: str, turned: str, effect: str) -> None:
    texts = {path: (SOURCE / path).read_text(encoding="utf-8") for path in (checked, effect)}
    targets = re.findall(r"`(\w+)\.(\w+)`", turned)
    assert targets
    for kind, field in targets:
        assert field in {known.name for known in fields(TYPES[kind])}
    assert name in texts[checked] or any(field in texts[checked] for _, field in targets)
    words = {name, *(field for _, field in targets)}
    assert any(word in texts[effect] for word in words), f"{effect} has none of {sorted(words)}"
