"""Bodies with the largest legal value of one field, for every field of a request."""

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from friendli.models import DedicatedChatCompletionBody
from friendli.types import BaseModel, Unset
from tests.http.scripted import VALID

__all__ = ["CASES", "Case", "Fields", "call", "fields", "text", "wide"]

MAX_BYTES = 4_000_000
"""Size of a value that only the limit on a body's size bounds."""

Fields = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A value of a field.

    Attributes:
        make: Returns the fields of a body that is as large as a fraction of the largest one.
        is_legal: Whether there is a legal value.
    """

    make: Callable[[float], Fields]
    is_legal: bool = True


def fields(model: type[BaseModel] = DedicatedChatCompletionBody, prefix: str = "") -> Iterator[str]:
    """Yields the path of every field that takes a text, a number, a list or an object."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        nested, takes_data = [], False
        for kind in leaves(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                nested.append(kind)
            else:
                takes_data |= kind in (str, int, float, dict)
        if takes_data:
            yield path
        for kind in nested:
            yield from fields(kind, f"{path}[{kind.__name__}]." if len(nested) > 1 else f"{path}.")


def leaves(annotation: Any) -> Iterator[Any]:
    """Yields the types in an annotation: of lists their items, of unions their members."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from leaves(get_args(annotation)[0])
    elif origin in (Union, types.UnionType, list):
        for member in get_args(annotation):
            yield from leaves(member)
    elif origin is dict:
        yield dict
    elif origin is not Literal and annotation not in (Unset, type(None), bool):
        yield annotation


# ── values ───────────────────────────────────────────────────────────────────────────────────


def text(scale: float, size: int = MAX_BYTES, unit: str = "x") -> str:
    return unit * max(1, int(size * scale))


def number(scale: float) -> int:
    return int("9" * max(1, int(4_000 * scale)))


def deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def wide(scale: float) -> Fields:
    return {f"key {index}": [] for index in range(max(1, int(130_000 * scale)))}


def deep_and_wide(scale: float) -> list[Any]:
    return [deep(60) for _ in range(max(1, int(4_000 * scale)))]


# ── fields ───────────────────────────────────────────────────────────────────────────────────


def field(name: str, value: Callable[[float], Any], **more: Any) -> Case:
    return Case(lambda scale: {name: value(scale)}, **more)


def message(role: str, value: Callable[[float], Fields], **more: Any) -> Case:
    """Returns a case of one message of a role, after the valid ones."""
    before = [*VALID["messages"], *([call()] if role == "tool" else ())]
    more_fields = {"tool_call_id": "1"} if role == "tool" else {}
    return Case(
        lambda scale: {
            "messages": [*before, {"role": role, "content": "Hi", **more_fields, **value(scale)}]
        },
        **more,
    )


def parts(scale: float) -> list[Fields]:
    return [{"type": "text", "text": "x"}] * max(1, int(80_000 * scale))


def contents(role: str) -> list[Case]:
    return [
        message(role, lambda scale: {"content": text(scale)}),
        message(role, lambda scale: {"content": text(scale, MAX_BYTES // 4, "\U0001f600")}),
        Case(lambda scale: {"messages": [call(), *[short(role)] * max(1, int(2_047 * scale))]}),
    ]


def short(role: str) -> Fields:
    return {"role": role, "content": "Hi"} | ({"tool_call_id": "1"} if role == "tool" else {})


def text_parts(role: str) -> list[Case]:
    return [
        message(role, lambda scale: {"content": parts(scale)}),
        message(role, lambda scale: {"content": [{"type": "text", "text": text(scale)}]}),
    ]


def media(kind: str) -> list[Case]:
    """Returns a case of media, which this model does not support."""
    return [
        message(
            "user",
            lambda scale: {"content": [{"type": kind, kind: {"url": f"data:,{text(scale)}"}}]},
            is_legal=False,
        )
    ]


def call(name: str = "f", arguments: str = "{}", call_id: str = "1") -> Fields:
    return {
        "role": "assistant",
        "tool_calls": [{"id": call_id, "function": {"name": name, "arguments": arguments}}],
    }


def calls(value: Callable[[float], Fields]) -> Case:
    return Case(lambda scale: {"messages": [*VALID["messages"], call(**value(scale))]})


def tool_result(call_id: str, **more: Any) -> Fields:
    asked = call(call_id=call_id)
    result = {"role": "tool", "content": "Hi", "tool_call_id": call_id, **more}
    return {"messages": [*VALID["messages"], asked, result]}


def tools(value: Callable[[float], Fields], **more: Any) -> Case:
    plain = {"name": "f", "parameters": {"type": "object"}}
    return Case(lambda scale: {"tools": [{"function": {**plain, **value(scale)}}]}, **more)


def open_tool(number: int) -> Fields:
    """Returns a tool with a parameter of its own, which takes further arguments."""
    name = f"p{number}"
    parameters = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    return {"function": {"name": f"f{number}", "parameters": parameters}}


def closed_tool(number: int) -> Fields:
    """Returns a tool with a parameter of its own and a description, as programs define them."""
    tool = open_tool(number)
    tool["function"]["description"] = "Does what its name says, once for each call. " * 4
    tool["function"]["parameters"]["additionalProperties"] = False
    return tool


def schema(value: Callable[[float], Any], **more: Any) -> Case:
    return Case(lambda scale: response_schema(value(scale)), **more)


def response_schema(value: Any, n: int = 1) -> Fields:
    return {"n": n, "response_format": {"type": "json_schema", "json_schema": {"schema": value}}}


def regex(value: Callable[[float], str], **more: Any) -> Case:
    return Case(
        lambda scale: {"response_format": {"type": "regex", "schema": value(scale)}}, **more
    )


def named_tool(scale: float) -> Fields:
    name = text(scale, 64)
    return {
        "tools": [{"function": {"name": name, "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": name}},
    }


def stops(scale: float) -> list[str]:
    return ["\U0001f600" * int(1_022 * scale) + chr(0x4E00 + index) for index in range(64)]


ROLES = {
    "system": "SystemMessage",
    "developer": "DeveloperMessage",
    "user": "UserMessage",
    "assistant": "AssistantMessage",
    "tool": "ToolMessage",
}
NUMBERS = (
    "frequency_penalty", "max_tokens", "max_completion_tokens", "min_p", "n", "presence_penalty",
    "repetition_penalty", "reasoning_budget", "temperature", "top_k", "top_logprobs", "top_p",
    "xtc_threshold", "xtc_probability", "min_tokens",
)  # fmt: skip
LEGAL_NUMBERS = {"max_tokens", "max_completion_tokens", "reasoning_budget", "top_k"}

ASSISTANT = "messages[AssistantMessage]."
USER = "messages[UserMessage].content"

CASES: dict[str, list[Case]] = {
    **{name: [field(name, number, is_legal=name in LEGAL_NUMBERS)] for name in NUMBERS},
    "model": [Case(lambda scale: {"model": text(scale, 256)})],
    "chat_template_kwargs": [
        field("chat_template_kwargs", wide),
        field("chat_template_kwargs", lambda scale: {"unused": text(scale)}),
        field("chat_template_kwargs", lambda scale: {"extra": text(scale)}),
        field("chat_template_kwargs", lambda scale: {"extra": deep_and_wide(scale)}),
    ],
    "eos_token": [field("eos_token", lambda scale: [2] * int(262_000 * scale))],
    "logit_bias": [
        field("logit_bias", lambda scale: {str(i): 1 for i in range(int(280 * scale))}),
        field(
            "logit_bias",
            lambda scale: {f"{i:07}": 1 for i in range(int(200_000 * scale))},
            is_legal=False,
        ),
    ],
    "reasoning_effort": [field("reasoning_effort", text)],
    "seed": [Case(lambda scale: {"n": 128, "seed": [2**63 - 1] * 128}), field("seed", number)],
    "stop": [field("stop", stops), Case(lambda scale: {"n": 128, "stop": stops(scale)})],
    "tool_choice": [field("tool_choice", text, is_legal=False)],
    "tool_choice.function.name": [Case(named_tool)],
    "tools.function.name": [
        tools(lambda scale: {"name": text(scale, 64)}),
        Case(
            lambda scale: {
                "tools": [
                    {"function": {"name": f"f{i}", "parameters": {"type": "object"}}}
                    for i in range(max(1, int(512 * scale)))
                ]
            },
        ),
        Case(lambda scale: {"tools": [open_tool(i) for i in range(max(1, int(512 * scale)))]}),
        Case(lambda scale: {"tools": [closed_tool(i) for i in range(max(1, int(512 * scale)))]}),
    ],
    "tools.function.description": [tools(lambda scale: {"description": text(scale)})],
    "tools.function.parameters": [
        tools(lambda scale: {"parameters": {"enum": [{"a": text(scale, 400_000)}]}}),
        tools(
            lambda scale: {
                "parameters": {
                    "type": "object",
                    "properties": {f"p{i}": {"type": "string"} for i in range(int(2_000 * scale))},
                }
            },
        ),
    ],
    "response_format[ResponseFormatJSONSchema].json_schema.schema": [
        schema(lambda scale: {"enum": [text(scale, 400_000)]}),
        schema(lambda scale: {"enum": [f"{i}" for i in range(int(9_000 * scale))]}),
        schema(lambda scale: {"oneOf": [{"const": i} for i in range(int(4_000 * scale))]}),
        schema(lambda scale: {"description": text(scale, 500_000)}),
        schema(lambda scale: {"pattern": f"({text(scale, 2_000, 'a?')})"}),
        Case(
            lambda scale: response_schema({"not": {"enum": [text(scale, 1_500)]}}, 128),
        ),
        Case(
            lambda scale: response_schema(
                {"type": "string", "maxLength": max(1, int(100_000 * scale))}, 128
            )
        ),
    ],
    "response_format[ResponseFormatJSONObject].schema": [
        field(
            "response_format",
            lambda scale: {"type": "json_object", "schema": {"enum": [text(scale, 400_000)]}},
        )
    ],
    "response_format[ResponseFormatRegex].schema": [
        regex(lambda scale: text(scale, 100_000, "a?")),
        regex(lambda scale: f"[a-z]{{{max(1, int(50_000 * scale))}}}"),
        regex(lambda scale: f"(?:[^ab]c|b){{0,{max(1, int(2_000 * scale))}}}"),
    ],
    **{f"messages[{kind}].content": contents(role) for role, kind in ROLES.items()},
    **{
        f"messages[{kind}].name": [message(role, lambda scale: {"name": text(scale)})]
        for role, kind in ROLES.items()
    },
    **{
        f"messages[{kind}].content.text": text_parts(role)
        for role, kind in ROLES.items()
        if role != "user"
    },
    f"{USER}[TextContent].text": text_parts("user"),
    f"{USER}[ImageContent].image_url.url": media("image_url"),
    f"{USER}[AudioContent].audio_url.url": media("audio_url"),
    f"{USER}[VideoContent].video_url.url": media("video_url"),
    f"{ASSISTANT}reasoning_content": [
        message("assistant", lambda scale: {"reasoning_content": text(scale)})
    ],
    f"{ASSISTANT}reasoning": [message("assistant", lambda scale: {"reasoning": text(scale)})],
    f"{ASSISTANT}tool_calls.id": [calls(lambda scale: {"call_id": text(scale)})],
    f"{ASSISTANT}tool_calls.function.name": [calls(lambda scale: {"name": text(scale)})],
    f"{ASSISTANT}tool_calls.function.arguments": [
        calls(lambda scale: {"arguments": '{"a": "' + text(scale) + '"}'}),
        calls(lambda scale: {"arguments": '{"a": [' + text(scale, 200_000, "0,") + "0]}"}),
        calls(lambda scale: {"arguments": text(scale, 1_900_000, "[")}),
    ],
    "messages[ToolMessage].tool_call_id": [
        Case(lambda scale: tool_result(text(scale, MAX_BYTES // 2)))
    ],
}
