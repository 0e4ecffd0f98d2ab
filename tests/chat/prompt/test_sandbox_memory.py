"""The memory of a rendering is bounded by its budget, whatever the template keeps or creates."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.prompt.sandbox import meter
from friendli_endpoint.chat.prompt.sandbox.filters import FILTERS, REFUSED_FILTERS
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.generation import RequestError

BUDGET = 4 * 2**20
CODE = 2**20
"""Bytes beyond the budget, for Jinja's and Python's own work."""

KEEP = (
    "{% set ns = namespace(a=1) %}{% for i in range(99999) %}{% for j in range(99999) %}"
    "{% set ns.a = [ns.a, STEP] %}{% endfor %}{% endfor %}"
)
STEPS = [
    *("range(99)|list", "range(9)|list", "range(9)|map('string')|list", "range(9)|batch(1)|list"),
    *("range(9)|slice(9)|list", "range(300, 309)|sort", "'日本語'|list", "'a b cd'.split()"),
    *("'日 本 語'.split(' ')", "'日\n本'.splitlines()", "['x' * 1000, j]", "{'a': j}", "[]", "{}"),
    *("{'a': j}.items()|list", "{'a': j}.items()", "{'a': j}|dictsort", "{'a': j}|items"),
    *("[{'a': j}]|groupby('a')", "namespace(a=j)", "loop", "j * 1.5", "j + 9999", "'日' * 99 ~ j"),
    *("absent", "ns.x|default(j)", "ns", "'x'.upper", "'{}'.format", "range(j)", "dict(a=j)"),
    *(
        "[1, 2, 3]",
        "(j, )",
        "'日本語'[j % 3]",
        "cycler(j)",
        "joiner(j)",
        "[j]|select",
        "[j]|reverse",
    ),
    *("('ab' ~ j)|title", "('ab' ~ j).partition('b')", "[{'a': j}]|map(attribute='a')|list"),
    *("{'a': j}.copy()", "[j].copy()", "[1, 2, 3][1:]", "'%s' % j", "[[j]]|sum(start=[])"),
    *("[j, j]|unique|list", "{'a': j}|tojson", "[j]|string", "-j", "-1.5 * j", "j / 3", "not j"),
    *(
        "names|map(attribute='upper')|list",
        "names|map(attribute=0)|list",
        "names|map('first')|list",
    ),
    *(
        "namespace(big)",
        "dict(big)",
        "dict(big, a=1)",
        "big.copy()",
        "big.items()|list",
        "big|items",
    ),
    *(
        "(long ~ j).partition('b')",
        "(long ~ j).rpartition('b')",
        "(long ~ j).split('b')",
        "big|list",
    ),
    *("names|map(attribute='absent')|list", "[loop] * 99", "([loop] * 99)|map(attribute='index')"),
    str([str(number) for number in range(99)]),
    str({str(number): number for number in range(99)}),
]
NAMES = [f"日本{number}" for number in range(999)]
WHOLE = [
    KEEP.replace("{% set ns.a", "{% macro f() %}{{ i }}{% endmacro %}{% set ns.a").replace(
        "STEP", "f"
    ),
    KEEP.replace("{% set ns.a", "{% macro f() %}{% set x = [1, 2, 3] %}{% set ns.a")
    .replace("STEP", "x, varargs, kwargs")
    .replace("%}{% endfor %}", "%}{% endmacro %}{{ f(1, 2, b=3) }}{% endfor %}", 1),
    "{% macro f() %}{% set ns.a = [ns.a, kwargs] %}{% endmacro %}"
    + KEEP.replace("{% set ns.a", "{{ f(**big) }}{% set ns.b").replace("STEP", "1"),
    KEEP.replace("{% set ns.a", "{% set b %}{{ j }}{{ i }}{% endset %}{% set ns.a").replace(
        "STEP", "b"
    ),
    KEEP.replace("{% set ns.a", "{% for k in [1] %}{% set ns.a")
    .replace("{% endfor %}", "{% endfor %}{% endfor %}", 1)
    .replace("STEP", "loop"),
    KEEP.replace("STEP", "1").replace("{% set ns.a", "{{ '' }}{% set ns.b"),
]


@pytest.fixture(autouse=True)
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MAX_BYTES", BUDGET)
    monkeypatch.setattr(meter, "MAX_SECONDS", 1000.0)


def peak(source: str, **variables: Any) -> tuple[int, str]:
    """Returns the maximum memory of a rendering, in bytes, and its error or an empty text."""
    template = ChatTemplate(source, {})
    tracemalloc.start()
    try:
        template.render([], variables)
    except RequestError as error:
        return tracemalloc.get_traced_memory()[1], error.message
    finally:
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return used, ""


@pytest.mark.load
@pytest.mark.parametrize(
    "source", [*(KEEP.replace("STEP", step) for step in STEPS), *WHOLE], ids=lambda s: s[90:150]
)
def test_values_that_are_kept_take_no_more_than_the_budget(source: str) -> None:
    used, message = peak(source, names=NAMES, big=dict.fromkeys(NAMES, 1), long="ab" + "x" * 999)
    assert message == "the chat template creates values of more than 4 MiB in total"
    assert used <= BUDGET + CODE


LEAVES = [
    *("'x' * 50000", "'日 ' * 20000", "'a\n' * 20000", "'😀' * 9", "'%s{}' * 999", "'9' * 999"),
    *("[1] * 9999", "range(9999)", "[[1, 'b']] * 999", "{'a': [1, 2]}", "v", "v.a", "n", "2", "-1"),
    *("1.5", "none", "true", "'a'", "' '", "absent", "('x', 'y')", "99", "100000"),
]
METHODS = [
    *("upper()", "split()", "split('a')", "join(v)", "replace('x', 'yyyyy')", "splitlines()"),
    *(
        "format(v, n)",
        "strip('x')",
        "title()",
        "rsplit(' ', 2)",
        "items()",
        "get('a', v)",
        "copy()",
    ),
    *("count('x')", "index(1)", "values()", "partition('x')", "replace('', '日本')"),
]
NAMED = [name for name in FILTERS if name not in REFUSED_FILTERS]


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operator = st.sampled_from([*"+-*/%~", "//", "==", "<", "in", "and", "or", "is eq"])
    return st.one_of(
        st.tuples(inner, operator, inner).map(lambda parts: "({} {} ({}))".format(*parts)),
        st.tuples(inner, st.sampled_from(NAMED)).map(lambda parts: "({}|{})".format(*parts)),
        st.tuples(inner, st.sampled_from(NAMED), inner).map(
            lambda parts: "({}|{}({}))".format(*parts)
        ),
        st.tuples(inner, st.sampled_from(NAMED)).map(
            lambda parts: "({}|map('{}')|list)".format(*parts)
        ),
        st.tuples(inner, st.sampled_from(METHODS)).map(lambda parts: "({}.{})".format(*parts)),
        st.tuples(inner, inner, inner).map(lambda parts: "({})[{}:{}]".format(*parts)),
        st.tuples(inner, inner).map(lambda parts: "[{}, {}]".format(*parts)),
        st.tuples(inner, inner).map(lambda parts: "{{'a': {}, 'b': {}}}".format(*parts)),
        inner.map(lambda part: f"({part}|tojson(indent=9))"),
        inner.map(lambda part: f"({part}|indent(99))"),
    )


EXPRESSIONS = st.recursive(st.sampled_from(LEAVES), combined, max_leaves=6)


@pytest.mark.load
@pytest.mark.property
@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS)
def test_no_expression_takes_more_memory_than_the_budget(expression: str) -> None:
    used, _ = peak("{% set x = " + expression + " %}{{ x }}", v={"a": ["b", 1]}, n=7)
    assert used <= 2 * BUDGET + CODE, "the values, and one that is about to be charged"
