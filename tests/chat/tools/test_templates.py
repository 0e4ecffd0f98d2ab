"""A call that a chat template writes is one that its family's grammar allows and its parser reads.

The templates are short ones of our own, in the manner of each model's.
"""

# ruff: noqa: E501 (a line break in a template would be part of the prompt)
import json
from typing import Any

import pytest

from friendli_endpoint.chat.prompt.recognition import family_of
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.chat.tools import ToolSpec

from .cases import called, parsed
from .walk import VOCABULARY, Walk, allowed, as_text, constraint

LIST = """{% macro calls(all) %}{% for c in all %}{{ '{"name": "' + c.function.name + '", "arguments": ' }}
{{- c.function.arguments | tojson + '}' }}{{ ', ' if not loop.last }}{% endfor %}{% endmacro %}"""
GEMMA = """{% macro value(v) %}{% if v is string %}QUOTE{{ v }}QUOTE{% elif v is boolean %}{{ 'true' if v else 'false' }}
{%- elif v is mapping %}{ {{- pairs(v) -}} }{% elif v is sequence %}[{% for i in v %}{{ value(i) }}{{ ',' if not loop.last }}{% endfor %}]
{%- else %}{{ v }}{% endif %}{% endmacro %}
{%- macro pairs(o) %}{% for k, v in o | dictsort %}{{ k }}:{{ value(v) }}{{ ',' if not loop.last }}{% endfor %}{% endmacro %}
{%- for m in messages %}{% for c in m.tool_calls %}OPENcall:{{ c.function.name }}{ {{- pairs(c.function.arguments) -}} }CLOSE{% endfor %}{% endfor %}"""


def _gemma(opening: str, closing: str, quote: str) -> str:
    return GEMMA.replace("OPEN", opening).replace("CLOSE", closing).replace("QUOTE", quote)


TEMPLATES = {
    "granite": LIST
    + "{# <|start_of_role|> #}{% for m in messages if m.tool_calls %}"
    + "<|tool_call|>[{{ calls(m.tool_calls) }}]{% endfor %}",
    "phi4": LIST
    + "{% for m in messages if m.tool_calls %}<|tool_call|>[{{ calls(m.tool_calls) }}]<|/tool_call|>"
    + "{% endfor %}",
    "nemotron": LIST
    + "{% for m in messages if m.tool_calls %}<TOOLCALL>[{{ calls(m.tool_calls) }}]</TOOLCALL>"
    + "{% endfor %}",
    "apertus": """{% for m in messages if m.tool_calls %}<|tools_prefix|>[
{%- for c in m.tool_calls %}{"{{ c.function.name }}": {{ c.function.arguments | tojson }}}
{{- ', ' if not loop.last }}{% endfor %}]<|tools_suffix|>{% endfor %}""",
    "seed": """{% for m in messages if m.tool_calls %}{% for c in m.tool_calls %}<seed:tool_call>
<function={{ c.function.name }}>
{% for k, v in c.function.arguments | items %}<parameter={{ k }}>{{ v if v is string else v | tojson }}</parameter>
{% endfor %}</function>
</seed:tool_call>{{ '\\n' if not loop.last }}{% endfor %}{% endfor %}""",
    "gemma4": _gemma("<|tool_call>", "<tool_call|>", '<|"|>'),
    "functiongemma": _gemma("<start_function_call>", "<end_function_call>", "<escape>"),
}
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "near": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
        "quick": {"type": "boolean"},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {
        "Place": {
            "type": "object",
            "properties": {"code": {"enum": ["a", "b"]}, "name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}
TOOL = ToolSpec("get", None, rewrite_schema(SCHEMA, "p").root)
ARGUMENTS: list[dict[str, Any]] = [
    {"city": 'Zürich, "a" {b}\n[c]', "days": 3, "near": [{"name": "x, y"}], "quick": True},
    {"city": "", "near": [{"code": "a", "name": "</parameter ,"}, {"name": "z"}]},
]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_call_in_the_prompt_has_the_form_of_the_family(name: str) -> None:
    family = family_of(TEMPLATES[name])
    assert family is not None and family.name == name
    calls = [
        {"id": str(index), "type": "function", "function": {"name": "get", "arguments": arguments}}
        for index, arguments in enumerate(ARGUMENTS)
    ]
    template = ChatTemplate(TEMPLATES[name], {"bos_token": "", "eos_token": ""})
    text = template.render(
        [{"role": "assistant", "content": "", "tool_calls": calls}], {}, "messages"
    )
    walk = Walk(constraint(family, [TOOL], as_text, required=True, parallel=True))
    walk.write(text)
    assert walk.ended or VOCABULARY.eos_id in allowed(walk.state)
    result = parsed(family, text, [TOOL])
    assert result.text == ""
    assert [json.loads(call.arguments) for call in result.calls] == ARGUMENTS
    assert result.calls == [called("get", call.arguments) for call in result.calls]
