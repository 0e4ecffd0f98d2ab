"""Everything that a template can name is either allowed, with an example, or refused by name."""

from typing import Any

import pytest
from jinja2 import nodes
from jinja2.compiler import operators
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import Cycler, Joiner, _PassArg

from friendli_endpoint.chat.prompt.sandbox import syntax
from friendli_endpoint.chat.prompt.sandbox.attributes import ALLOWED
from friendli_endpoint.chat.prompt.sandbox.environment import Sandbox
from friendli_endpoint.chat.prompt.sandbox.filters import FILTERS, REFUSED_FILTERS
from friendli_endpoint.chat.prompt.sandbox.meter import MAX_BITS, SandboxError, rendering
from friendli_endpoint.chat.prompt.sandbox.operators import COMPARISONS
from friendli_endpoint.chat.prompt.sandbox.tests import CONSTANT_TESTS, TESTS
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.generation import RequestError

VARIABLES: dict[str, Any] = {
    "text": "Ab c, <ab>",
    "words": ["b", "A", "c", "b"],
    "rows": [{"n": "x", "v": 1}, {"n": "Y", "v": 2}, {"n": "x", "v": 0}],
    "object": {"b": [1, 2.5, None], "a": {"c": True}},
    "empty": [],
}

FILTER_EXAMPLES = {
    "abs": ["-3|abs", "-2.5|abs"],
    "attr": ["text|attr('upper') is callable", "object|attr('absent') is defined"],
    "batch": ["words|batch(3, 'z')|list", "words|batch(linecount=3)|list"],
    "capitalize": ["text|capitalize"],
    "count": ["text|count"],
    "d": ["absent|d(1)"],
    "default": ["absent|default('x')", "''|default('x', true)", "''|default('x', boolean=true)"],
    "dictsort": ["object|dictsort", "object|dictsort(true, by='key', reverse=true)"],
    "e": ["text|e"],
    "escape": ["('<&>' ~ '\"')|escape"],
    "first": ["words|first", "text|first", "empty|first"],
    "float": ["'2.5'|float", "'x'|float(1.5)", "'x'|float(default=1.5)"],
    "format": ["'%s-%03d'|format('a', 7)", "'%(a)s'|format(a=1)"],
    "groupby": ["rows|groupby('n')", "rows|groupby('n')|map(attribute='grouper')|list"],
    "indent": ["'a\nb'|indent", "'a\n\nb'|indent(2, true, true)", "'a\rb'|indent(width='>')"],
    "int": ["'42'|int", "'x'|int(7)", "'ff'|int(base=16)", "2.9|int", "true|int"],
    "items": ["object|items|list", "absent|items|list"],
    "join": ["words|join", "words|join(', ')", "rows|join('-', attribute='n')", "object|join(',')"],
    "last": ["words|last", "text|last"],
    "length": ["words|length", "object|length"],
    "list": ["text|list", "object|list", "range(3)|list", "object.items()|list"],
    "lower": ["text|lower"],
    "map": [
        "words|map('upper')|list",
        "none|map('upper')|list",
        "''|map('upper')|list",
        "rows|map(attribute='n')|list",
        "['a']|map('replace', 'a', 'b')|list",
    ],
    "max": ["words|max", "rows|max(attribute='v')"],
    "min": ["words|min", "empty|min", "words|min(case_sensitive=true)"],
    "reject": ["words|reject('equalto', 'b')|list", "[0, 1]|reject|list", "none|reject|list"],
    "rejectattr": [
        "rows|rejectattr('n', 'eq', 'x')|list",
        "rows|rejectattr('v')|list",
        "none|rejectattr('v')|list",
    ],
    "replace": ["text|replace('b', 'BB')", "text|replace('b', 'BB', 1)", "5|replace(5, 6)"],
    "reverse": ["text|reverse", "words|reverse|list"],
    "round": ["2.567|round(2)", "2.1|round(method='ceil')", "25|round(-1)"],
    "safe": ["text|safe"],
    "select": [
        "words|select('in', ['b'])|list",
        "[0, 1, 2]|select('odd')|list",
        "none|select|list",
    ],
    "selectattr": ["rows|selectattr('n', 'equalto', 'x')|list", "rows|selectattr('v')|list|length"],
    "slice": ["words|slice(3)|list", "words|slice(slices=3, fill_with='z')|list"],
    "sort": ["words|sort", "rows|sort(attribute='n,v')", "words|sort(true, true)"],
    "string": ["object|string", "1|string", "none|string"],
    "sum": ["[1, 2]|sum", "rows|sum(attribute='v')", "[[1], [2]]|sum(start=[])"],
    "title": ["text|title"],
    "trim": ["' a '|trim", "'xax'|trim('x')", "'xax'|trim(chars='x')"],
    "unique": ["words|unique|list", "rows|unique(attribute='n')|list"],
    "upper": ["text|upper"],
    "wordcount": ["text|wordcount"],
}
"""Expressions with each allowed filter of Jinja; `tojson` differs from Jinja's and is tested
with the template."""

TEST_EXAMPLES = {
    "in": ["'b' is in words", "words is in [words]"],
    "divisibleby": ["6 is divisibleby 3"],
    "defined": ["text is defined", "object.absent is defined"],
    "filter": ["'upper' is filter", "'nothing' is filter"],
    "test": ["'odd' is test"],
    "sameas": ["none is sameas none"],
    "callable": ["text.upper is callable"],
    **{name: [f"3 is {name}", f"8 is {name}"] for name in ("odd", "even")},
    **{name: [f"'a' is {name}", f"'A' is {name}"] for name in ("lower", "upper")},
    **{
        name: [f"{value} is {name}" for value in ("1", "1.5", "true", "'a'", "none", "words")]
        + [f"object is {name}", f"absent is {name}"]
        for name in (
            "boolean escaped false float integer iterable mapping none number sequence string "
            "true undefined"
        ).split()
    },
    **{
        name: [f"(1 is {name}(2), 'b' is {name}('b'))"]
        for name in "eq equalto ge greaterthan gt le lessthan lt ne".split()
    },
    **{
        name: [f"[1, 2, 3]|select('{name}', 2)|list"] for name in ("!=", "<", "<=", "==", ">", ">=")
    },
}
STRING_EXAMPLES = {
    "capitalize": "()", "casefold": "()", "count": "('b')", "endswith": "('>')",
    "find": "('c', 1)", "format": "()", "index": "('c')", "join": "(words)", "lower": "()",
    "lstrip": "('A')", "partition": "(' ')", "removeprefix": "('Ab')", "removesuffix": "('>')",
    "replace": "('b', 'x', 1)", "rfind": "('b')", "rindex": "('b')", "rpartition": "('b')",
    "rsplit": "(' ', 1)", "rstrip": "('>')", "split": "()", "splitlines": "(true)",
    "startswith": "(('x', 'A'))", "strip": "()", "swapcase": "()", "title": "()", "upper": "()",
    **{
        f"is{name}": "()"
        for name in (
            "alnum alpha ascii decimal digit identifier lower numeric printable space title upper"
        ).split()
    },
}  # fmt: skip
LOOP = "{% for i in words %}{{ loop.NAME }} {% endfor %}"
ATTRIBUTE_EXAMPLES: dict[type, tuple[Any, dict[str, str]]] = {
    str: ("text", {name: f"{{{{ text.{name}{call} }}}}" for name, call in STRING_EXAMPLES.items()}),
    list: (
        "words",
        {
            "copy": "{{ words.copy() }}",
            "count": "{{ words.count('b') }}",
            "index": "{{ words.index('c') }}",
        },
    ),
    tuple: ("(1, 2)", {"count": "{{ (1, 2).count(1) }}", "index": "{{ (1, 2).index(2) }}"}),
    dict: (
        "object",
        {
            "copy": "{{ object.copy() }}",
            "get": "{{ object.get('a') }}{{ object.get('x', 1) }}{{ object.get('x') }}",
            "items": "{% for k, v in object.items() %}{{ k }}{{ v }}{% endfor %}",
            "keys": "{{ object.keys()|list }}",
            "values": "{{ object.values()|list }}",
        },
    ),
    range: (
        "range(9)",
        {
            "count": "{{ range(9).count(3) }}",
            "index": "{{ range(9).index(3) }}",
            **{name: f"{{{{ range(1, 9, 2).{name} }}}}" for name in ("start", "step", "stop")},
        },
    ),
    float: ("1.5", {"is_integer": "{{ (1.5).is_integer() }}"}),
    bool: ("true", {}),
    int: ("1", {}),
    type(None): ("none", {}),
    LoopContext: (
        "loop",
        {
            "changed": LOOP.replace("NAME", "changed(i == 'A')"),
            "cycle": LOOP.replace("NAME", "cycle('a', 'b')"),
            **{
                name: LOOP.replace("NAME", name)
                for name in "depth depth0 first index index0 last length nextitem previtem "
                "revindex revindex0".split()
            },
        },
    ),
    Macro: (
        "f",
        {
            name: "{% macro f(a, b=1) %}{{ a }}{% endmacro %}{{ f." + name + " }}{{ f(2) }}"
            for name in "arguments caller catch_kwargs catch_varargs name".split()
        },
    ),
    Cycler: (
        "cycler(1)",
        {
            name: "{% set c = cycler(1, 2) %}{{ c.next() }}{{ c." + name + "CALL }}{{ c.current }}"
            for name in "current items next pos reset".split()
        },
    ),
    Joiner: ("joiner()", {}),
}
GLOBAL_EXAMPLES = {
    "cycler": "{{ cycler('a').next() }}",
    "dict": "{{ dict(a=1) }}{{ dict([('a', 1)], b=2) }}{{ dict(object).b }}",
    "joiner": "{% set j = joiner('|') %}{{ j() }}{{ j() }}",
    "namespace": "{% set ns = namespace(a=1) %}{% for i in words %}{% set ns.a = ns.a + 1 %}"
    "{% endfor %}{{ ns.a }}{{ ns['a'] }}{{ ns.b is defined }}",
    "range": "{{ range(2, 8, 3)|list }}{% for i in range(2) %}{{ i }}{% endfor %}",
}
PLAIN = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)


def rendered(source: str) -> str:
    return ChatTemplate(source, {}).render([], VARIABLES)


def refused(source: str, **variables: Any) -> str:
    with pytest.raises(RequestError) as caught:
        ChatTemplate(source, {}).render([], {**VARIABLES, **variables})
    assert caught.value.code == "template_error"
    return caught.value.message


def test_every_filter_of_jinja_is_allowed_with_an_example_or_refused() -> None:
    assert set(FILTERS) == set(JINJA_FILTERS)
    assert set(FILTERS) - REFUSED_FILTERS == {*FILTER_EXAMPLES, "tojson"}


@pytest.mark.parametrize("name", FILTER_EXAMPLES)
def test_an_allowed_filter_gives_what_jinja_gives(name: str) -> None:
    for expression in FILTER_EXAMPLES[name]:
        source = "{{ " + expression + " }}"
        assert rendered(source) == PLAIN.from_string(source).render(VARIABLES), expression


@pytest.mark.parametrize("name", sorted(REFUSED_FILTERS))
def test_a_refused_filter_is_named(name: str) -> None:
    assert refused(f"{{{{ text|{name} }}}}") == (
        f"the chat template uses the filter {name}, which is not allowed"
    )
    assert name in refused(f"{{{{ words|map('{name}')|list }}}}")


def test_every_test_of_jinja_is_allowed_with_an_example() -> None:
    assert set(TESTS) == set(JINJA_TESTS) == set(TEST_EXAMPLES)


@pytest.mark.parametrize("name", TEST_EXAMPLES)
def test_an_allowed_test_gives_what_jinja_gives(name: str) -> None:
    for expression in TEST_EXAMPLES[name]:
        source = "{{ " + expression + " }}"
        assert rendered(source) == PLAIN.from_string(source).render(VARIABLES), expression


def test_every_allowed_attribute_has_an_example() -> None:
    views = [kind for kind in ALLOWED if kind not in ATTRIBUTE_EXAMPLES]
    assert all(not ALLOWED[kind] for kind in views)
    assert {kind: names for kind, names in ALLOWED.items() if kind not in views} == {
        kind: set(examples) for kind, (_, examples) in ATTRIBUTE_EXAMPLES.items()
    }


@pytest.mark.parametrize("kind", ATTRIBUTE_EXAMPLES)
def test_an_allowed_attribute_gives_what_jinja_gives(kind: type) -> None:
    for name, example in ATTRIBUTE_EXAMPLES[kind][1].items():
        source = example.replace("CALL", "()" if name in ("next", "reset") else "")
        assert rendered(source) == PLAIN.from_string(source).render(VARIABLES), source


@pytest.mark.parametrize("kind", ATTRIBUTE_EXAMPLES)
def test_every_other_attribute_is_refused_by_name(kind: type) -> None:
    value = ATTRIBUTE_EXAMPLES[kind][0]
    before, after = "", ""
    if kind is LoopContext:
        before, after = "{% for i in [1] recursive %}", "{% endfor %}"
    if kind is Macro:
        before = "{% macro f() %}{% endmacro %}"
    for name in set(dir(kind)) - ALLOWED[kind]:
        message = refused(f"{before}{{{{ ({value}).{name} }}}}{after}")
        assert message == (f"the chat template uses {kind.__name__}.{name}, which is not allowed")
        if kind is not Cycler and not name.startswith("_"):
            refused(f"{before}{{{{ ({value})['{name}']() }}}}{after}")


def test_globals_are_allowed_with_an_example_or_absent() -> None:
    environment = Sandbox({})
    assert set(environment.globals) == set(GLOBAL_EXAMPLES)
    assert set(PLAIN.globals) - set(GLOBAL_EXAMPLES) == {"lipsum"}
    for source in GLOBAL_EXAMPLES.values():
        assert rendered(source) == PLAIN.from_string(source).render(VARIABLES)


def test_every_statement_is_allowed_or_refused() -> None:
    def kinds(kind: type[nodes.Node]) -> set[type[nodes.Node]]:
        below = kind.__subclasses__()
        return {*below, *(lower for part in below for lower in kinds(part))}

    assert kinds(nodes.Stmt) == {*syntax.STATEMENTS, *syntax.REFUSED_STATEMENTS}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("{% block a %}{% endblock %}", "block"),
        ("{% autoescape true %}{% endautoescape %}", "autoescape"),
        ("{% extends 'a' %}", "extends"),
        ("{% from 'a' import b %}", "from"),
        ("{% import 'a' as b %}", "import"),
        ("{% if true %}{% include 'a' %}{% endif %}", "include"),
    ],
)
def test_a_refused_statement_is_named(source: str, name: str) -> None:
    message = f"the chat template uses the statement {name}, which is not allowed"
    assert refused(source) == message


def test_every_comparison_of_jinja_is_measured() -> None:
    assert set(COMPARISONS) == set(operators)


@pytest.mark.parametrize("name", sorted(Sandbox.default_binop_table))
def test_every_operator_computes_with_64_bits_only(name: str) -> None:
    assert name in Sandbox.intercepted_binops
    message = refused(f"{{{{ v {name} 3 }}}}{{{{ 3 {name} v }}}}", v=2**MAX_BITS)
    assert "64 bits" in message or "power" in message
    if name in "+*":
        assert "64 bits" in refused(f"{{{{ v {name} v }}}}", v=2**MAX_BITS - 1)


def test_a_large_integer_of_a_client_is_written_as_it_is() -> None:
    number = 10**3000
    source = "{{ v }} {{ v|tojson }} {{ v|default(1) }} {{ [v]|first }} {{ '%d' % v }}"
    assert ChatTemplate(source, {}).render([], {"v": number}) == " ".join([str(number)] * 5)


def test_nothing_is_computed_while_compiling() -> None:
    """Not even inside a rendering: Jinja computes constants unless they need a context."""
    environment = Sandbox({})
    source = "{{ 'x' * 9 }}{{ 9 is odd }}{{ 'a' ~ 1 }}{{ 'abc'[1:] }}{{ [1] == [x] }}"
    with rendering():
        code = environment.compile(source, raw=True)
    assert "xxx" not in code
    assert code.count("(context, ") == 5
    named = {**environment.filters, **environment.tests}
    computed = {name for name, run in named.items() if _PassArg.from_obj(run) is None}
    assert computed == set(CONSTANT_TESTS)


def test_nothing_is_computed_outside_a_rendering() -> None:
    with pytest.raises(SandboxError):
        FILTERS["upper"](None, "x")
