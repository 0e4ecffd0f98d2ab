"""Small chat templates, each with one habit that real templates have with calls and results."""

# ruff: noqa: E501 (a line break in a template would be part of the prompt)

__all__ = ["TEMPLATES"]

_RESULT = "{% elif m.role == 'tool' %}(R {{ m.content }})"
_OTHER = "{% else %}({{ m.role[0] }} {{ m.content }}){% endif %}{% endfor %}"
_CALLS = "{% for m in messages %}{% if m.tool_calls %}({{ m.content }}"


def _calls(call: str, *, result: str = _RESULT, before: str = "") -> str:
    """Returns a template that writes each call in one way."""
    return f"{before}{_CALLS}{{% for c in m.tool_calls %}}{call}{{% endfor %}}){result}{_OTHER}"


_JSON = "<{{ c.function.name }} {{ c.function.arguments | tojson }}>"
_ALTERNATE = (
    "{% set ns = namespace(i=0) %}{% for m in messages %}{% if m.role != 'system' %}"
    "{% if (m.role == 'user') != (ns.i % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
    "{% endif %}{% set ns.i = ns.i + 1 %}{% endif %}{% endfor %}"
)
_ALTERNATE_BESIDE_CALLS = (
    "{% set ns = namespace(i=0) %}{% for m in messages %}"
    "{% if m.role in ('user', 'assistant') and m.tool_calls is not defined %}"
    "{% if (m.role == 'user') != (ns.i % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
    "{% endif %}{% set ns.i = ns.i + 1 %}{% endif %}{% endfor %}"
)
_NINE = "{% if c.id | length != 9 %}{{ raise_exception('ids of nine characters') }}{% endif %}"

TEMPLATES: dict[str, str] = {
    "object": _calls(_JSON),
    "whole call": _calls("{{ c | tojson }}"),
    "iterates": _calls(
        "<{{ c.function.name }}{% for k, v in c.function.arguments.items() %} {{ k }}={{ v if v is string else v | tojson }}{% endfor %}>"
    ),
    "filters items": _calls(
        "<{{ c.function.name }}{% for k, v in c.function.arguments | items %} {{ k }}={{ v }}{% endfor %}>"
    ),
    "concatenates": _calls("{{ '<' + c.function.name + ' ' + c.function.arguments + '>' }}"),
    "prints": _calls("<{{ c.function.name }} {{ c.function.arguments }}>"),
    "demands text": _calls(
        "{% if c.function.arguments is not string %}{{ raise_exception('text') }}{% endif %}<{{ c.function.name }} {{ c.function.arguments }}>"
    ),
    "demands object": _calls(
        "{% if c.function.arguments is not mapping %}{{ raise_exception('object') }}{% endif %}"
        + _JSON
    ),
    "takes both": _calls(
        "<{{ c.function.name }} {{ c.function.arguments if c.function.arguments is string else c.function.arguments | tojson }}>"
    ),
    "null content": (
        "{% for m in messages %}{% if m.tool_calls and m.content is none %}(x{% for c in m.tool_calls %}"
        f"{_JSON}{{% endfor %}}){_RESULT}{_OTHER}"
    ),
    "no content": (
        "{% for m in messages %}{% if m.tool_calls and m.content is not defined %}(x{% for c in m.tool_calls %}"
        f"{_JSON}{{% endfor %}}){_RESULT}{_OTHER}"
    ),
    "calls or text": (
        f"{{% for m in messages %}}{{% if m.tool_calls %}}(x{{% for c in m.tool_calls %}}{_JSON}{{% endfor %}})"
        f"{_RESULT}{_OTHER}"
    ),
    "text or calls": (
        f"{{% for m in messages %}}{{% if m.tool_calls and not m.content %}}(x{{% for c in m.tool_calls %}}{_JSON}"
        f"{{% endfor %}}){_RESULT}{_OTHER}"
    ),
    "rejects several": (
        f"{_CALLS}{{% if m.tool_calls | length > 1 %}}{{{{ raise_exception('one call') }}}}{{% endif %}}"
        f"{{% for c in m.tool_calls %}}{_JSON}{{% endfor %}}){_RESULT}{_OTHER}"
    ),
    "first call": f"{_CALLS}{{% set c = m.tool_calls[0] %}}{_JSON}){_RESULT}{_OTHER}",
    "one result a call": (
        "{% set ns = namespace(open=false) %}{% for m in messages %}{% if m.tool_calls %}{% set ns.open = true %}"
        f"({{{{ m.content }}}}{{% set c = m.tool_calls[0] %}}{_JSON}){{% elif m.role == 'tool' %}}"
        "{% if not ns.open %}{{ raise_exception('no call') }}{% endif %}{% set ns.open = false %}(R {{ m.content }})"
        f"{_OTHER}"
    ),
    "ids of nine": _calls(f"{_NINE}<{{{{ c.id }}}} {_JSON}>"),
    "numbered ids": _calls(
        "{% set ns.i = ns.i + 1 %}<functions.{{ c.function.name }}:{{ ns.i }} {{ c.function.arguments | tojson }}>",
        result="{% elif m.role == 'tool' %}(R {{ m.tool_call_id }} {{ m.content }})",
        before="{% set ns = namespace(i=-1) %}",
    ),
    "ids numbered in the message": _calls(
        "<functions.{{ c.function.name }}:{{ loop.index0 }} {{ c.function.arguments | tojson }}>",
        result="{% elif m.role == 'tool' %}(R {{ m.tool_call_id }} {{ m.content }})",
    ),
    "id instead of name": _calls(
        "<{{ c.id }} {{ c.function.arguments | tojson }}>",
        result="{% elif m.role == 'tool' %}(R {{ m.tool_call_id }} {{ m.content }})",
    ),
    "names of results": _calls(
        _JSON, result="{% elif m.role == 'tool' %}(R {{ m.name + ': ' + m.content }})"
    ),
    "no results": _calls(_JSON, result=""),
    "ignores results": _calls(_JSON, result="{% elif m.role == 'tool' %}"),
    "needs tools": _calls(_JSON, before="{% for t in tools %}[{{ t | tojson }}]{% endfor %}"),
    "needs tools for results": _calls(
        _JSON,
        result="{% elif m.role == 'tool' %}{% if tools is none %}{{ raise_exception('no tools') }}{% endif %}(R {{ m.content }})",
    ),
    "alternates": f"{_ALTERNATE}{{% for m in messages %}}({{{{ m.role[0] }}}} {{{{ m.content }}}}){{% endfor %}}",
    "alternates beside calls": (
        f"{_ALTERNATE_BESIDE_CALLS}{{% for m in messages %}}{{% if m.tool_calls is defined %}}(x"
        f"{{% for c in m.tool_calls %}}{_JSON}{{% endfor %}}){_RESULT}{_OTHER}"
    ),
    "no calls": "{% for m in messages %}({{ m.role[0] }} {{ m.content }}){% endfor %}",
    "neither calls nor results": (
        "{% for m in messages if m.role != 'tool' %}({{ m.role[0] }} {{ m.content }}){% endfor %}"
    ),
    "only content that is text": (
        "{% for m in messages %}({{ m.role[0] }} {{ m.content + '' }}){% endfor %}"
    ),
    "reasoning or text": (
        "{% for m in messages %}{% if m.tool_calls %}{% if m.content and m.thinking %}"
        "{{ raise_exception('either thinking or content') }}{% endif %}({{ m.thinking }}{{ m.content }}"
        f"{{% for c in m.tool_calls %}}{_JSON}{{% endfor %}}){_RESULT}{_OTHER}"
    ),
    "no reasoning": (
        "{% for m in messages %}{% if m.tool_calls %}{% if m.reasoning_content %}"
        "{{ raise_exception('no reasoning') }}{% endif %}({{ m.content }}"
        f"{{% for c in m.tool_calls %}}{_JSON}{{% endfor %}}){_RESULT}{_OTHER}"
    ),
    "loses the last answer": (
        "{% for m in messages %}{% if m.role == 'assistant' and loop.last %}{{ m.content }}{% elif m.tool_calls %}"
        f"({{{{ m.content }}}}{{% for c in m.tool_calls %}}{_JSON}{{% endfor %}}){_RESULT}{_OTHER}"
    ),
    "system before the last user": (
        "{% for m in messages %}{% if m.role == 'user' and loop.last and messages[0].role == 'system' %}"
        f"{{{{ messages[0].content }}}}{{% endif %}}{{% if m.tool_calls %}}(x{{% for c in m.tool_calls %}}{_JSON}"
        f"{{% endfor %}}){_RESULT}{{% elif m.role == 'system' %}}{_OTHER}"
    ),
}
"""By the habit: a template."""
