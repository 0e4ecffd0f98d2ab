"""Which fields of a body ask for something."""

import pytest

from friendli.types import UNSET
from friendli_endpoint.chat.request.given import given, given_fields
from tests.support.chat import body_of

ALWAYS = {"model", "messages"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
JSON = {"type": "json_object"}


@pytest.mark.parametrize(("value", "found"), [(UNSET, None), (None, None), (0, 0), ("", "")])
def test_what_is_absent_or_null_has_no_value(value: object, found: object) -> None:
    assert given(value) == found


def test_null_is_absent() -> None:
    body = body_of(temperature=None, stop=None, n=1)
    assert given_fields(body) == {*ALWAYS, "n"}
    assert (given(body.temperature), given(body.stop), given(body.n)) == (None, None, 1)


@pytest.mark.parametrize(
    ("name", "nothing", "something"),
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
def test_a_value_that_asks_for_nothing_is_absent(
    name: str, nothing: object, something: object
) -> None:
    assert given_fields(body_of(**{name: nothing})) == ALWAYS
    body = body_of(**{name: something})
    assert given_fields(body) == {*ALWAYS, name}
    assert body.model_dump()[name] == something


@pytest.mark.parametrize("name", ["frequency_penalty", "seed", "temperature", "top_k"])
def test_zero_is_given_where_it_means_something(name: str) -> None:
    body = body_of(**{name: 0})
    assert given_fields(body) == {*ALWAYS, name}
    assert given(getattr(body, name)) == 0
