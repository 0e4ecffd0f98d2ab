"""Names of the published client that this one does not have, and the errors for them."""

from __future__ import annotations

from typing import Final

from friendli._errors import NotCoveredError, NotCoveredImportError

_OF_MODULES: Final = {
    "friendli": frozenset({"container", "dataset", "file", "serverless"}),
    "friendli.core": frozenset({"SPEAKEASY_GENERATOR_VERSION"}),
    "friendli.utils": frozenset(
        (
            "FieldMetadata FormMetadata HeaderMetadata MultipartFormMetadata OpenEnumMeta "
            "PathParamMetadata QueryParamMetadata RequestMetadata Retries SecurityMetadata "
            "SerializedRequestBody cast_partial check_modality digest download_from_url "
            "find_metadata generate_url get_body_content get_default_logger get_discriminator "
            "get_global_from_env get_headers get_pydantic_model get_query_params "
            "get_response_headers get_security get_security_from_env marshal_json "
            "match_content_type match_response match_status_codes parse_datetime parse_duration "
            "remove_suffix retry retry_async serialize_decimal serialize_float serialize_int "
            "serialize_request_body stream_to_bytes stream_to_bytes_async stream_to_text "
            "stream_to_text_async template_url unmarshal unmarshal_json validate_const "
            "validate_decimal validate_float validate_int validate_open_enum"
        ).split()
    ),
}
_OF_OBJECTS: Final = {
    "": _OF_MODULES["friendli"],
    "dedicated.": frozenset(
        {"audio", "chat_render", "completions", "embeddings", "endpoint", "image", "token"}
    ),
    "dedicated.chat.": frozenset(),
}
_OPENAI_PATHS: Final = frozenset(
    {
        "beta",
        "chat",
        "completions",
        "dedicated.chat.completions",
        "dedicated.chat.create",
        "responses",
    }
)
"""Where a program that is written for openai's client looks first."""


def absent(module: str, name: str) -> Exception:
    """Return the error for a name that a module lacks.

    It is an ImportError, because `from module import name` replaces the message of an
    AttributeError.

    Args:
        module: Module of the lookup.
        name: Name that was looked up.
    """
    if name not in _OF_MODULES[module]:
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    return NotCoveredImportError(_not_covered(f"{module}.{name}"), name=name)


def absent_attribute(owner: object, path: str, name: str) -> AttributeError:
    """Return the error for an attribute that an object of the client lacks.

    Args:
        owner: Object of the lookup.
        path: Path from the client to `owner`: "", "dedicated." or "dedicated.chat.".
        name: Attribute that was looked up.
    """
    if path + name in _OPENAI_PATHS:
        return NotCoveredError(
            f"this client has no {path}{name}, which is the manner of openai's; call "
            "friendli.dedicated.chat.complete(model=..., messages=...), or .stream(...)"
        )
    if name not in _OF_OBJECTS[path]:
        return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}")
    return NotCoveredError(_not_covered(path + name))


def _not_covered(name: str) -> str:
    return f"this client covers dedicated.chat (complete and stream); {name} is not part of it"
