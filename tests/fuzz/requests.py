"""Valid requests of every kind, and mutations of them."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

Json = Any
Step = str | int

PARAMETERS = {
    "type": "object",
    "properties": {"place": {"type": "string", "maxLength": 5}, "days": {"enum": [1, 2, 3]}},
    "required": ["place"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look", "parameters": PARAMETERS}}
CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"place":"a"}'}}
USER = {"role": "user", "content": "Hello!"}


def request(**fields: Json) -> dict[str, Json]:
    """Returns a request with a short answer."""
    return {"model": "m", "messages": [USER], "max_tokens": 3, **fields}


GOOD = [
    request(),
    request(stream=True, stream_options={"include_usage": True}),
    request(n=2, seed=[1, 2], logprobs=True, top_logprobs=2),
    request(
        temperature=0.5,
        top_k=4,
        top_p=0.9,
        min_p=0.01,
        repetition_penalty=1.1,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        xtc_threshold=0.1,
        xtc_probability=0.5,
        seed=7,
    ),
    request(min_tokens=2, eos_token=[2], stop=["STOP", "END"], logit_bias={"5": 1, "a": -100}),
    request(chat_template_kwargs={"extra": {"a": [1, 2.5, None]}, "think": False}),
    request(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "text", "text": "Hello!"}], "name": "me"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "sun", "tool_call_id": "1"},
            USER,
        ]
    ),
    request(tools=[TOOL], tool_choice="auto", parallel_tool_calls=False),
    request(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "look"}}),
    request(response_format={"type": "json_schema", "json_schema": {"schema": PARAMETERS}}),
    request(response_format={"type": "json_object"}, stream=True),
    request(response_format={"type": "regex", "schema": "[ab]{1,3}"}),
    request(
        parse_reasoning=True,
        include_reasoning=False,
        reasoning_budget=2,
        chat_template_kwargs={"think": True},
    ),
    request(
        messages=[USER, {"role": "assistant", "content": '{"a": ', "prefix": True}],
        response_format={"type": "json_object"},
    ),
    request(
        messages=[USER, {"role": "assistant", "reasoning_content": "Hm", "partial": True}],
        continue_final_message=True,
        add_generation_prompt=False,
    ),
    request(reasoning_effort="low", user="me", metadata={"a": "b"}),
]


def nested(depth: int, value: Json, key: str | None) -> Json:
    """Nests a value in `depth` lists, or in objects with this key."""
    for _ in range(depth):
        value = [value] if key is None else {key: value}
    return value


INTEGERS = [0, -1, 1, 2, 5, 21, 300, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400]
FLOATS = [0.0, -0.0, 1e-320, 1e308, 0.5, -2.0, float("nan"), float("inf"), -float("inf")]
TEXTS = [
    *("", " ", "\0", "\n", "é", "\U0001f600", "\ufdd0", "\uffff", "a" * 5_000, "9" * 5_000),
    *("<|im_end|>", "<think>", "</think>", "<tool_call>", "{{ 7 * 7 }}", "{% for %}"),
    *("../../etc/passwd", "m:../x", "a\r\nx-evil: 1", "__class__", "$ref", "NaN"),
    *("[" * 3_000, '{"a":' * 3_000, "(" * 300, "a{1000}{1000}", "(a|a)*" * 50),
]
EMPTY: list[Json] = [None, True, False, [], {}, [[]], [{}], {"": {}}, [None], {"a": None}]
EXTREMES = st.sampled_from([*INTEGERS, *FLOATS, *TEXTS, *EMPTY]) | st.builds(
    nested, st.integers(1, 220), st.none() | st.integers(), st.none() | st.sampled_from(["a", ""])
)
SAME_TYPE: dict[type, st.SearchStrategy[Json]] = {
    bool: st.booleans(),
    int: st.sampled_from(INTEGERS) | st.integers(),
    float: st.sampled_from(FLOATS) | st.floats(),
    str: st.sampled_from(TEXTS) | st.text(),
}
JUNK = EXTREMES | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def places(value: Json) -> Iterator[tuple[Step, ...]]:
    """Yields the paths of all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in items:
        yield (step,)
        if isinstance(inner, dict | list):
            yield from ((step, *path) for path in places(inner))


def _delete(parent: Json, step: Step, _junk: Json) -> None:
    del parent[step]


def _replace(parent: Json, step: Step, junk: Json) -> None:
    parent[step] = junk


def _retype(parent: Json, step: Step, _junk: Json) -> None:
    value = parent[step]
    parent[step] = json.dumps(value) if not isinstance(value, str) else [value]


def _nest(parent: Json, step: Step, _junk: Json) -> None:
    parent[step] = {str(step): parent[step]}


def _repeat(parent: Json, step: Step, junk: Json) -> None:
    if isinstance(parent, list):
        parent[:] = parent * 3
    else:
        parent[f"{step} "] = junk


def _rename(parent: Json, step: Step, _junk: Json) -> None:
    if isinstance(parent, dict):
        parent[str(step).upper()] = parent.pop(step)


def _add(parent: Json, step: Step, junk: Json) -> None:
    if isinstance(parent, dict):
        parent["extra"] = junk
    else:
        parent.append(junk)


MUTATIONS: list[Callable[[Json, Step, Json], None]] = [
    *(_delete, _replace, _replace, _replace, _retype, _nest, _repeat, _rename, _add)
]


@st.composite
def mutated_bodies(draw: st.DrawFn) -> bytes:
    """Draws a valid request with one to three mutations, as JSON that may have a duplicate key."""
    body = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(body))
        if not found:
            break
        *path, step = draw(st.sampled_from(found))
        parent: Json = body
        for key in path:
            parent = parent[key]
        same_type = SAME_TYPE.get(type(parent[step]))
        if same_type is not None and draw(st.booleans()):
            parent[step] = draw(same_type)
        else:
            draw(st.sampled_from(MUTATIONS))(parent, step, copy.deepcopy(draw(JUNK)))
    text = json.dumps(body, ensure_ascii=draw(st.booleans()))
    if body and draw(st.integers(0, 9)) == 0:
        key = draw(st.sampled_from(list(body)))
        text = f"{text[:-1]}, {json.dumps(key)}: {json.dumps(draw(JUNK))}}}"
    return text.encode("utf-8", "surrogatepass")
