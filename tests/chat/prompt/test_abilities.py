"""The capabilities of templates, from the names they read and the text they render."""

import pytest

from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.template import ChatTemplateError

ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.content }}]{% endfor %}"
)
"""A template that requires alternating users and assistants, and no other role."""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{# tools, tool_calls, reasoning_effort #}", set()),
        ("tools tool_calls reasoning_effort", set()),
        ("{{ builtin_tools }}{{ m.tools }}{{ no_tool_calls }}", set()),
        ("{% set tools = 1 %}{{ tools }}{{ 'no tool_calls here' }}", set()),
        ("{% macro show(tools) %}{{ tools }}{% endmacro %}{{ show([]) }}", set()),
        ("{% for tool in tools or [] %}{{ tool }}{% endfor %}", {"tools"}),
        ("{% if not tools is defined %}{% set tools = none %}{% endif %}{{ tools }}", {"tools"}),
        ("{% if own %}{% set tools = own %}{% endif %}{{ tools }}", {"tools"}),
        ("{% macro show() %}{{ tools | tojson }}{% endmacro %}", {"tools"}),
        ("{% generation %}{{ tools }}{% endgeneration %}", {"tools"}),
        ("{{ m.get('tool_calls') }}", {"calls"}),
        ("{% if 'tool_calls' in m %}{% endif %}", {"calls"}),
        ("{{ m['tool_calls'][0] }}", {"calls"}),
        ("{% for call in m.tool_calls %}{% endfor %}", {"calls"}),
        (
            "{% if reasoning_effort is not defined %}{% set reasoning_effort = 'low' %}{% endif %}"
            "{{ reasoning_effort }}",
            {"effort"},
        ),
        ("{{ kwargs.reasoning_effort }}", set()),
    ],
)
def test_tools_calls_and_effort_are_read_by_expressions(source: str, expected: set[str]) -> None:
    abilities = TemplateAbilities(source)
    assert {name for name in ("tools", "calls", "effort") if getattr(abilities, name)} == expected


def test_an_invalid_template_raises() -> None:
    with pytest.raises(ChatTemplateError):
        TemplateAbilities("{% if %}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (ALTERNATING, set()),
        ("{{ messages[-1].content }}", {"results"}),
        ("{% for m in messages %}{{ m.content | tojson }}{% endfor %}", {"system", "results"}),
        ("{% for m in messages if m.role != 'tool' %}{{ m.content }}{% endfor %}", {"system"}),
        (
            "{% for m in messages %}{{ m.content }}{% for call in m.tool_calls %}"
            "{{ call.function.arguments.items() | first }}{% endfor %}{% endfor %}",
            {"system", "results"},
        ),
        ("{{ raise_exception('never') }}", {"system", "results"}),
    ],
)
def test_system_and_results_are_rendered(source: str, expected: set[str]) -> None:
    abilities = TemplateAbilities(source)
    assert {name for name in ("system", "results") if getattr(abilities, name)} == expected
