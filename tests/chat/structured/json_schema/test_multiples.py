"""`multipleOf` counts in decimal; values that are too large together are rejected."""

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema import numbers, rewrite_schema
from friendli_endpoint.chat.structured.json_schema.multiples import negative_multiples
from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
IS_WITHIN = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"multipleOf": 1e-300}, "s.multipleOf"),
        ({"multipleOf": 10**400}, "s.multipleOf"),
        ({"type": "number", "multipleOf": 0.07}, "s.multipleOf"),
        ({"multipleOf": 12345.678}, "s.multipleOf"),
        ({"allOf": [{"multipleOf": 99991}, {"multipleOf": 99989}]}, "s.allOf[1].multipleOf"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


STEPS = (
    "0.01",
    "0.1",
    "0.001",
    "0.05",
    "0.02",
    "0.25",
    "0.5",
    "0.3",
    "1.1",
    "2.5",
    "1e-6",
    "3",
    "40",
)


@given(
    st.sampled_from(STEPS).map(Decimal),
    st.dictionaries(st.sampled_from(BOUNDS), st.integers(-3000, 3000), max_size=2),
    st.integers(0, 4),
    st.sampled_from(["number", "integer"]),
    st.lists(st.integers(-500, 500), min_size=4, max_size=4),
)
@settings(max_examples=150)
def test_exactly_the_decimal_multiples_within_the_bounds_have_an_allowed_form(
    step: Decimal, bounds: dict[str, int], decimals: int, kind: str, factors: list[int]
) -> None:
    limits = {name: Decimal(bound).scaleb(-decimals) for name, bound in bounds.items()}
    multiple: Schema = {"type": kind, "multipleOf": _json(step)}
    multiple |= {name: _json(limit) for name, limit in limits.items()}

    def is_valid(text: str) -> bool:
        value = Decimal(text)
        with localcontext() as context:
            context.prec = 200
            is_multiple = value % step == 0
        is_of_kind = kind == "number" or value == value.to_integral_value()
        within = all(IS_WITHIN[name](value, limit) for name, limit in limits.items())
        return is_multiple and is_of_kind and within

    # Without null, a schema that no number satisfies would be rejected.
    constraint = COMPILER.json_schema({"anyOf": [multiple, {"type": "null"}]}, ENDS, "s")
    for factor in factors:
        value = step * factor
        texts = _forms(value if kind == "number" else Decimal(int(value)))
        allowed = [text for text in texts if allows_text(constraint.copy(), text)]
        assert bool(allowed) == is_valid(texts[0]), texts
        wrong = f"{step * factor + Decimal('1e-7'):f}"
        assert not allows_text(constraint.copy(), wrong)
    for seed in range(4):
        output = walk(constraint.copy(), seed)
        assert output in (None, "null") or is_valid(str(output))


@pytest.mark.parametrize("step", [0.07, 0.29, 12.5, 0.3])
def test_of_whole_numbers_every_decimal_step_is_exact(step: float) -> None:
    constraint = COMPILER.json_schema({"type": "integer", "multipleOf": step}, ENDS, "s")
    for value in range(-200, 200):
        is_multiple = value % Decimal(str(step)) == 0
        assert allows_text(constraint.copy(), str(value)) == is_multiple


@given(
    st.sampled_from(STEPS).map(Decimal),
    st.dictionaries(st.sampled_from(BOUNDS), st.integers(-3000, 3000), max_size=3),
    st.integers(0, 4),
)
def test_negative_multiples_are_those_within_the_bounds_nearest_to_zero(
    step: Decimal, bounds: dict[str, int], decimals: int
) -> None:
    limits = {name: Decimal(bound).scaleb(-decimals) for name, bound in bounds.items()}

    def is_within(value: Decimal) -> bool:
        return value < 0 and all(IS_WITHIN[name](value, limit) for name, limit in limits.items())

    found = negative_multiples(_json(step), {name: _json(limit) for name, limit in limits.items()})
    values = [Decimal(str(value)) for value in found]
    assert values == sorted(values, reverse=True) and len(values) <= 500
    for value in values:
        assert is_within(value) and value % step == 0
    if values:
        assert not is_within(values[0] + step)
        assert len(values) == 500 or not is_within(values[-1] - step)
    else:
        assert not any(is_within(-step * factor) for factor in range(1, 2000))


def test_a_compiler_without_negative_multiples_gets_a_list_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{numbers.__name__}.COUNTS_NEGATIVE", False)
    schema = {"type": ["number", "null"], "multipleOf": 0.5, "minimum": -1, "maximum": 4}
    assert rewrite_schema(schema, "s").root["anyOf"] == [
        {"type": "number", "multipleOf": 0.5, "minimum": 0},
        {"type": "number", "enum": [-0.5, -1]},
        {"type": ["null"]},
    ]
    positive = rewrite_schema({"type": "integer", "multipleOf": 3, "minimum": 5}, "s").root
    assert positive["anyOf"] == [{"type": "integer", "multipleOf": 3, "minimum": 0}]


def _forms(value: Decimal) -> list[str]:
    """Returns the forms of a number without and with zeros at its end.

    The compiler does not allow every form: 0.5 as a multiple of 0.25 must be 0.50.
    """
    plain = f"{value.normalize() + 0:f}"
    point = "" if "." in plain else "."
    return [plain, *(f"{plain}{point}{'0' * count}" for count in range(1, 7))]


def _json(value: Decimal) -> Any:
    return int(value) if value == value.to_integral_value() else float(value)
