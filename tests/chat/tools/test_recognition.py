"""Families are found from chat templates and by name."""

import pytest

from friendli_endpoint.chat.tools import family_named, family_of

from .cases import NAMES

_BEGIN = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>"  # noqa: RUF001
_SEP = "<｜tool▁sep｜>"  # noqa: RUF001

TEMPLATES = [
    ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}", "hermes"),
    ('{{ \'<tool_call>\\n{"name": "\' + call.name + \'", "arguments": \' }}', "hermes"),
    ('{{ \'<|start_header_id|>\' }}{{ \'{"name": "f", "parameters": \' }}', "llama3"),
    ("{{ '<|start_header_id|>assistant' }}{{ '<|python_tag|>' + call }}", "llama3"),
    ('{{ \'<|header_start|>\' }}{"name": function name, "parameters": d}', "llama3"),
    ("{{ '[TOOL_CALLS][' }}{{ '{\"name\": ' }}", "mistral"),
    ("{{ '[TOOL_CALLS]' + name + '[ARGS]' + arguments }}", "mistral_args"),
    ("{{ '[TOOL_CALLS]' + name + '[CALL_ID]' + id + '[ARGS]' }}", "mistral_args"),
    ("{{ '" + _BEGIN + "' + type + '" + _SEP + "' + name + '\\n```json\\n' }}", "deepseek_v3"),
    ("{{ '" + _BEGIN + "' + name + '" + _SEP + "' + arguments }}", "deepseek_v31"),
    ("{{ '>>>all\\n' + content }}{{ '>>>' + name + '\\n' }}", "functionary"),
    ("Reply as <function=name>{\"x\": 1}</function> {{ '<|python_tag|>' }}", "functionary_tags"),
    ("{{ '<tool_call>\\n<function=' + name + '>\\n<parameter=' + k + '>' }}", "qwen_coder"),
    ("{{ '<tool_call>' + name }}<arg_key>{{ k }}</arg_key><arg_value>{{ v }}", "glm"),
    ("{{ '<|tool_call_start|>[' + calls + ']<|tool_call_end|>' }}", "lfm2"),
    ("{{ 'List of tools: <|tool_list_start|>[' + tools + ']<|tool_list_end|>' }}", "lfm2"),
    ("<|start_of_role|>system<|end_of_role|> answer with <|tool_call|> and a list", "granite"),
    ("<|start_of_role|>assistant<|end_of_role|>{{ '<tool_call>' + call }}", "hermes"),
    ("{{ m.content + '<|tool|>' + m.tools + '<|/tool|>' + '<|end|>' }}", "phi4"),
    ("{{ '<|tool_call|>[' + calls + ']<|/tool_call|>' }}", "phi4"),
    ("{{ 'List of tools: [' + tools + ']' }}", "lfm2"),
    ("{{ '<tool_calls>[' }}{{ call }}{{ ']</tool_calls>' }}", "tool_calls"),
    ("<|tool_calls|><|tool_call:begin|>1<|tool_call:name|>{{ name }}", "solar"),
    ("{{ '<|function_call|>' + call }}", "gigachat"),
    ('<function name="{{ name }}"><param name="{{ key }}">{{ v }}</param></function>', "minicpm"),
    ("{{ '<TOOLCALL>[' }}{{ call }}{{ ']</TOOLCALL>' }}", "nemotron"),
    ("{{ '<|tools_prefix|>[' + calls + ']<|tools_suffix|>' }}", "apertus"),
    ("<seed:tool_call>\n<function=f>\n<parameter=p>v</parameter>\n</function>", "seed"),
    ("{{ '<|tool_call>call:' + name }}{{ '<|\"|>' + text + '<|\"|>' }}<tool_call|>", "gemma4"),
    ("<start_function_call>call:{{ name }}{<escape>{{ v }}<escape>}", "functiongemma"),
    ("Write [func_name1(params_name1=value1), func_name2(a=b)] {{ '<|eot|>' }}", "pythonic"),
    ("{{ '<|header_start|>assistant<|header_end|>' }}{{ content }}", "pythonic"),
]


@pytest.mark.parametrize(("template", "name"), TEMPLATES)
def test_the_family_is_found_from_the_template(template: str, name: str) -> None:
    assert family_of(template).name == name


def test_every_family_has_a_template_in_the_list() -> None:
    assert {name for _, name in TEMPLATES} == set(NAMES)


def test_families_are_found_by_their_unique_names() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert [family_named(name).name for name in NAMES] == NAMES
    with pytest.raises(KeyError, match="hermes"):
        family_named("none")
