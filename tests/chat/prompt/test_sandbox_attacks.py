"""Hostile templates are stopped by the sandbox, long before the limits of their process."""

import sys
from typing import Any

import pytest

from tests.support.bounded import rendered

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="limits the memory of processes as Linux does"
)

BIG = "{% set big = 'x' * 3999999 %}"
DEEP = "{% set ns = namespace(a=1) %}{% for i in range(99999) %}{% set ns.a = STEP %}{% endfor %}"
DOUBLED = DEEP.replace("99999", "60")
HEX = "0x" + "f" * 3_000
"""An integer of 12,000 bits; Jinja does not compile more than 4,300 digits."""


def deep(step: str, use: str) -> str:
    """Returns a template that repeats a step very often, and then uses the value `ns.a`."""
    return DEEP.replace("STEP", step) + use


def doubled(step: str, use: str) -> str:
    """Returns a template whose value `ns.a` has 2 ** 60 items, all shared."""
    return DOUBLED.replace("STEP", step) + use


BYTES = [
    "{{ (1).to_bytes(3000000000, 'big') }}",
    "{{ 'x'.encode() }}",
    "{{ 'é'.encode('punycode') }}",
    *(f"{{{{ 'x'.encode().{name}(3000000000) }}}}" for name in ("ljust", "center", "zfill")),
    "{{ 'x'.encode().replace('', 'x' * 9999) }}",
    "{{ 'x\t'.encode().expandtabs(3000000000) }}",
    "{{ 'a'.translate({97: 'x' * 3000}) }}{{ 'a'.maketrans('a', 'b') }}",
    "{{ 'x\t'.expandtabs(3000000000) }}",
    "{{ dict.fromkeys(range(99999), 1) }}",
    "{{ [1].__mul__(3000000000) }}",
    "{{ [[1]]|map('attr', '__mul__')|list }}",
    "{{ {'a': 1}.keys().mapping }}",
    "{{ cycler(1).__init__ }}",
]
HUGE = ["".join(chr(zero + int(digit)) for digit in "3000000000") for zero in (0x660, 0xFF10)]
"""3,000,000,000 in Arabic and in full-width digits, which the method `format` understands, too."""

WIDTHS = [
    *(f"{{{{ '{{:{width}}}'.format(1) }}}}" for width in HUGE),
    *(f"{{{{ '{{:.{width}f}}'.format(1.5) }}}}" for width in HUGE),
    *(f"{{{{ '{{:{{}}}}'.format(1, '{width}') }}}}" for width in HUGE),
    "{{ '%(a)3000000000d' % {'a': 1} }}",
    "{{ '%.3000000000f' % 1.5 }}",
    "{{ '%0000000000003000000000d' % 1 }}",
    "{{ '%5%%3000000000d' % (1, 2) }}",
    "{{ '%3000000000d' is divisibleby 7 }}",
    "{{ '%3000000000d' is odd }}",
    "{{ ['%3000000000d']|select('even')|list }}",
    "{{ ['%3000000000d']|sum(start='%') }}{{ '%3000000000d'|format(1) }}",
    BIG + "{{ ('{0}' * 999999).format(big) }}",
    BIG + "{{ ('{0!r}' * 99).format(big) }}",
    BIG + "{{ ('%(a)s' * 99) % {'a': big} }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ strftime_now('%3000000000Y' * 999999) }}",
]
INTEGERS = [
    f"{{{{ {HEX} // 3 }}}}",
    f"{{{{ {HEX} % 12345678901234567890 }}}}",
    f"{{{{ {HEX} * {HEX} }}}}",
    f"{{{{ {HEX} - 1 }}}}",
    f"{{{{ {HEX}|round(2) }}}}",
    f"{{{{ {HEX}|abs }}}}",
    f"{{{{ {HEX} is divisibleby 3 }}}}",
    f"{{{{ {HEX} is odd }}}}",
    f"{{{{ [{HEX}, 1]|sum }}}}",
    f"{{{{ range({HEX}, {HEX} + 9) }}}}",
    deep("ns.a * 10 + 7", "{{ ns.a // 3 }}"),
    deep("ns.a + ns.a", ""),
    deep("[ns.a, ns.a]|sum", ""),
    "{{ 2 ** 99999999 }}",
    "{{ 1.5|round(1000000000, 'ceil') }}",
    "{{ 5|round(-1000000000) }}",
    "{{ ('f' * 900)|int(0, 16) }}",
    "{{ 1e300|int }}",
]
NESTED = [
    "{% set ns = namespace(a=1) %}{% for i in range(900) %}{% set ns.a = [ns.a] %}{% endfor %}"
    "{{ ([ns.a] * 99)|tojson(indent=30) }}",
    deep("[ns.a]", "{{ ns.a }}"),
    deep("(ns.a, )", "{{ {ns.a: 1} }}"),
    deep("(ns.a, )", "{{ {}[ns.a] }}"),
    deep("(ns.a, )", "{{ {}.get(ns.a) }}"),
    deep("(ns.a, )", "{{ ns.a in {} }}"),
    deep("(ns.a, )", "{{ [ns.a]|unique|list }}"),
    deep("(ns.a, )", "{{ dict([(ns.a, 1)]) }}"),
    deep("[ns.a]", "{% set b = ns.a %}{{ [b] == [ns.a] }}"),
    deep("[ns.a]|select", "{{ ns.a|list }}{{ 1 // 0 }}"),
    *(
        doubled("[ns.a, ns.a]", use)
        for use in (
            "{{ ns.a }}",
            "{{ ns.a|string }}",
            "{{ ns.a ~ '' }}",
            "{{ ns.a|tojson }}",
            "{{ ns.a|tojson(indent=1) }}",
            "{{ '%s' % [ns.a] }}",
            "{{ '{}'.format(ns.a) }}",
            "{{ '{!r}'.format(ns.a) }}",
            "{{ ns.a == ns.a|list }}",
            "{{ ns.a is eq(ns.a|list) }}",
            "{{ ns.a|list in [ns.a] }}",
            "{{ [ns.a].index(ns.a|list) }}",
            "{{ [ns.a, ns.a|list]|sort }}",
            "{{ [ns.a, ns.a|list]|max }}",
            "{{ {'a': ns.a}.values() }}",
            "{{ ns.a is upper }}",
            "{{ ns.a|trim }}",
            "{{ raise_exception(ns.a) }}",
            "{{ {}[ns.a].a }}",
            "{% for i in [1, 2] %}{{ loop.changed(ns.a[i - 1]|list) }}{% endfor %}",
        )
    ),
    *(
        "{% set other = namespace(a=1) %}"
        + doubled("[ns.a, ns.a] %}{% set other.a = [other.a, other.a]", use)
        for use in (
            "{{ [ns, other]|sort(attribute='a') }}",
            "{{ [ns, other]|max(attribute='a') }}",
            "{{ [ns, other]|groupby('a') }}",
            "{{ [ns, other]|selectattr('a', 'eq', other.a)|list }}",
            "{{ [1, 2]|groupby('a', default=ns.a) }}",
        )
    ),
    doubled("(ns.a, ns.a)", "{{ [ns]|unique(attribute='a')|list }}"),
    doubled("(ns.a, ns.a)", "{{ {ns.a: 1} }}"),
    doubled("(ns.a, ns.a)", "{{ ns.a is filter }}"),
]
SEARCHES = [
    BIG + "{{ big.rfind('y' + big[:2000000]) }}",
    BIG + "{{ big.rsplit('y' + big[:2000000]) }}",
    BIG + "{{ big.rpartition('y' + big[:2000000]) }}",
    BIG + "{{ big.rindex('y' + big[:2000000]) }}",
    BIG + "{{ big.strip('y' * 2000000 + 'x') }}",
    BIG + "{{ big|trim('y' * 2000000 + 'x') }}",
    BIG + "{{ big.startswith((big[1:] + 'y', ) * 400000) }}",
    BIG + "{{ ([big] * 400000).index(big[1:] + 'y') }}",
    BIG + "{{ ([big] * 400000).count(big[1:] + 'x') }}",
    BIG + "{{ big[1:] + 'y' in [big] * 400000 }}",
    BIG + "{{ ([big, big[1:] + 'x'] * 200000)|unique|list|length }}"
    "{{ ([big, big[1:] + 'y'] * 200000)|sort }}",
    BIG + "{{ ([big] * 400000)|reject('eq', big[1:] + 'x')|list }}",
    BIG + "{{ ([{'a': 1}] * 400000)|map(attribute='.'.join(['a'] * 2000))|list }}",
    BIG + "{{ ([{'a': 1}] * 400000)|sort(attribute=','.join(['a'] * 2000)) }}",
]
GROWTH = [
    "{{ ('a\r' * 1900000)|indent(3000) }}",
    "{{ ('a\u2028' * 1900000)|indent('x' * 3000) }}",
    "{{ ('a\n' * 1900000)|indent(-1)|indent(3000) }}",
    BIG + "{{ [1, 2, 3, 4, 5, 6, 7, 8, 9]|tojson(separators=(big, big)) }}",
    BIG + "{{ ([1] * 400000)|tojson(indent=big) }}",
    BIG + "{{ ('a' * 60000)|replace('a', ['b' * 9000]) }}",
    BIG + "{{ [big, big, big, big]|replace('x', 'yyyy') }}",
    BIG + "{{ ([big] * 9999)|join }}",
    BIG + "{{ [1, 2, 3]|join(big) }}{{ big.join('abc') }}",
    BIG + "{% set b %}{% for i in range(999) %}{{ big }}{% endfor %}{% endset %}",
    BIG + "{% macro f() %}{% for i in range(999) %}{{ big }}{% endfor %}{% endmacro %}"
    "{% set b = f() %}",
    BIG + "{% filter upper %}{% for i in range(999) %}{{ big }}{% endfor %}{% endfilter %}",
    "{{ ([[1]] * 9999)|sum(start=[])|length }}{{ ([[1] * 400000] * 9999)|sum(start=[]) }}",
    "{{ [1]|batch(300000000, 0)|list }}",
    "{{ [1]|slice(300000000)|list }}",
    "{{ ('ΐ' * 3999999).upper() }}",
    "{{ ('日 ' * 1999999).split() }}",
    "{{ ('日\n' * 1999999).splitlines() }}",
    "{{ ('日,' * 1999999).split(',') }}",
    "{{ ('日' * 3999999)|list }}",
    "{{ ('日 ' * 1999999)|title }}",
    "{{ ('日 ' * 1999999)|wordcount }}",
    "{{ ('\\x00' * 3999999 ~ '😀')|tojson }}",
    "{{ ['\\x00' * 3999999] }}",
    "{{ ('&' * 3999999)|escape }}",
    "{{ 'x' * 3000000000 }}{{ [1] * 3000000000 }}{{ (1, ) * 3000000000 }}",
    "{{ [[]] * 499999 * 499999 }}",
    "{% macro " + "f" * 100_000 + "() %}{% endmacro %}{{ [" + "f" * 100_000 + "] * 99999 }}",
]
ENDLESS = [
    "{% for z in range(99999) %}{% for a in [0] * 400000 if "
    + " and ".join(["a == 0"] * 80)
    + " and a %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "{% macro f(n) %}{{ caller() }}{% if n %}{% call f(n - 1) %}{% endcall %}"
    "{% call f(n - 1) %}{% endcall %}{% endif %}{% endmacro %}{% call f(60) %}{% endcall %}",
    "{{ (range(99999)|list * 4)|map('select', 'in', range(99999)|list * 4)|list }}",
    "{% for x in [[[]] * 9] * 9 recursive %}{{ loop([[[]] * 9] * 9) }}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% if a < b %}{% endif %}{% endfor %}"
    "{% endfor %}",
]
SOURCES = [*BYTES, *WIDTHS, *INTEGERS, *NESTED, *SEARCHES, *GROWTH, *ENDLESS]


def wide_and_deep(size: int, depth: int) -> Any:
    value: Any = [1] * (size // depth)
    for _ in range(depth):
        value = [value, [1] * (size // depth)]
    return value


INDENTED: list[tuple[str, dict[str, Any]]] = [
    ("{{ v|tojson(indent=4) }}", {"v": wide_and_deep(250_000, 190)}),
    ("{{ v|tojson(indent=4) }}", {"v": wide_and_deep(250_000, 10)}),
    ("{{ v|tojson(indent=4) }}", {"v": {"a": "x" * 1_600_000}}),
    ("{{ v|tojson(indent=4) }}", {"v": [[]] * 400_000}),
    ("{{ v|tojson(indent=4)|length }}", {"v": [[]] * 80_000}),
    ("{{ v|tojson(indent=4)|length }}", {"v": wide_and_deep(100_000, 5)}),
]


@pytest.mark.load
def test_each_attack_is_stopped_before_the_limits_of_its_process() -> None:
    """Nothing ends by a limit of the process, and what is too large is named in the error."""
    endings = rendered([(source, {}) for source in SOURCES])
    assert len(endings) == len(SOURCES)
    wrong = [
        (source[:200], ending)
        for source, ending in zip(SOURCES, endings, strict=True)
        if not ending["error"] or ending["error"] in ("process ended", "MemoryError", "SystemError")
    ]
    assert wrong == []


@pytest.mark.load
def test_large_values_of_a_client_are_indented_or_rejected_at_a_bounded_cost() -> None:
    endings = rendered(INDENTED)
    assert [ending["error"] for ending in endings] == [
        "SandboxError",
        "SandboxError",
        "",
        "SandboxError",
        "",
        "",
    ]
