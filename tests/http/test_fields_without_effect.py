"""The table of fields without effect: its documentation, and what programs are known to send."""

import json
from pathlib import Path

import pytest

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.http.body import EndpointBody
from friendli_endpoint.http.fields_without_effect import (
    ANY,
    FieldsWithoutEffect,
    fields_without_effect,
)

PAGE = Path(__file__).parents[2] / "docs" / "parameters.md"
ROWS = list(fields_without_effect(DedicatedChatCompletionBody))


def documented(row: FieldsWithoutEffect) -> str:
    """Returns a row as the documentation prints it."""
    fields = [
        *(f"`{name}`" for name, values in row.fields.items() if values is ANY),
        *(
            f"`{name}: {json.dumps(value)}`"
            for name, values in row.fields.items()
            for value in values or ()
        ),
    ]
    path = f"`{row.path}`" if row.path else "the body"
    return f"| {path} | {', '.join(fields)} | {row.reason} |"


def test_the_documentation_prints_the_table() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Other fields\n")[2]
    _, _, after = section.partition("|---|---|---|\n")
    printed = after.partition("\n\n")[0].splitlines()
    assert printed == [documented(row) for row in ROWS]


def test_a_field_of_an_object_is_in_one_row_only() -> None:
    fields = [(row.path, name) for row in ROWS for name in row.fields]
    assert len(set(fields)) == len(fields)


def test_bodies_of_this_endpoint_only_have_no_such_fields() -> None:
    assert list(fields_without_effect(EndpointBody)) == []


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", "metadata prompt_cache_key safety_identifier service_tier store user"),
        ("messages[assistant]", "annotations refusal"),
        ("messages[].tool_calls[]", "index"),
        ("messages[].content[].image_url", "detail"),
        ("tools[].function", "strict"),
        ("response_format.json_schema", "description name strict"),
    ],
)
def test_what_the_common_clients_send_is_listed(path: str, names: str) -> None:
    listed = {name for row in ROWS if row.path == path for name in row.fields}
    assert set(names.split()) <= listed
