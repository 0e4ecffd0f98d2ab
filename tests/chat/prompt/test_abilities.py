"""The capabilities of templates, from the names they read and the text they render."""

import pytest

from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.recognition import family_of
from friendli_endpoint.chat.prompt.template import ChatTemplateError
from friendli_endpoint.chat.tools import DEFAULT_FAMILY, FAMILIES
from friendli_endpoint.chat.tools.written import WrittenCall

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
    ("source", "shows_system", "results"),
    [
        (ALTERNATING, False, "user"),
        ("{% for m in messages %}{{ m.content | tojson }}{% endfor %}", True, "tool"),
        ("{% for m in messages if m.role != 'tool' %}{{ m.content }}{% endfor %}", True, "user"),
        (
            "{% for m in messages %}{{ m.content }}{% for call in m.tool_calls %}"
            "{{ call.function.arguments.items() | first }}{% endfor %}{% endfor %}",
            True,
            "tool",
        ),
        ("{{ raise_exception('never') }}", True, "tool"),
    ],
)
def test_system_and_results_are_rendered(source: str, shows_system: bool, results: str) -> None:
    abilities = TemplateAbilities(source)
    assert abilities.system is shows_system
    assert abilities.form(False).results == results


def test_a_system_message_may_be_lost_after_results() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'user' and loop.last and messages[0].role =="
        " 'system' %}{{ messages[0].content }}{% endif %}{% if m.role != 'system' %}"
        "{{ m.content }}{% endif %}{% endfor %}"
    )
    abilities = TemplateAbilities(source)
    assert (abilities.system, abilities.system_after_results) == (True, False)


@pytest.mark.parametrize(
    ("source", "no_tools"),
    [
        ("{{ messages }}{% for tool in tools %}{{ tool }}{% endfor %}", []),
        ("{{ messages }}{% for tool in tools or [] %}{{ tool }}{% endfor %}", None),
        ("{{ messages }}{% if tools is none %}-{% else %}{{ tools[0] }}{% endif %}", None),
        ("{{ raise_exception('never') }}", None),
    ],
)
def test_a_template_that_needs_tools_gets_an_empty_list(
    source: str, no_tools: list[object] | None
) -> None:
    assert TemplateAbilities(source).no_tools == no_tools


def test_a_form_may_depend_on_the_tools() -> None:
    """A template that writes calls and results only in a request with tools."""
    source = (
        "{% for m in messages %}{{ m.content }}{% if tools %}{{ m.tool_calls }}{% endif %}"
        "{% if m.role == 'tool' and not tools %}{{ raise_exception('no tools') }}{% endif %}"
        "{% endfor %}"
    )
    abilities = TemplateAbilities(source)
    assert abilities.form(True).calls == "one"
    assert abilities.form(False).calls == "written_with_results"


def test_the_given_family_writes_calls() -> None:
    source = "{% for m in messages %}{{ m.content }}{% endfor %}"
    call = [WrittenCall("f", {"a": 1})]
    for family in FAMILIES:
        assert TemplateAbilities(source, family).call_text(call) == family.call_text(call)
    assert TemplateAbilities(source).call_text(call) == (
        family_of(source) or DEFAULT_FAMILY
    ).call_text(call)
