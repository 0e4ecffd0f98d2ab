"""Checks the parameter table in docs/data-flow.md against the request body and the code."""

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
    resolved.__name__: resolved
    for resolved in (ChatRequest, DecodingRules, GenerationRequest, ReasoningRule, SamplingParams)
}
ROWS: list[tuple[str, str, str, str]] = ROW.findall(PAGE)


def test_every_body_field_has_exactly_one_row() -> None:
    listed = [name for name, *_ in ROWS]
    assert len(set(listed)) == len(listed)
    assert set(listed) == set(DedicatedChatCompletionBody.model_fields)


@pytest.mark.parametrize(
    ("name", "checked_in", "resolved_to", "takes_effect_in"), ROWS, ids=lambda value: value
)
def test_each_row_names_existing_modules_and_fields(
    name: str, checked_in: str, resolved_to: str, takes_effect_in: str
) -> None:
    checking = (SOURCE / checked_in).read_text(encoding="utf-8")
    applying = (SOURCE / takes_effect_in).read_text(encoding="utf-8")
    targets = re.findall(r"`(\w+)\.(\w+)`", resolved_to)
    assert targets
    for type_name, field in targets:
        assert field in {known.name for known in fields(TYPES[type_name])}
    resolved_fields = [field for _, field in targets]
    assert name in checking or any(field in checking for field in resolved_fields)
    names = {name, *resolved_fields}
    assert any(field in applying for field in names), (
        f"{takes_effect_in} contains none of {sorted(names)}"
    )
