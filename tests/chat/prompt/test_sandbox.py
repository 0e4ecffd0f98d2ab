"""Templates that would fill the memory are stopped; the limits do not affect others."""

import pytest

from friendli_endpoint.chat.prompt.sandbox import meter as sandbox
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.generation import RequestError

LOOP = (
    "{% set ns = namespace(a=START) %}{% for i in range(99999) %}{% set ns.a = STEP %}{% endfor %}"
)
MANY = "(['x' * 1000000] * 99999)"


def loop(start: str, step: str) -> str:
    return LOOP.replace("START", start).replace("STEP", step)


BOMBS = [
    *(f"{{{{ 'x'.{name}(3000000000) }}}}" for name in ("ljust", "rjust", "center", "zfill")),
    *("{{ 'x'|center(3000000000) }}", "{{ [1]|batch(300000000, 0)|list }}"),
    *("{{ [1]|slice(300000000)|list }}", "{{ 'a'|wordwrap(1, true, 'b') }}"),
    *("{{ '%3000000000d' % 1 }}", "{{ '%*d' % (3000000000, 1) }}"),
    *("{{ '{:3000000000}'.format(1) }}", "{{ '{:{}}'.format(1, 3000000000) }}"),
    *("{{ '{a:{b}}'.format_map({'a': 1, 'b': 3000000000}) }}", "{{ '%900d'|format(1) }}"),
    "{% set f = '{0}' * 1000000 %}{{ f.format('x' * 1000000) }}",
    "{% set f = '%s' * 1000000 %}{{ f % (('x' * 1000000, ) * 1000000) }}",
    "{% set a = 'x' * 60000 %}{{ a.replace('x', a) }}",
    "{% set a = 'x' * 60000 %}{{ a|replace('x', a) }}",
    "{% set a = 'x' * 60000 %}{{ a.replace('', a) }}",
    "{{ ('x' * 1000).join('y' * 3000000) }}",
    "{{ ('y' * 3000000)|join('x' * 1000) }}",
    f"{{{{ {MANY}|map('lower')|join }}}}",
    f"{{{{ {MANY}|map('upper')|list }}}}",
    "{{ ('a\\n' * 1000000)|indent(3000) }}",
    "{{ ('a\\n' * 1000000)|indent('x' * 3000) }}",
    "{{ ([[[[1]]]] * 100000)|tojson(indent=30000) }}",
    "{{ 'a'.translate({97: 'x' * 3000}) }}",
    f"{{{{ {MANY} }}}}",
    f"{{{{ {MANY}|string }}}}",
    f"{{{{ {MANY} ~ 'a' }}}}",
    f"{{{{ {{'a': {MANY}}}.items() }}}}",
    f"{{% set ns = namespace(a={MANY}) %}}{{{{ ns }}}}",
    loop("'x'", "ns.a ~ ns.a"),
    loop("'x'", "ns.a + ns.a"),
    loop("[1]", "ns.a + ns.a"),
    loop("9", "ns.a * ns.a"),
    loop("[]", "ns.a + [('x' * 3000000)[1:]]"),
    "{% set b %}{% for i in range(99999) %}" + "y" * 100_000 + "{% endfor %}{% endset %}",
    "{% set b %}{% for i in range(99999) %}{{ 'x' * 999999 }}{% endfor %}{% endset %}",
    "{% filter upper %}{% for i in range(99999) %}" + "y" * 100_000 + "{% endfor %}{% endfilter %}",
    "{% macro f(n) %}" + "z" * 10_000 + "{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}"
    "{% endmacro %}{% set a = f(40) %}",
]


@pytest.mark.load
@pytest.mark.parametrize("source", BOMBS, ids=lambda source: source[:50])
def test_a_template_that_would_fill_the_memory_is_stopped_by_its_size(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 1000.0)
    with pytest.raises(RequestError) as caught:
        ChatTemplate(source, {}).render([], {})
    assert isinstance(caught.value.__cause__, sandbox.SandboxError), caught.value.message


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ '{} {:.2f} {x}'.format(1, 2.5, x='a') }}", "1 2.50 a"),
        ("{{ '%s %d %5.2f%%' % ('a', 3, 2.5) }}", "a 3  2.50%"),
        ("{{ 'abc'[1:] }}{{ [1, 2, 3][::-1] }}{{ 'abc'[-1] }}{{ 'abc'[:-1] }}", "bc[3, 2, 1]cab"),
        ("{{ 'a' ~ 1 ~ [2] ~ none ~ ('b' ~ 'c') }}", "a1[2]Nonebc"),
        ("{{ ['a', 'b']|join(', ') }}{{ ' '.join(['c', 'd']) }}", "a, bc d"),
        ("{{ [{'a': 1}, {'a': 2}]|map(attribute='a')|join('-') }}", "1-2"),
        ("{{ [{'a': 1}, {'a': 2}]|join('-', attribute='a') }}", "1-2"),
        ("{{ 'aXbX'|replace('X', 'y') }}{{ 'aXbX'.replace('X', '', 1) }}", "aybyabX"),
        ("{{ 'a\nb'|indent(2) }}|{{ 'a\nb'|indent(width='> ', first=true) }}", "a\n  b|> a\n> b"),
        ("{{ {'a': [1]}|tojson(indent=2) }}", '{\n  "a": [\n    1\n  ]\n}'),
        ("{{ 2 + 3 * 4 - 7 % 4 }}{{ [1] + [2] }}{{ 'a' * 3 }}", "11[1, 2]aaa"),
        ("{% for a in [1, 2] %}{{ loop.index ~ a }}{% else %}x{% endfor %}", "1122"),
    ],
)
def test_ordinary_templates_render_as_in_jinja(source: str, text: str) -> None:
    assert ChatTemplate(source, {}).render([], {}) == text


def test_each_rendering_has_its_own_budget() -> None:
    template = ChatTemplate("{% for i in range(9) %}{% set a = 'x' * 3999999 %}{% endfor %}ok", {})
    assert [template.render([], {}) for _ in range(4)] == ["ok"] * 4
