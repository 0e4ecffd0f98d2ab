"""Bodies with a large value of a field without effect, for every row of their table."""

from collections.abc import Callable, Mapping

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.http.fields_without_effect import ANY, fields_without_effect
from tests.faults.large_bodies import Case, Fields, call, text, wide

__all__ = ["FREE_CASES"]


def with_part(part: Fields) -> Fields:
    return {"messages": [{"role": "user", "content": [part]}]}


def with_call(changes: Fields) -> Fields:
    (made,) = call()["tool_calls"]
    return {"messages": [{"role": "assistant", "tool_calls": [{**made, **changes}]}]}


OBJECTS: Mapping[str, Callable[[Fields], Fields]] = {
    "": lambda fields: fields,
    "stream_options": lambda fields: {"stream_options": fields},
    "messages[]": lambda fields: {"messages": [{"role": "user", "content": "Hi", **fields}]},
    "messages[assistant]": lambda fields: {"messages": [{"role": "assistant", **fields}]},
    "messages[].content[]": lambda fields: with_part({"type": "text", "text": "Hi", **fields}),
    "messages[].content[].image_url": lambda fields: with_part(
        {"type": "image_url", "image_url": {"url": "data:,", **fields}}
    ),
    "messages[].tool_calls[]": with_call,
    "messages[].tool_calls[].function": lambda fields: with_call(
        {"function": {"name": "f", **fields}}
    ),
    "tools[]": lambda fields: {"tools": [{"function": {"name": "f"}, **fields}]},
    "tools[].function": lambda fields: {"tools": [{"function": {"name": "f", **fields}}]},
    "response_format.json_schema": lambda fields: {
        "response_format": {"type": "json_schema", "json_schema": {"schema": {}, **fields}}
    },
}
"""Bodies with fields in an object, by its path in the table of fields without effect."""


def free(path: str, name: str) -> list[Case]:
    """Returns cases of a field without effect in the object of a path."""
    # The model takes no images, and measuring takes no streams.
    is_legal = "image_url" not in path and path != "stream_options"
    return [
        Case(lambda scale: OBJECTS[path]({name: text(scale)}), is_legal=is_legal),
        Case(lambda scale: OBJECTS[path]({name: wide(scale)}), is_legal=is_legal),
    ]


FREE_CASES: dict[str, list[Case]] = {
    f"{row.path}.{name}": free(row.path, name)
    for row in fields_without_effect(DedicatedChatCompletionBody)
    for name in [name for name, values in row.fields.items() if values is ANY][:1]
}
"""By path: cases of one field of each row, unless the row lists its values."""
