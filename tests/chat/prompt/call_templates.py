"""Short chat templates that write earlier calls in the format of each family."""

from typing import NamedTuple


class Written(NamedTuple):
    """The parts of an answer with calls, as Jinja.

    Attributes:
        call: One call `c`, with its name and arguments.
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
_KEYWORDS = (
    "{% for k, v in c.function.arguments.items() %}{{ k }}={{ v | tojson }}"
    "{% if not loop.last %}, {% endif %}{% endfor %}"
)

WRITTEN: dict[str, Written] = {
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
    between = f"{{% if not loop.last %}}{written.between}{{% endif %}}"
    calls = f"{{% for c in m.tool_calls %}}{written.call}{between}{{% endfor %}}"
    answer = f"{written.opening}{written.before}{calls}{written.after}"
    return (
        f"{{% if {keys} %}}Tools: {{{{ {keys} | tojson }}}}\n{{% endif %}}{{% for m in messages %}}"
        f"{{% if m.tool_calls %}}{answer}{{% elif m.role == 'assistant' %}}"
        f"{written.opening}{{{{ m.content }}}}{{% else %}}<|{{{{ m.role }}}}|>\n"
        "{{ m.content }}{% endif %}<|end|>\n{% endfor %}"
        f"{{% if add_generation_prompt %}}{written.opening}{{% endif %}}"
    )
