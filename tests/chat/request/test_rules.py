"""The tables of rules: each row at, inside and outside of its bounds."""

import math
from typing import Any

import pytest

from friendli_endpoint.chat.request.rules import (
    Limits,
    check_body,
    check_prompt_tokens,
)
from friendli_endpoint.generation import RequestError
from tests.support.chat import USER, body_of

TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
JSON = {"type": "json_object"}
LIMITS = Limits(max_choices=4, max_tools=2, max_stops=3, max_stop_length=5)


def check(**fields: Any) -> None:
    """Checks a body; the wire type rejects infinities and NaN, so they are set afterwards."""
    infinite = {
        name: value
        for name, value in fields.items()
        if isinstance(value, float) and not math.isfinite(value)
    }
    finite = {name: value for name, value in fields.items() if name not in infinite}
    check_body(body_of(**finite).model_copy(update=infinite), LIMITS)


def error_of(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        check(**fields)
    assert caught.value.status == 400
    assert caught.value.param is not None
    return caught.value


TINY = math.ulp(0.0)
BOUNDS: dict[str, tuple[list[float], list[float]]] = {
    "frequency_penalty": ([-2, 0, 2], [-2.01, 2.01, math.inf, -math.inf, math.nan]),
    "presence_penalty": ([-2, 0, 2], [-2.01, 2.01, math.inf, math.nan]),
    "repetition_penalty": ([TINY, 1, 50], [0, -1, math.nan, math.inf]),
    "temperature": ([0, 1, 99], [-TINY, -1, math.nan, math.inf]),
    "top_p": ([TINY, 0.5, 1], [0, -0.1, 1.01, math.nan]),
    "min_p": ([0, 0.5, 1], [-TINY, 1.01, math.nan]),
    "top_k": ([-1, 0, 1, 10**9], [-2]),
    "xtc_threshold": ([0, 0.5, 1], [-TINY, 1.01, math.nan]),
    "xtc_probability": ([0, 0.5, 1], [-TINY, 1.01, math.nan]),
    "max_tokens": ([1, 10**9], [0, -1]),
    "max_completion_tokens": ([1, 10**9], [0, -1]),
    "min_tokens": ([0, 1, 10**6], [-1]),
    "n": ([1, 4], [0, -1, 5]),
    "reasoning_budget": ([1, 10**6], [0, -1]),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (inside, _) in BOUNDS.items() for value in inside]
)
def test_values_at_and_inside_the_bounds_are_valid(name: str, value: float) -> None:
    check(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, beyond) in BOUNDS.items() for value in beyond]
)
def test_values_outside_the_bounds_are_rejected_by_name(name: str, value: float) -> None:
    error = error_of(**{name: value})
    assert (error.param, error.code) == (name, "out_of_range")
    assert error.message.startswith(f"{name} must be ")
    assert ("not " in error.message) == math.isfinite(value)


@pytest.mark.parametrize("value", [0, 20])
def test_top_logprobs_inside_the_bounds_are_valid(value: int) -> None:
    check(top_logprobs=value, logprobs=True)


@pytest.mark.parametrize("value", [-1, 21])
def test_top_logprobs_outside_the_bounds_are_rejected(value: int) -> None:
    assert error_of(top_logprobs=value, logprobs=True).param == "top_logprobs"


@pytest.mark.parametrize(("name", "value"), [("messages", []), ("model", "")])
def test_empty_messages_and_model_are_rejected(name: str, value: object) -> None:
    assert error_of(**{name: value}).param == name


@pytest.mark.parametrize(
    "fields",
    [
        {"min_tokens": 1, "tools": [TOOL]},
        {"min_tokens": 1, "response_format": JSON},
        {"response_format": JSON, "tools": [TOOL]},
    ],
)
def test_fields_that_exclude_each_other_are_rejected(fields: dict[str, Any]) -> None:
    error = error_of(**fields)
    assert (error.param, error.code) == (next(iter(fields)), "conflict")


@pytest.mark.parametrize(
    "fields",
    [
        {"min_tokens": 0, "tools": [TOOL]},
        {"min_tokens": 1, "tools": []},
        {"min_tokens": 0, "response_format": JSON},
        {"min_tokens": 1, "response_format": {"type": "text"}},
        {"response_format": {"type": "text"}, "tools": [TOOL]},
        {"response_format": JSON, "tools": []},
        {"response_format": JSON, "tools": None},
    ],
)
def test_fields_without_effect_do_not_conflict(fields: dict[str, Any]) -> None:
    check(**fields)


NEEDS = [("stream_options", {"include_usage": True}, "stream"), ("top_logprobs", 2, "logprobs")]


@pytest.mark.parametrize("beside", [None, False])
@pytest.mark.parametrize(("name", "value", "needed"), NEEDS)
def test_a_field_without_the_field_that_it_needs_is_rejected(
    name: str, value: object, needed: str, beside: bool | None
) -> None:
    error = error_of(**{name: value, needed: beside})
    assert (error.param, error.code) == (name, "conflict")
    assert f"{needed}: true" in error.message


@pytest.mark.parametrize(("name", "value", "needed"), NEEDS)
def test_a_field_with_the_field_that_it_needs_is_valid(
    name: str, value: object, needed: str
) -> None:
    check(**{name: value, needed: True})


NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize("choice", ["none", "auto", "required", NAMED])
def test_every_tool_choice_is_valid_with_tools(choice: object) -> None:
    check(tools=[TOOL], tool_choice=choice)


@pytest.mark.parametrize("tools", [None, []])
def test_only_none_and_auto_are_valid_without_tools(tools: object) -> None:
    check(tools=tools, tool_choice="none")
    check(tools=tools, tool_choice="auto")
    for choice in ("required", NAMED):
        error = error_of(tools=tools, tool_choice=choice)
        assert (error.param, error.code) == ("tool_choice", "conflict")


@pytest.mark.parametrize("tools", [None, [TOOL]])
def test_an_unknown_tool_choice_is_rejected(tools: object) -> None:
    error = error_of(tools=tools, tool_choice="any")
    assert (error.param, error.code) == ("tool_choice", "unknown_value")


def test_max_tokens_and_max_completion_tokens_must_be_equal() -> None:
    check(max_tokens=3, max_completion_tokens=3)
    error = error_of(max_tokens=3, max_completion_tokens=4)
    assert (error.param, error.code) == ("max_completion_tokens", "conflict")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_min_tokens_must_be_at_most_max_tokens(name: str) -> None:
    check(min_tokens=3, **{name: 3})
    error = error_of(min_tokens=4, **{name: 3})
    assert (error.param, error.code) == ("min_tokens", "conflict")


@pytest.mark.parametrize("seed", [0, -1, 2**70, [1, 2]])
def test_one_seed_or_n_seeds_are_valid(seed: object) -> None:
    check(seed=seed, n=2)


@pytest.mark.parametrize(("seed", "n"), [([], None), ([1, 2], None), ([1], 2), ([1, 2, 3], 2)])
def test_a_list_of_seeds_with_another_length_than_n_is_rejected(
    seed: list[int], n: int | None
) -> None:
    assert error_of(seed=seed, n=n).param == "seed"


@pytest.mark.parametrize("stop", [[], "a", "12345", ["a", "b", "c"], ["ééééé"], [" "]])
def test_stops_within_the_limits_are_valid(stop: object) -> None:
    check(stop=stop)


@pytest.mark.parametrize(
    ("stop", "param"),
    [
        ("", "stop"),
        ("123456", "stop"),
        ([""], "stop[0]"),
        (["a", ""], "stop[1]"),
        (["a", "123456"], "stop[1]"),
        (["a", "b", "c", "d"], "stop"),
    ],
)
def test_stops_beyond_the_limits_are_rejected(stop: object, param: str) -> None:
    error = error_of(stop=stop)
    assert (error.param, error.code) == (param, "out_of_range")


ASSISTANT = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def answer(call: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": "4"}


@pytest.mark.parametrize(
    ("messages", "at"),
    [
        ([USER, answer("call_1")], 1),
        ([answer("call_1"), ASSISTANT], 0),
        ([USER, ASSISTANT, answer("call_1"), answer("call_2")], 3),
        ([{"role": "assistant", "content": "x", "tool_calls": None}, answer("call_1")], 1),
    ],
)
def test_a_tool_message_without_an_earlier_call_is_rejected(messages: list[Any], at: int) -> None:
    error = error_of(messages=messages)
    assert error.param == f"messages[{at}].tool_call_id"


def test_a_tool_message_after_its_call_is_valid() -> None:
    check(messages=[USER, ASSISTANT, answer("call_1"), USER, answer("call_1")])


@pytest.mark.parametrize("kind", ["image_url", "audio_url", "video_url"])
def test_a_part_that_is_not_text_is_rejected_by_its_path(kind: str) -> None:
    parts = [{"type": "text", "text": "what is this?"}, {"type": kind, kind: {"url": "x"}}]
    error = error_of(messages=[USER, {"role": "user", "content": parts}])
    assert (error.param, error.code) == ("messages[1].content[1]", "unsupported_content")
    assert "text" in error.message
    assert kind in error.message


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_text_parts_are_valid_in_every_role(role: str) -> None:
    check(messages=[{"role": role, "content": [{"type": "text", "text": "a"}]}])


def test_the_number_of_tools_is_limited() -> None:
    tools = [
        {"type": "function", "function": {"name": f"f{number}", "parameters": {}}}
        for number in range(3)
    ]
    check(tools=tools[:2])
    assert error_of(tools=tools).param == "tools"


@pytest.mark.parametrize(("prompt", "fits"), [(3, True), (4, False), (5, False)])
def test_the_prompt_must_leave_at_least_one_token(prompt: int, fits: bool) -> None:
    if fits:
        check_prompt_tokens(prompt, 4, 0)
        return
    with pytest.raises(RequestError) as caught:
        check_prompt_tokens(prompt, 4, 0)
    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")
    assert f"{prompt} tokens" in caught.value.message


def test_the_prompt_must_leave_min_tokens() -> None:
    check_prompt_tokens(3, 8, 5)
    with pytest.raises(RequestError, match="at most 5") as caught:
        check_prompt_tokens(3, 8, 6)
    assert (caught.value.param, caught.value.code) == ("min_tokens", "out_of_range")


@pytest.mark.parametrize("name", ["messages", "tools", "add_generation_prompt"])
def test_reserved_template_variables_may_not_be_set(name: str) -> None:
    error = error_of(chat_template_kwargs={name: None})
    assert (error.param, error.code) == (f"chat_template_kwargs.{name}", "conflict")
    assert name in error.message
