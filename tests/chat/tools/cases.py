"""Tools, and the same calls in the format of each family."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.chat.tools import (
    FAMILIES,
    CallArguments,
    CallBegin,
    CallEnd,
    CallEvent,
    CallText,
    Family,
    ToolSpec,
    family_named,
)

SCHEMAS: dict[str, dict[str, Any]] = {
    "get": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 0},
            "unit": {"enum": ["C", "F", "C or F"]},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
    "get_all": {
        "type": "object",
        "properties": {
            "where": {"$ref": "#/$defs/Place"},
            "exact": {"type": "boolean"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "code": {"type": "string", "pattern": "^[a-z]{2,3}$"},
        },
        "required": ["where", "exact"],
        "additionalProperties": False,
        "$defs": {
            "Place": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": 20},
                    "at": {"type": "array", "items": {"type": "number"}, "maxItems": 2},
                },
                "required": ["name"],
                "additionalProperties": False,
            }
        },
    },
    "now.utc": {"type": "object", "properties": {}, "additionalProperties": False},
}
TOOLS = [ToolSpec(name, None, rewrite_schema(schema, "p").root) for name, schema in SCHEMAS.items()]

A = {"city": 'Zürich "</tool_call>" \\ \U0001f600\n{[(', "days": 3}
B: dict[str, Any] = {"where": {"name": "a, b)", "at": [1, -2.5]}, "exact": True}
A_JSON, B_JSON = json.dumps(A), json.dumps(B, ensure_ascii=False)


@dataclass(frozen=True)
class Case:
    """Outputs of a family: a call of `get` with A, and the same followed by `get_all` with B."""

    single: str
    double: str
    before: str = "Let me see…\n\n"
    after: str = "\nThat is all."
    exact: bool = True
    family: str = field(default="")


_V3 = "<｜tool▁calls▁begin｜>"  # noqa: RUF001
_V3_END = "<｜tool▁calls▁end｜>"  # noqa: RUF001
_V3_CALL = "<｜tool▁call▁begin｜>"  # noqa: RUF001
_V3_CALL_END = "<｜tool▁call▁end｜>"  # noqa: RUF001
_V3_SEP = "<｜tool▁sep｜>"  # noqa: RUF001


def _hermes(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def _fenced(name: str, arguments: str) -> str:
    return f"{_V3_CALL}function{_V3_SEP}{name}\n```json\n{arguments}\n```{_V3_CALL_END}"


def _unfenced(name: str, arguments: str) -> str:
    return f"{_V3_CALL}{name}{_V3_SEP}{arguments}{_V3_CALL_END}"


def _llama(name: str, arguments: str) -> str:
    return f'{{"name": "{name}", "parameters": {arguments}}}'


def _mistral(name: str, arguments: str) -> str:
    return f'{{"name": "{name}", "arguments": {arguments}, "id": "abcDEF123"}}'


_QWEN_A = (
    "<tool_call>\n<function=get>\n"
    f"<parameter=city>\n{A['city']}\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
    "</function>\n</tool_call>"
)
_QWEN_B = (
    "<tool_call>\n<function=get_all>\n"
    f"<parameter=where>\n{json.dumps(B['where'])}\n</parameter>\n"
    "<parameter=exact>\ntrue\n</parameter>\n</function>\n</tool_call>"
)
_GLM_A = (
    "<tool_call>get\n"
    f"<arg_key>city</arg_key>\n<arg_value>{A['city']}</arg_value>\n"
    "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>"
)
_GLM_B = (
    "<tool_call>get_all"
    f"<arg_key>where</arg_key><arg_value>{json.dumps(B['where'])}</arg_value>"
    "<arg_key>exact</arg_key><arg_value>true</arg_value></tool_call>"
)


def _kimi(index: int, name: str, arguments: str) -> str:
    return (
        f"<|tool_call_begin|>functions.{name}:{index}<|tool_call_argument_begin|>{arguments}"
        "<|tool_call_end|>"
    )


def _cohere(index: int, name: str, arguments: str) -> str:
    return f'{{"tool_call_id": "{index}", "tool_name": "{name}", "parameters": {arguments}}}'


def _harmony(name: str, arguments: str) -> str:
    header = f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>"
    return f"{header}{arguments}"


def _invoked(block: str, prefix: str, text: str, value: str) -> Case:
    """Returns a case of tags that invoke; `text` and `value` are attributes of parameters."""

    def call(name: str, *parameters: tuple[str, str, str]) -> str:
        written = "".join(
            f'<{prefix}parameter name="{key}"{kind}>{value}</{prefix}parameter>\n'
            for key, kind, value in parameters
        )
        return f'<{prefix}invoke name="{name}">\n{written}</{prefix}invoke>\n'

    first = call("get", ("city", text, str(A["city"])), ("days", value, "3"))
    second = call("get_all", ("where", value, json.dumps(B["where"])), ("exact", value, "true"))
    opening, closing = f"<{prefix}{block}>\n", f"</{prefix}{block}>"
    return Case(f"{opening}{first}{closing}", f"{opening}{first}{second}{closing}", exact=False)


_DSML = "｜DSML｜"  # noqa: RUF001
_PY_A = f"get(city={json.dumps(A['city'])}, days=3)"
_PY_B = "get_all(where={'name': 'a, b)', 'at': [1, -2.5]}, exact=True)"


def _listed(name: str, arguments: str) -> str:
    return f'{{"name": "{name}", "arguments": {arguments}}}'


_LIST_A, _LIST_B = _listed("get", A_JSON), _listed("get_all", B_JSON)
_SEED_A = (
    "<seed:tool_call>\n<function=get>\n"
    f"<parameter=city>{A['city']}</parameter>\n<parameter=days>3</parameter>\n"
    "</function>\n</seed:tool_call>"
)
_SEED_B = (
    "<seed:tool_call>\n<function=get_all>\n"
    f"<parameter=where>{json.dumps(B['where'])}</parameter>\n"
    "<parameter=exact>true</parameter>\n</function>\n</seed:tool_call>"
)


def _gemma(opening: str, closing: str, quote: str) -> Case:
    first = f"{opening}call:get{{city:{quote}{A['city']}{quote},days:3}}{closing}"
    where = f"{{at:[1,-2.5],name:{quote}a, b){quote}}}"
    second = f"{opening}call:get_all{{where:{where},exact:true}}{closing}"
    return Case(first, first + second, exact=False)


def _solar(name: str, arguments: str) -> str:
    head = f"<|tool_call:begin|>call-1<|tool_call:name|>{name}"
    return f"{head}<|tool_call:args|>{arguments}<|tool_call:end|>"


_CPM_A = (
    f'<function name="get"><param name="city"><![CDATA[{A["city"]}]]></param>'
    '<param name="days">3</param></function>'
)
_CPM_B = (
    f'<function name="get_all"><param name="where">{json.dumps(B["where"])}</param>'
    '<param name="exact">true</param></function>'
)

CASES: dict[str, Case] = {
    "tool_calls": Case(
        f"<tool_calls>[{_LIST_A}]</tool_calls>", f"<tool_calls>[{_LIST_A}, {_LIST_B}]</tool_calls>"
    ),
    "solar": Case(
        f"<|tool_calls|>{_solar('get', A_JSON)}",
        f"<|tool_calls|>{_solar('get', A_JSON)}{_solar('get_all', B_JSON)}",
    ),
    "gigachat": Case(
        f"<|function_call|>{_LIST_A}", f"<|function_call|>{_LIST_A}\n<|function_call|>{_LIST_B}"
    ),
    "minicpm": Case(_CPM_A, f"{_CPM_A}\n{_CPM_B}", exact=False),
    "granite": Case(f"<|tool_call|>[{_LIST_A}]", f"<|tool_call|>[{_LIST_A}, {_LIST_B}]"),
    "phi4": Case(
        f"<|tool_call|>[{_LIST_A}]<|/tool_call|>",
        f"<|tool_call|>[{_LIST_A}, {_LIST_B}]<|/tool_call|>",
    ),
    "nemotron": Case(
        f"<TOOLCALL>[{_LIST_A}]</TOOLCALL>", f"<TOOLCALL>[{_LIST_A}, {_LIST_B}]</TOOLCALL>"
    ),
    "apertus": Case(
        f'<|tools_prefix|>[{{"get": {A_JSON}}}]<|tools_suffix|>',
        f'<|tools_prefix|>[{{"get": {A_JSON}}}, {{"get_all": {B_JSON}}}]<|tools_suffix|>',
    ),
    "seed": Case(_SEED_A, f"{_SEED_A}\n{_SEED_B}", exact=False),
    "gemma4": _gemma("<|tool_call>", "<tool_call|>", '<|"|>'),
    "functiongemma": _gemma("<start_function_call>", "<end_function_call>", "<escape>"),
    "hermes": Case(
        _hermes("get", A_JSON), f"{_hermes('get', A_JSON)}\n{_hermes('get_all', B_JSON)}"
    ),
    "llama3": Case(
        _llama("get", A_JSON),
        f"{_llama('get', A_JSON)}; {_llama('get_all', B_JSON)}",
        before="",
    ),
    "mistral": Case(
        f"[TOOL_CALLS][{_mistral('get', A_JSON)}]",
        f"[TOOL_CALLS][{_mistral('get', A_JSON)}, {_mistral('get_all', B_JSON)}]",
    ),
    "mistral_args": Case(
        f"[TOOL_CALLS]get[ARGS]{A_JSON}",
        f"[TOOL_CALLS]get[ARGS]{A_JSON}[TOOL_CALLS]get_all[CALL_ID]abcDEF123[ARGS]{B_JSON}",
    ),
    "deepseek_v3": Case(
        f"{_V3}{_fenced('get', A_JSON)}{_V3_END}",
        f"{_V3}{_fenced('get', A_JSON)}\n{_fenced('get_all', B_JSON)}{_V3_END}",
    ),
    "deepseek_v31": Case(
        f"{_V3}{_unfenced('get', A_JSON)}{_V3_END}",
        f"{_V3}{_unfenced('get', A_JSON)}{_unfenced('get_all', B_JSON)}{_V3_END}",
    ),
    "functionary": Case(
        f">>>get\n{A_JSON}",
        f">>>get\n{A_JSON}>>>get_all\n{B_JSON}",
        before="all\nLet me see…",
        after="\nThat is all.",
    ),
    "functionary_tags": Case(
        f"<function=get>{A_JSON}</function>",
        f"<function=get>{A_JSON}</function><function=get_all>{B_JSON}</function>",
    ),
    "qwen_coder": Case(_QWEN_A, f"{_QWEN_A}\n{_QWEN_B}", exact=False),
    "glm": Case(_GLM_A, f"{_GLM_A}\n{_GLM_B}", exact=False),
    "kimi_k2": Case(
        f"<|tool_calls_section_begin|>{_kimi(0, 'get', A_JSON)}<|tool_calls_section_end|>",
        f"<|tool_calls_section_begin|>{_kimi(0, 'get', A_JSON)}{_kimi(1, 'get_all', B_JSON)}"
        "<|tool_calls_section_end|>",
    ),
    "command_r7b": Case(
        f"<|START_ACTION|>[\n    {_cohere(0, 'get', A_JSON)}\n]<|END_ACTION|>",
        f"<|START_ACTION|>[\n    {_cohere(0, 'get', A_JSON)},\n    "
        f"{_cohere(1, 'get_all', B_JSON)}\n]<|END_ACTION|>",
    ),
    "harmony": Case(
        _harmony("get", A_JSON),
        f"{_harmony('get', A_JSON)}<|call|><|start|>assistant{_harmony('get_all', B_JSON)}",
        before="<|channel|>commentary<|message|>Let me see…<|end|><|start|>assistant",
    ),
    "minimax_m2": _invoked("minimax:tool_call", "", "", ""),
    "deepseek_v32": _invoked("function_calls", _DSML, ' string="true"', ' string="false"'),
    "deepseek_v4": _invoked("tool_calls", _DSML, ' string="true"', ' string="false"'),
    "pythonic": Case(f"[{_PY_A}]", f"[{_PY_A}, {_PY_B}]", before="", exact=False),
    "lfm2": Case(
        f"<|tool_call_start|>[{_PY_A}]<|tool_call_end|>",
        f"<|tool_call_start|>[{_PY_A}, {_PY_B}]<|tool_call_end|>",
        exact=False,
    ),
}
_HEADERS = ("all\n", "<|channel|>commentary<|message|>", "<|end|>")
NAMES = [family.name for family in FAMILIES]


def visible(name: str, text: str) -> str:
    """Returns an output without calls as it is read: without the headers of messages."""
    if name not in ("functionary", "harmony"):
        return text
    for header in _HEADERS:
        text = text.replace(header, "")
    return text.removesuffix("<|start|>assistant")


def family(name: str) -> Family:
    return family_named(name)


@dataclass
class Call:
    name: str
    arguments: str
    ended: bool


@dataclass
class Reading:
    text: str
    calls: list[Call]


def read(name: str, chunks: Iterable[str], tools: Sequence[ToolSpec] = TOOLS) -> Reading:
    parser = family(name).parser(tools)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return reading(events + parser.finish())


def parsed(family: Family, text: str, tools: Sequence[ToolSpec] = TOOLS) -> Reading:
    """Returns the reading of an output; checks that it is the same character by character."""
    whole, cut = family.parser(tools), family.parser(tools)
    result = reading(whole.feed(text) + whole.finish())
    events = [event for character in text for event in cut.feed(character)]
    assert reading(events + cut.finish()) == result
    return result


def called(name: str, arguments: str, ended: bool = True) -> Call:
    """Returns a call, complete by default."""
    return Call(name, arguments, ended)


def reading(events: Iterable[CallEvent]) -> Reading:
    """Returns the reading of some events; asserts that their order is valid."""
    result = Reading("", [])
    for event in events:
        match event:
            case CallText(text):
                assert text
                result.text += text
            case CallBegin(index, name):
                assert index == len(result.calls)
                result.calls.append(Call(name, "", ended=False))
            case CallArguments(index, fragment):
                assert index == len(result.calls) - 1 and fragment
                assert not result.calls[index].ended
                result.calls[index].arguments += fragment
            case CallEnd(index):
                assert index == len(result.calls) - 1
                result.calls[index].ended = True
    return result
