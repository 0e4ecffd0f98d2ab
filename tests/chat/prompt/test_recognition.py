"""Families are found from the calls that chat templates write, and from their instructions."""

import pytest

from friendli_endpoint.chat.prompt.recognition import family_of, has_place_for_tools
from friendli_endpoint.chat.tools import FAMILIES, family_named

from .call_templates import WRITTEN, Written, template_of

NAMES = [family.name for family in FAMILIES]
_BEGIN = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>"  # noqa: RUF001
_SEP = "<｜tool▁sep｜>"  # noqa: RUF001
_TOOLS = "{{ tools | tojson }}"

EXPLAINED = [
    ('Answer in <tool_call>\n{"name": NAME, "arguments": {}}\n</tool_call>', "hermes"),
    ('{{ \'<tool_call>\\n{"name": "\' + call.name + \'", "arguments": \' }}', "hermes"),
    ('{{ \'<|start_header_id|>\' }}{"name": NAME, "parameters": A}', "llama3"),
    ('{{ \'<|header_start|>\' }}{"name": function name, "parameters": d}', "llama3"),
    ("{{ '[TOOL_CALLS][' }}{{ '{\"name\": ' }}", "mistral"),
    ("{{ '[TOOL_CALLS]' + name + '[CALL_ID]' + id + '[ARGS]' }}", "mistral_args"),
    ("{{ '" + _BEGIN + "' + type + '" + _SEP + "' + name + '\\n```json\\n' }}", "deepseek_v3"),
    ("{{ '" + _BEGIN + "' + name + '" + _SEP + "' + arguments }}", "deepseek_v31"),
    ("{{ '>>>all\\n' + content }}{{ '>>>' + name + '\\n' }}", "functionary"),
    ("Reply as <function=name>{\"x\": 1}</function> {{ '<|python_tag|>' }}", "functionary_tags"),
    ("{{ '<tool_call>\\n<function=' + name + '>\\n<parameter=' + k + '>' }}", "qwen_coder"),
    ("{{ '<tool_call>' + name }}<arg_key>{{ k }}</arg_key><arg_value>{{ v }}", "glm"),
    ("List of tools: <|tool_list_start|>{{ tools }}<|tool_list_end|>", "lfm2"),
    ("Write [func_name1(params_name1=value1), func_name2(a=b)] {{ '<|eot|>' }}", "pythonic"),
    ("{{ '<|header_start|>assistant<|header_end|>' }}{{ content }}", "pythonic"),
]
NO_PLACE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}"
FOREIGN = [
    # the calls are those of a family, but inside of something that it does not know
    Written('<calls>\n{"name": "{{ c.function.name }}", "arguments": {}}\n</calls>'),
    Written(f"<outer>{WRITTEN['hermes'].call}</outer>"),
    Written(f"<|channel|>tools<|message|>{WRITTEN['hermes'].call}"),
    Written(WRITTEN["llama3"].call, before="[", after="]"),
    Written(WRITTEN["llama3"].call, after="</call>"),
    Written(WRITTEN["functionary"].call, after="\n<|/call|>"),
    Written(WRITTEN["mistral_args"].call, after="[/TOOL_CALLS]"),
    Written(WRITTEN["llama3"].call.replace("parameters", "args")),
    Written(WRITTEN["functionary_tags"].call.replace("function=", "function name=")),
    Written(f"<other:call>\n{WRITTEN['qwen_coder'].call[12:-12]}\n</other:call>"),
    Written(WRITTEN["glm"].call.replace("arg_key", "arg_key:open")),
    Written(WRITTEN["pythonic"].call, before="call:"),
    Written("<tool_call>{{ {c.function.name: c.function.arguments} | tojson }}</tool_call>"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_that_writes_calls_has_the_family_that_reads_them(name: str) -> None:
    assert family_of(template_of(WRITTEN[name])) is family_named(name)


@pytest.mark.parametrize("tag", ["<think>\n", "<think>\n\n</think>\n\n", "[THINK]"])
@pytest.mark.parametrize("name", ["hermes", "mistral", "deepseek_v31"])
def test_an_open_tag_at_the_end_of_the_prompt_is_not_part_of_the_call(name: str, tag: str) -> None:
    source = template_of(WRITTEN[name])
    head, opening, tail = source.rpartition(WRITTEN[name].opening)
    assert family_of(f"{head}{opening}{tag}{tail}") is family_named(name)


@pytest.mark.parametrize("name", ["hermes", "qwen_coder", "glm"])
def test_reasoning_before_a_call_is_not_foreign(name: str) -> None:
    written = WRITTEN[name]._replace(before="<think></think>\n")
    source = template_of(written).replace("{{ m.content }}", "<think></think>{{ m.content }}", 1)
    assert family_of(source) is family_named(name)


def test_a_template_that_takes_arguments_as_text_only_is_recognised() -> None:
    arguments = "{{ '' + c.function.arguments }}"
    call = WRITTEN["hermes"].call.replace("{{ c.function.arguments | tojson }}", arguments)
    assert family_of(template_of(WRITTEN["hermes"]._replace(call=call))) is family_named("hermes")


def test_a_template_that_writes_calls_only_before_their_results_is_recognised() -> None:
    source = template_of(WRITTEN["hermes"]).replace(
        "{% if m.tool_calls %}", "{% if m.tool_calls and not loop.last %}"
    )
    assert family_of(source) is family_named("hermes")


@pytest.mark.parametrize("written", FOREIGN)
def test_a_call_that_no_family_reads_is_unknown_whatever_the_template_explains(
    written: Written,
) -> None:
    source = template_of(written)
    assert family_of(source) is None
    assert family_of(source + "{#" + EXPLAINED[0][0] + "#}") is None
    explained = f"{written.before}{written.call}{written.after}".replace("{{", "").replace("}}", "")
    instructions = f"{{% if tools %}}{{% raw %}}Answer in {explained}{{% endraw %}}{{% endif %}}"
    assert family_of(instructions + source) is None


@pytest.mark.parametrize("tag", ["<tool_call>", "x"])
def test_a_template_that_writes_without_end_is_unknown_at_once(tag: str) -> None:
    written = WRITTEN["hermes"]._replace(before=f"<calls>{tag * 20_000}")
    assert family_of(template_of(written)) is None
    for text in ("\\", '{"name": ', "<tool_call>\\n", "<function=", "{"):
        assert (
            family_of("{{ tools }}{% raw %}<|python_tag|>" + text * 20_000 + "{% endraw %}") is None
        )


@pytest.mark.parametrize(("template", "name"), EXPLAINED)
def test_a_template_without_calls_has_the_family_that_it_explains(template: str, name: str) -> None:
    assert family_of(_TOOLS + template) is family_named(name)


@pytest.mark.parametrize(
    "template",
    [
        "Answer in <tool_call>NAME</tool_call>.",
        'Answer in <tool_calls>\n{"name": NAME}\n</tool_calls>.',
        "{{ '<|start_header_id|>' }} Write the \"parameters\".",
        "<other:tool_call>\n<function=name>\n<parameter=key>",
        "<tool_call:open>NAME<arg_key:open>",
        "List of tools: ",
        "",
    ],
)
def test_a_place_for_tools_without_a_known_format_is_unknown(template: str) -> None:
    assert family_of(_TOOLS + template) is None


def test_a_template_without_a_place_for_tools_has_the_default_family() -> None:
    assert not has_place_for_tools(NO_PLACE)
    assert family_of(NO_PLACE) is family_named("hermes")


@pytest.mark.parametrize("reads", ["{{ tools }}", "{{ m.tool_calls }}", "{{ m['tools'] }}"])
def test_reading_tools_or_calls_is_a_place_for_tools(reads: str) -> None:
    source = f"{{% for m in messages %}}{reads}{{% endfor %}}"
    assert has_place_for_tools(source)
    assert family_of(source) is None
