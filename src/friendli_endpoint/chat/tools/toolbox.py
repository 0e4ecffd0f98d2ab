"""The tools of a request: what is offered, whether one must be called, and in which form."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.request.rules import Values
from friendli_endpoint.chat.structured import Constraint, ConstraintCompiler
from friendli_endpoint.chat.structured.json_schema import fit_schema
from friendli_endpoint.chat.tools.family import Family, Marker, ToolSpec
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.generation import Refusal, Vocabulary

__all__ = ["Toolbox", "control_markers", "marker_of", "toolbox_of"]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the model may call in an answer.

    Attributes:
        family: The form of calls.
        tools: At least one.
        offered: The same as they came, for the chat template.
        required: Whether the answer must be calls.
        parallel: Whether it may be several.
    """

    family: Family
    tools: tuple[ToolSpec, ...]
    offered: list[dict[str, Any]]
    required: bool
    parallel: bool

    def constraint(
        self, compiler: ConstraintCompiler, end_ids: frozenset[int], marker: Marker
    ) -> Constraint:
        """What holds an answer to these tools.

        Raises:
            Refusal: A tool's schema cannot be enforced; names the keyword and its place.
        """
        for index, each in enumerate(self.offered):
            # For the sake of an error that names the place.
            compiler.check_schema(_arguments(index, each["function"]), _parameters(index))
        grammar = self.family.grammar(
            self.tools, required=self.required, parallel=self.parallel, marker=marker
        )
        return compiler.lark(grammar, end_ids, "tools")


def toolbox_of(asked: Values, family: Family) -> Toolbox | None:
    """The tools of a request; None where there are none, or none may be called.

    Raises:
        Refusal: A name is not one, is used twice, or is chosen without being offered.
    """
    offered: list[dict[str, Any]] = asked.get("tools", [])
    tools = tuple(_spec(index, each["function"]) for index, each in enumerate(offered))
    _check_names(tools)
    choice = asked.get("tool_choice", "auto")
    if isinstance(choice, dict):
        tools, offered = _chosen(choice["function"]["name"], tools, offered)
    if not tools or choice == "none":
        return None
    return Toolbox(
        family,
        tools,
        offered,
        required=choice != "auto",
        parallel=asked.get("parallel_tool_calls", True) and not isinstance(choice, dict),
    )


def control_markers(family: Family, vocabulary: Vocabulary) -> frozenset[int]:
    """The control tokens in which a family's calls are written; they must be read as text."""
    texts = {marker.encode() for marker in family.markers}
    return frozenset(t for t in vocabulary.control_ids if vocabulary.piece(t) in texts)


def marker_of(family: Family, vocabulary: Vocabulary) -> Marker:
    """How a family's markers are written in a grammar for a vocabulary."""
    control = {
        vocabulary.piece(token).decode(errors="replace"): token
        for token in control_markers(family, vocabulary)
    }

    def lark(text: str) -> str:
        return f"<[{control[text]}]>" if text in control else quoted(text)

    return lark


def _spec(index: int, function: dict[str, Any]) -> ToolSpec:
    name = function["name"]
    if not _NAME.fullmatch(name):
        raise Refusal(
            "a function's name must be 1 to 64 letters, digits, dots, dashes and underscores, "
            f"not {name!r}",
            param=f"tools[{index}].function.name",
            code="out_of_range",
        )
    fit = fit_schema(_arguments(index, function), _parameters(index))
    return ToolSpec(name, function.get("description"), fit.root)


def _arguments(index: int, function: dict[str, Any]) -> dict[str, Any]:
    """The schema of a function's arguments, which are an object whatever it says."""
    schema: dict[str, Any] = function["parameters"] or {"properties": {}}
    if schema.get("type", "object") != "object":
        raise Refusal(
            f"arguments are an object, so the type must be object, not {schema['type']!r}",
            param=f"{_parameters(index)}.type",
            code="invalid_schema",
        )
    return {**schema, "type": "object"}


def _parameters(index: int) -> str:
    return f"tools[{index}].function.parameters"


def _check_names(tools: Sequence[ToolSpec]) -> None:
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in seen:
            raise Refusal(
                f"there are two tools with the name {tool.name!r}",
                param=f"tools[{index}].function.name",
                code="conflict",
            )
        seen.add(tool.name)


def _chosen(
    name: str, tools: tuple[ToolSpec, ...], offered: list[dict[str, Any]]
) -> tuple[tuple[ToolSpec, ...], list[dict[str, Any]]]:
    for tool, each in zip(tools, offered, strict=True):
        if tool.name == name:
            return (tool,), [each]
    known = ", ".join(tool.name for tool in tools)
    raise Refusal(
        f"tool_choice names {name!r}, which is not one of the tools: {known}",
        param="tool_choice.function.name",
        code="unknown_value",
    )
