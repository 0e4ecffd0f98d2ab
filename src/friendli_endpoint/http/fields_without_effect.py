"""Fields of other servers' requests that are accepted without effect: one table for the whole body.

A field belongs here if leaving it out changes nothing that this endpoint answers: it describes the
caller, asks for a cache, asks for what is always so, or repeats what an answer of another server
said besides its content. `docs/parameters.md` prints the table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from friendli.models import DedicatedChatCompletionBody

__all__ = ["ANY", "FieldsWithoutEffect", "Values", "fields_without_effect"]

ANY = None
"""Every value is without effect."""

Values = tuple[Any, ...] | None
"""The values of a field that are without effect; `ANY` if all are."""


@dataclass(frozen=True, slots=True)
class FieldsWithoutEffect:
    """Fields of one object that are accepted without effect.

    Attributes:
        path: Path of the object; `""` is the body, `[]` any item of a list, and `[ROLE]` a message
            of that role.
        fields: By name, the values that are without effect; any other value is rejected.
        reason: Why they have none, as a clause for the documentation.
    """

    path: str
    fields: Mapping[str, Values]
    reason: str


def _any(names: str) -> dict[str, Values]:
    return dict.fromkeys(names.split(), ANY)


_CACHE = "caches are automatic"
_ENFORCED = "schemas are always enforced"
_ECHO = "part of another server's answer"

_CHAT = (
    FieldsWithoutEffect(
        "", _any("metadata safety_identifier store user"), "for the caller's own records"
    ),
    FieldsWithoutEffect("", _any("service_tier"), "there is one class of service"),
    FieldsWithoutEffect("", _any("cache_control prompt_cache_key prompt_cache_retention"), _CACHE),
    FieldsWithoutEffect(
        "",
        {"functions": ([],), "modalities": (["text"],), "verbosity": ("medium",)},
        "the default; other values are not supported",
    ),
    FieldsWithoutEffect("stream_options", _any("include_obfuscation"), "chunks are not padded"),
    FieldsWithoutEffect(
        "stream_options",
        {"continuous_usage_stats": (False,)},
        "the default; other values are not supported",
    ),
    FieldsWithoutEffect("messages[]", _any("id"), "for the caller's own records"),
    FieldsWithoutEffect("messages[]", _any("cache_control"), _CACHE),
    FieldsWithoutEffect(
        "messages[assistant]",
        _any(
            "annotations extra_content parsed provider_specific_fields reasoning_details refusal "
            "thinking_blocks"
        ),
        _ECHO,
    ),
    FieldsWithoutEffect("messages[].content[]", _any("cache_control"), _CACHE),
    FieldsWithoutEffect("messages[].content[]", _any("annotations"), _ECHO),
    FieldsWithoutEffect(
        "messages[].content[].image_url", _any("detail"), "the model determines the resolution"
    ),
    FieldsWithoutEffect(
        "messages[].tool_calls[]", _any("extra_content index provider_specific_fields"), _ECHO
    ),
    FieldsWithoutEffect(
        "messages[].tool_calls[].function",
        _any("parsed_arguments provider_specific_fields"),
        _ECHO,
    ),
    FieldsWithoutEffect("tools[]", _any("cache_control"), _CACHE),
    FieldsWithoutEffect("tools[].function", _any("cache_control"), _CACHE),
    FieldsWithoutEffect("tools[].function", _any("strict"), _ENFORCED),
    FieldsWithoutEffect(
        "response_format.json_schema", _any("description name"), "the model does not see the schema"
    ),
    FieldsWithoutEffect("response_format.json_schema", _any("strict"), _ENFORCED),
)

_TABLES: Mapping[type[BaseModel], tuple[FieldsWithoutEffect, ...]] = {
    DedicatedChatCompletionBody: _CHAT
}


def fields_without_effect(kind: type[BaseModel]) -> Iterator[FieldsWithoutEffect]:
    """Yields the rows of the table for a type of body."""
    yield from _TABLES.get(kind, ())
