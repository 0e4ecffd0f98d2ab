"""A tool with one argument, and its calls in the formats that write arguments one by one."""

import json
from typing import Any

import jsonschema

from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.chat.tools import ToolSpec

from .cases import family, read
from .walk import Walk, allowed, as_text, constraint

FORMS = {
    "qwen_coder": ("<tool_call>\n<function=f>\n", "<parameter=x>\n", "\n</parameter>\n"),
    "seed": ("<seed:tool_call>\n<function=f>\n", "<parameter=x>", "</parameter>\n"),
    "glm": ("<tool_call>f\n", "<arg_key>x</arg_key>\n<arg_value>", "</arg_value>\n"),
    "pythonic": ("[f(", "x=", ""),
}
ENDS = {
    "qwen_coder": "</function>\n</tool_call>",
    "seed": "</function>\n</seed:tool_call>",
    "glm": "</tool_call>",
    "pythonic": ")]",
}


def tool(schema: dict[str, Any], required: bool = True, **root: Any) -> ToolSpec:
    names = ["x"] if required else []
    whole = {"type": "object", "properties": {"x": schema}, "required": names, **root}
    return ToolSpec("f", None, rewrite_schema(whole, "p").root)


def written(name: str, spec: ToolSpec, value: str) -> str | None:
    """Returns a call with the text of a value; None if the grammar does not allow it."""
    walk = Walk(constraint(family(name), [spec], as_text, required=True, parallel=False))
    opening, before, after = FORMS[name]
    for token in (opening + before + value + after + ENDS[name]).encode():
        if walk.ended or token not in allowed(walk.state):
            return None
        walk.append(token)
    return walk.text


STRING = {"type": "string"}
XML = ["qwen_coder", "seed", "glm"]
DEFINITIONS = {"E": {"enum": ["a", "b"]}}


def check_value(name: str, schema: dict[str, Any], text: str, value: Any) -> None:
    """Checks that a grammar allows the text of a value, and that it is parsed to the value."""
    spec = tool(schema, True, **({"$defs": DEFINITIONS} if "$ref" in schema else {}))
    output = written(name, spec, text)
    assert output is not None
    (call,) = read(name, [output], [spec]).calls
    assert json.loads(call.arguments) == {"x": value}
    assert read(name, list(output), [spec]) == read(name, [output], [spec])
    jsonschema.validate({"x": value}, {"properties": {"x": schema}, "$defs": DEFINITIONS})
