"""Coverage of schemas: instances, the judge, MCP servers, and the tables."""

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.endpoint.schemas import coverage, installing, servers
from benchmarks.endpoint.schemas.coverage import Checker, Result
from benchmarks.endpoint.schemas.gather import Entry
from benchmarks.endpoint.schemas.instances import changed, instances
from benchmarks.endpoint.schemas.judge import judge_of
from benchmarks.endpoint.schemas.ranking import ranking, reason_of, summary
from benchmarks.endpoint.schemas.sources import ServerSource
from friendli_endpoint.chat.structured import Constraint
from tests.support.scripted import ScriptedVocabulary

ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2,4}$"},
        "kind": {"enum": ["a", "b"]},
        "price": {"type": "number", "minimum": 0, "multipleOf": 0.01},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1},
        "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
    },
    "required": ["id", "price", "lines"],
    "additionalProperties": False,
    "examples": [{"id": "ABC-12", "price": 1, "lines": [7]}],
    "$defs": {"line": {"type": "integer", "exclusiveMinimum": 0, "maximum": 3}},
}


def test_instances_begin_with_examples_and_most_are_valid() -> None:
    values = list(instances(ORDER, 1, 60))
    assert values[0] == ORDER["examples"][0]
    is_valid = judge_of(ORDER)
    verdicts = [is_valid(json.dumps(value)) for value in values[1:]]
    assert sum(map(bool, verdicts)) > 40
    assert list(instances(ORDER, 1, 60)) == values


def test_most_changed_instances_are_invalid() -> None:
    is_valid, rng = judge_of(ORDER), Random(3)
    values = [changed(value, rng) for value in instances(ORDER, 2, 60)]
    assert sum(is_valid(json.dumps(value)) is False for value in values) > 30


@pytest.mark.parametrize(
    ("schema", "text", "verdict"),
    [
        ({"multipleOf": 0.01}, "19.99", True),
        ({"multipleOf": 0.01}, "1e-3", False),
        ({"type": "integer"}, "2.0", True),
        ({"type": "number"}, "NaN", False),
        ({"exclusiveMinimum": True, "minimum": 2}, "2", False),
        ({"pattern": r"\p{L}"}, '"a"', None),
        ({}, "{", False),
        ({"format": "uri"}, '"a b"', False),
        ({"format": "date-time"}, '"2024-02-29T12:00:00Z"', True),
    ],
)
def test_the_judge_counts_decimals_exactly(
    schema: dict[str, Any], text: str, verdict: bool | None
) -> None:
    assert judge_of(schema)(text) is verdict


def test_a_checked_schema_is_taken_or_refused_with_its_keyword() -> None:
    checker = Checker(ScriptedVocabulary(), 4)
    taken = checker.check(Entry("s 1", "taken", ORDER))
    assert taken.param is None and taken.num_valid > 2 and taken.num_invalid > 2
    assert taken.num_outputs and not taken.accepted
    refused = checker.check(Entry("s 1", "refused", {"items": {"extends": {}}}))
    assert refused.param == "schema.items.extends" and refused.num_valid == 0


def test_a_wider_and_a_narrower_grammar_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_one(_checker: Checker, _constraint: Constraint, text: str) -> bool:
        return text == "1"

    monkeypatch.setattr(Checker, "_allows", is_one)
    schema = {"type": "string", "examples": ["x", 1]}
    result = Checker(ScriptedVocabulary(), 1).check(Entry("s 1", "n", schema))
    assert '"x"' in result.refused and result.accepted == ["1"]


def test_refusals_are_ranked_by_keyword_and_reason() -> None:
    results = [
        Result(
            "zod 4", "a", 1.0, "schema.items[0].not", "schema.items[0].not cannot be enforced: x"
        ),
        Result("zod 4", "b", 2.0, "schema.not", "schema.not cannot be enforced: x"),
        Result("mcp-a 1", "c", 3.0, "schema.format", "schema.format cannot be enforced: 'y' of 12"),
        Result("mcp-a 1", "d", 4.0, num_valid=3, refused=["1"]),
    ]
    assert [reason_of(result) for result in results[:3]] == [
        ("not", "x"),
        ("not", "x"),
        ("format", "… of N"),
    ]
    rows = ranking(results)
    assert rows[2].startswith("| 2 | not | x |") and rows[3].startswith("| 1 | format |")
    table = summary(results)
    assert table[2].startswith("| all | 4 | 25.0% | 1 | 0 | 3, 0 |")
    assert [row for row in table if row.startswith("| MCP servers | 2 | 50.0% |")]


SERVER = """
import json, sys
print("starting", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "tools/list":
        page = message["params"].get("cursor")
        tool = {"name": "b" if page else "a", "inputSchema": {"type": "object"}}
        result = {"tools": [tool], **({} if page else {"nextCursor": "2"})}
    else:
        result = {}
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def test_tools_of_a_server_are_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "run", lambda *_arguments, **_options: "")
    monkeypatch.setattr(servers, "_command", lambda *_of: [sys.executable, "-c", SERVER])
    source = ServerSource("pypi", "mcp-a", "1")
    found = list(servers.tool_schemas(source, tmp_path))
    assert found == [("a.inputSchema", {"type": "object"}), ("b.inputSchema", {"type": "object"})]
    monkeypatch.setattr(servers, "_command", lambda *_of: [sys.executable, "-c", "exit()"])
    assert list(servers.tool_schemas(source, tmp_path)) == found
    with pytest.raises(RuntimeError, match="mcp-b 1 does not list its tools"):
        list(servers.tool_schemas(ServerSource("pypi", "mcp-b", "1"), tmp_path))


def test_help_lists_the_details_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        coverage.main(["--help"])
    assert "--details FILE" in capsys.readouterr().out
