"""The fields of a body that have an effect."""

import pytest

from friendli.types import UNSET
from friendli_endpoint.chat.request.fields import effective_fields, value_or_none
from tests.support.chat import body_of

ALWAYS = {"model", "messages"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
JSON = {"type": "json_object"}


@pytest.mark.parametrize(("value", "expected"), [(UNSET, None), (None, None), (0, 0), ("", "")])
def test_a_field_that_is_absent_or_null_has_no_value(value: object, expected: object) -> None:
    assert value_or_none(value) == expected


def test_a_null_field_has_no_effect() -> None:
    body = body_of(temperature=None, stop=None, n=1)
    assert effective_fields(body) == {*ALWAYS, "n"}
    assert (value_or_none(body.temperature), value_or_none(body.stop), value_or_none(body.n)) == (
        None,
        None,
        1,
    )


@pytest.mark.parametrize(
    ("name", "empty", "value"),
    [
        ("tools", [], [TOOL]),
        ("stop", [], ["a"]),
        ("eos_token", [], [0]),
        ("logit_bias", {}, {"1": 0}),
        ("min_tokens", 0, 1),
        ("response_format", {"type": "text"}, JSON),
        ("chat_template_kwargs", {}, {"a": None}),
    ],
)
def test_an_empty_value_has_no_effect(name: str, empty: object, value: object) -> None:
    assert effective_fields(body_of(**{name: empty})) == ALWAYS
    body = body_of(**{name: value})
    assert effective_fields(body) == {*ALWAYS, name}
    assert body.model_dump()[name] == value


@pytest.mark.parametrize("name", ["frequency_penalty", "seed", "temperature", "top_k"])
def test_zero_has_an_effect_where_it_is_a_meaningful_value(name: str) -> None:
    body = body_of(**{name: 0})
    assert effective_fields(body) == {*ALWAYS, name}
    assert value_or_none(getattr(body, name)) == 0
