"""The tables of rules: each row at, inside and outside its bounds."""

import math
from typing import Any

import pytest

from friendli_endpoint.chat.request.rules import (
    FIELDS_WITHOUT_EFFECT,
    Limits,
    check_body,
    check_prompt_tokens,
)
from friendli_endpoint.generation import RequestError
from tests.support.chat import USER, body_of

TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
JSON = {"type": "json_object"}
LIMITS = Limits(choices=4, tools=2, stops=3, stop_length=5)


def tried(**fields: Any) -> None:
    """Checks a body; the wire type itself refuses infinities and NaN, so they are put in later."""
    infinite = {
        name: value
        for name, value in fields.items()
        if isinstance(value, float) and not math.isfinite(value)
    }
    finite = {name: value for name, value in fields.items() if name not in infinite}
    check_body(body_of(**finite).model_copy(update=infinite), LIMITS)


def refused(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        tried(**fields)
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
def test_values_at_and_inside_the_bounds_are_taken(name: str, value: float) -> None:
    tried(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, beyond) in BOUNDS.items() for value in beyond]
)
def test_values_outside_the_bounds_are_refused_by_name(name: str, value: float) -> None:
    refusal = refused(**{name: value})
    assert (refusal.param, refusal.code) == (name, "out_of_range")
    assert refusal.message.startswith(f"{name} must be ")
    assert ("not " in refusal.message) == math.isfinite(value)


@pytest.mark.parametrize("value", [0, 20])
def test_top_logprobs_inside_the_bounds_are_taken(value: int) -> None:
    tried(top_logprobs=value, logprobs=True)


@pytest.mark.parametrize("value", [-1, 21])
def test_top_logprobs_outside_the_bounds_are_refused(value: int) -> None:
    assert refused(top_logprobs=value, logprobs=True).param == "top_logprobs"


@pytest.mark.parametrize(("name", "value"), [("messages", []), ("model", "")])
def test_empty_messages_and_model_are_refused(name: str, value: object) -> None:
    assert refused(**{name: value}).param == name


@pytest.mark.parametrize(
    "fields",
    [
        {"min_tokens": 1, "tools": [TOOL]},
        {"min_tokens": 1, "response_format": JSON},
        {"response_format": JSON, "tools": [TOOL]},
    ],
)
def test_what_cannot_be_together_is_refused(fields: dict[str, Any]) -> None:
    refusal = refused(**fields)
    assert (refusal.param, refusal.code) == (next(iter(fields)), "conflict")


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
def test_what_asks_for_nothing_conflicts_with_nothing(fields: dict[str, Any]) -> None:
    tried(**fields)


NEEDS = [("stream_options", {"include_usage": True}, "stream"), ("top_logprobs", 2, "logprobs")]


@pytest.mark.parametrize("beside", [None, False])
@pytest.mark.parametrize(("name", "value", "other"), NEEDS)
def test_a_field_without_the_one_it_needs_is_refused(
    name: str, value: object, other: str, beside: bool | None
) -> None:
    refusal = refused(**{name: value, other: beside})
    assert (refusal.param, refusal.code) == (name, "conflict")
    assert f"{other}: true" in refusal.message


@pytest.mark.parametrize(("name", "value", "other"), NEEDS)
def test_a_field_with_the_one_it_needs_is_taken(name: str, value: object, other: str) -> None:
    tried(**{name: value, other: True})


NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize("choice", ["none", "auto", "required", NAMED])
def test_every_tool_choice_is_taken_with_tools(choice: object) -> None:
    tried(tools=[TOOL], tool_choice=choice)


@pytest.mark.parametrize("tools", [None, []])
def test_only_none_and_auto_are_taken_without_tools(tools: object) -> None:
    tried(tools=tools, tool_choice="none")
    tried(tools=tools, tool_choice="auto")
    for choice in ("required", NAMED):
        refusal = refused(tools=tools, tool_choice=choice)
        assert (refusal.param, refusal.code) == ("tool_choice", "conflict")


@pytest.mark.parametrize("tools", [None, [TOOL]])
def test_an_unknown_tool_choice_is_refused(tools: object) -> None:
    refusal = refused(tools=tools, tool_choice="any")
    assert (refusal.param, refusal.code) == ("tool_choice", "unknown_value")


def test_both_names_of_max_tokens_must_agree() -> None:
    tried(max_tokens=3, max_completion_tokens=3)
    refusal = refused(max_tokens=3, max_completion_tokens=4)
    assert (refusal.param, refusal.code) == ("max_completion_tokens", "conflict")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_min_tokens_are_at_most_max_tokens(name: str) -> None:
    tried(min_tokens=3, **{name: 3})
    refusal = refused(min_tokens=4, **{name: 3})
    assert (refusal.param, refusal.code) == ("min_tokens", "conflict")


@pytest.mark.parametrize("seed", [0, -1, 2**70, [1, 2]])
def test_seeds_that_fit_n_are_taken(seed: object) -> None:
    tried(seed=seed, n=2)


@pytest.mark.parametrize(("seed", "n"), [([], None), ([1, 2], None), ([1], 2), ([1, 2, 3], 2)])
def test_a_list_of_seeds_has_one_for_each_choice(seed: list[int], n: int | None) -> None:
    assert refused(seed=seed, n=n).param == "seed"


@pytest.mark.parametrize("stop", [[], "a", "12345", ["a", "b", "c"], ["ééééé"], [" "]])
def test_stops_within_the_limits_are_taken(stop: object) -> None:
    tried(stop=stop)


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
def test_stops_beyond_the_limits_are_refused(stop: object, param: str) -> None:
    refusal = refused(stop=stop)
    assert (refusal.param, refusal.code) == (param, "out_of_range")


def test_an_unknown_field_is_named() -> None:
    refusal = refused(logprob=1, temperature=1)
    assert (refusal.param, refusal.code) == ("logprob", "unknown_field")
    assert "'logprob'" in refusal.message


@pytest.mark.parametrize("name", sorted(FIELDS_WITHOUT_EFFECT))
def test_a_known_field_without_effect_is_taken(name: str) -> None:
    tried(**{name: "x"})


def test_fields_that_other_servers_know_have_no_effect_here() -> None:
    listed = {"user", "store", "metadata", "service_tier", "prompt_cache_key", "safety_identifier"}
    assert listed <= FIELDS_WITHOUT_EFFECT


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
def test_a_tool_message_without_an_earlier_call_is_refused(messages: list[Any], at: int) -> None:
    refusal = refused(messages=messages)
    assert refusal.param == f"messages[{at}].tool_call_id"


def test_a_tool_message_after_its_call_is_taken() -> None:
    tried(messages=[USER, ASSISTANT, answer("call_1"), USER, answer("call_1")])


@pytest.mark.parametrize("kind", ["image_url", "audio_url", "video_url"])
def test_a_part_that_is_no_text_is_refused_by_its_place(kind: str) -> None:
    parts = [{"type": "text", "text": "what is this?"}, {"type": kind, kind: {"url": "x"}}]
    refusal = refused(messages=[USER, {"role": "user", "content": parts}])
    assert (refusal.param, refusal.code) == ("messages[1].content[1]", "unsupported_content")
    assert "text" in refusal.message
    assert kind in refusal.message


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_text_parts_are_taken_of_every_role(role: str) -> None:
    tried(messages=[{"role": role, "content": [{"type": "text", "text": "a"}]}])


def test_there_may_be_so_many_tools() -> None:
    tools = [
        {"type": "function", "function": {"name": f"f{number}", "parameters": {}}}
        for number in range(3)
    ]
    tried(tools=tools[:2])
    assert refused(tools=tools).param == "tools"


@pytest.mark.parametrize(("prompt", "fits"), [(3, True), (4, False), (5, False)])
def test_the_prompt_must_leave_room_for_a_token(prompt: int, fits: bool) -> None:
    if fits:
        check_prompt_tokens(prompt, 4, 0)
        return
    with pytest.raises(RequestError) as caught:
        check_prompt_tokens(prompt, 4, 0)
    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")
    assert f"{prompt} tokens" in caught.value.message


def test_the_prompt_must_leave_room_for_min_tokens() -> None:
    check_prompt_tokens(3, 8, 5)
    with pytest.raises(RequestError, match="at most 5") as caught:
        check_prompt_tokens(3, 8, 6)
    assert (caught.value.param, caught.value.code) == ("min_tokens", "out_of_range")


@pytest.mark.parametrize("name", ["messages", "tools", "add_generation_prompt"])
def test_variables_of_the_template_may_not_be_set(name: str) -> None:
    found = refused(chat_template_kwargs={name: None})
    assert (found.param, found.code) == (f"chat_template_kwargs.{name}", "conflict")
    assert name in found.message
