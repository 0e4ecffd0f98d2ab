"""Short chat templates that write earlier calls in the format of each family."""

import json
from typing import NamedTuple


class Written(NamedTuple):
    """The parts of an answer with calls.

    Attributes:
        call: One call `c`, with its name and arguments, as Jinja.
        before: Text before all calls.
        after: Text after all calls.
        between: Text between two calls.
        opening: The opening of an answer, which is also the end of the prompt.
    """

    call: str
    before: str = ""
    after: str = ""
    between: str = ""
    opening: str = "<|assistant|>\n"


_NAME = "{{ c.function.name }}"
_ARGUMENTS = "{{ c.function.arguments | tojson }}"
_ITEMS = "{% for k, v in c.function.arguments.items() %}"
_VALUE = "{{ v if v is string else v | tojson }}"
_BLOCK = (
    f"{{% if v is string and '<' in v %}}<![CDATA[{{{{ v }}}}]]>{{% else %}}{_VALUE}{{% endif %}}"
)
_KEYWORDS = (
    "{% for k, v in c.function.arguments.items() %}{{ k }}={{ v | tojson }}"
    "{% if not loop.last %}, {% endif %}{% endfor %}"
)


def _dsml(block: str) -> Written:
    prefix = "｜DSML｜"  # noqa: RUF001
    return Written(
        f'<{prefix}invoke name="{_NAME}">\n{_ITEMS}<{prefix}parameter name="{{{{ k }}}}" '
        f'string="{{{{ "true" if v is string else "false" }}}}">{_VALUE}</{prefix}parameter>\n'
        f"{{% endfor %}}</{prefix}invoke>\n",
        before=f"<{prefix}{block}>\n",
        after=f"</{prefix}{block}>",
    )


def _listed(before: str, after: str) -> Written:
    return Written(
        f'{{"name": "{_NAME}", "arguments": {_ARGUMENTS}}}',
        before=f"{before}[",
        between=", ",
        after=f"]{after}",
    )


def _gemma(opening: str, closing: str, quote: str) -> Written:
    text = f"{quote}{{{{ %s }}}}{quote}"
    items = f"{{% for i in v %}}{text % 'i'}{{{{ ',' if not loop.last }}}}{{% endfor %}}"
    value = (
        f"{{% if v is string %}}{text % 'v'}{{% elif v is number %}}{{{{ v }}}}"
        f"{{% else %}}[{items}]{{% endif %}}"
    )
    pairs = "{% for k, v in c.function.arguments | dictsort %}{{ k }}:"
    return Written(
        f"{opening}call:{_NAME}{{{{ '{{' }}}}{pairs}{value}"
        f"{{{{ ',' if not loop.last }}}}{{% endfor %}}{{{{ '}}' }}}}{closing}"
    )


WRITTEN: dict[str, Written] = {
    "granite": _listed("<|tool_call|>", ""),
    "phi4": _listed("<|tool_call|>", "<|/tool_call|>"),
    "nemotron": _listed("<TOOLCALL>", "</TOOLCALL>"),
    "tool_calls": _listed("<tool_calls>", "</tool_calls>"),
    "apertus": Written(
        f'{{"{_NAME}": {_ARGUMENTS}}}',
        before="<|tools_prefix|>[",
        between=", ",
        after="]<|tools_suffix|>",
    ),
    "solar": Written(
        f"<|tool_call:begin|>{{{{ c.id }}}}<|tool_call:name|>{_NAME}"
        f"<|tool_call:args|>{_ARGUMENTS}<|tool_call:end|>",
        before="<|tool_calls|>",
    ),
    "gigachat": Written(f'<|function_call|>{{"name": "{_NAME}", "arguments": {_ARGUMENTS}}}'),
    "minicpm": Written(
        f'<function name="{_NAME}">{_ITEMS}<param name="{{{{ k }}}}">{_BLOCK}</param>'
        "{% endfor %}</function>",
        between="\n",
    ),
    "gemma4": _gemma("<|tool_call>", "<tool_call|>", '<|"|>'),
    "functiongemma": _gemma("<start_function_call>", "<end_function_call>", "<escape>"),
    "seed": Written(
        f"<seed:tool_call>\n<function={_NAME}>\n{_ITEMS}<parameter={{{{ k }}}}>{_VALUE}"
        "</parameter>\n{% endfor %}</function>\n</seed:tool_call>",
        between="\n",
    ),
    "hermes": Written(
        f'<tool_call>\n{{"name": "{_NAME}", "arguments": {_ARGUMENTS}}}\n</tool_call>',
        between="\n",
    ),
    "llama3": Written(f'{{"name": "{_NAME}", "parameters": {_ARGUMENTS}}}', between="; "),
    "mistral": Written(
        f'{{"name": "{_NAME}", "arguments": {_ARGUMENTS}, "id": "{{{{ c.id }}}}"}}',
        before="[TOOL_CALLS][",
        between=", ",
        after="]",
    ),
    "mistral_args": Written(f"[TOOL_CALLS]{_NAME}[ARGS]{_ARGUMENTS}"),
    "deepseek_v3": Written(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{_NAME}\n"  # noqa: RUF001
        f"```json\n{_ARGUMENTS}\n```<｜tool▁call▁end｜>",  # noqa: RUF001
        before="<｜tool▁calls▁begin｜>",  # noqa: RUF001
        between="\n",
        after="<｜tool▁calls▁end｜>",  # noqa: RUF001
    ),
    "deepseek_v31": Written(
        f"<｜tool▁call▁begin｜>{_NAME}<｜tool▁sep｜>"  # noqa: RUF001
        f"{_ARGUMENTS}<｜tool▁call▁end｜>",  # noqa: RUF001
        before="<｜tool▁calls▁begin｜>",  # noqa: RUF001
        after="<｜tool▁calls▁end｜>",  # noqa: RUF001
    ),
    "functionary": Written(f"{_NAME}\n{_ARGUMENTS}", between=">>>", opening="<|assistant|>\n\n>>>"),
    "functionary_tags": Written(f"<function={_NAME}>{_ARGUMENTS}</function>"),
    "kimi_k2": Written(
        f"<|tool_call_begin|>functions.{_NAME}:{{{{ loop.index0 }}}}"
        f"<|tool_call_argument_begin|>{_ARGUMENTS}<|tool_call_end|>",
        before="<|tool_calls_section_begin|>",
        after="<|tool_calls_section_end|>",
    ),
    "command_r7b": Written(
        '{"tool_call_id": "{{ loop.index0 }}", "tool_name": '
        f'"{_NAME}", "parameters": {_ARGUMENTS}}}',
        before="<|START_ACTION|>[\n    ",
        between=",\n    ",
        after="\n]<|END_ACTION|>",
    ),
    "harmony": Written(
        f" to=functions.{_NAME}<|channel|>commentary json<|message|>{_ARGUMENTS}<|call|>",
        between="<|start|>assistant",
        opening="<|start|>assistant",
    ),
    "minimax_m2": Written(
        f'<invoke name="{_NAME}">\n{_ITEMS}<parameter name="{{{{ k }}}}">{_VALUE}</parameter>\n'
        "{% endfor %}</invoke>\n",
        before="<minimax:tool_call>\n",
        after="</minimax:tool_call>",
    ),
    "deepseek_v32": _dsml("function_calls"),
    "deepseek_v4": _dsml("tool_calls"),
    "qwen_coder": Written(
        f"<tool_call>\n<function={_NAME}>\n{_ITEMS}<parameter={{{{ k }}}}>\n{_VALUE}\n"
        "</parameter>\n{% endfor %}</function>\n</tool_call>",
        between="\n",
    ),
    "glm": Written(
        f"<tool_call>{_NAME}\n{_ITEMS}<arg_key>{{{{ k }}}}</arg_key>\n"
        f"<arg_value>{_VALUE}</arg_value>\n{{% endfor %}}</tool_call>",
        between="\n",
    ),
    "lfm2": Written(
        f"{_NAME}({_KEYWORDS})",
        before="<|tool_call_start|>[",
        between=", ",
        after="]<|tool_call_end|>",
    ),
    "pythonic": Written(f"{_NAME}({_KEYWORDS})", before="[", between=", ", after="]"),
}


def template_of(written: Written, keys: str = "tools") -> str:
    """Returns a template with a place for tools that writes calls like this."""
    between = f"{{% if not loop.last %}}{_literal(written.between)}{{% endif %}}"
    calls = f"{{% for c in m.tool_calls %}}{written.call}{between}{{% endfor %}}"
    answer = f"{written.opening}{_literal(written.before)}{calls}{_literal(written.after)}"
    return (
        f"{{% if {keys} %}}Tools: {{{{ {keys} | tojson }}}}\n{{% endif %}}{{% for m in messages %}}"
        f"{{% if m.tool_calls %}}{answer}{{% elif m.role == 'assistant' %}}"
        f"{written.opening}{{{{ m.content }}}}{{% else %}}<|{{{{ m.role }}}}|>\n"
        "{{ m.content }}{% endif %}<|end|>\n{% endfor %}"
        f"{{% if add_generation_prompt %}}{written.opening}{{% endif %}}"
    )


def _literal(text: str) -> str:
    """Returns a text as an expression, which keeps its white space."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}"
