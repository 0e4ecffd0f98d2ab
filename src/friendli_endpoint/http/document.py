"""The OpenAPI document: FastAPI's description of the routes, and the wire types."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from friendli.models import (
    ContainerChatCompleteSuccess,
    DedicatedChatCompletionBody,
    StreamedChatData,
)
from friendli_endpoint.http.fields_without_effect import ANY
from friendli_endpoint.http.known_fields import types_of

__all__ = ["build_document"]

_WITHOUT_EFFECT = "Accepted without effect."

_REFERENCE = "#/components/schemas/{model}"

_Type = tuple[type[BaseModel], JsonSchemaMode]
_BODY: _Type = (DedicatedChatCompletionBody, "validation")
_WHOLE: _Type = (ContainerChatCompleteSuccess, "serialization")
_CHUNK: _Type = (StreamedChatData, "serialization")


def build_document(
    app: FastAPI, completions: str, bodies: Mapping[str, type[BaseModel]]
) -> dict[str, Any]:
    """Returns the OpenAPI document of an application.

    Args:
        app: The application with all its routes.
        completions: Path of the chat completions, whose body and responses are described here.
        bodies: Type of the body of every other route that is posted to, by path; FastAPI does not
            know them, because these routes read the body themselves.
    """
    posted: dict[str, _Type] = {path: (body, "validation") for path, body in bodies.items()}
    posted[completions] = _BODY
    references, definitions = models_json_schema(
        [*dict.fromkeys(posted.values()), _WHOLE, _CHUNK], ref_template=_REFERENCE
    )
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for path, body in posted.items():
        document["paths"][path]["post"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": references[body]}},
        }
    document["paths"][completions]["post"]["responses"] = {
        "200": {
            "description": "A completion; with `stream: true`, events that each carry a chunk.",
            "content": {
                "application/json": {"schema": references[_WHOLE]},
                "text/event-stream": {"schema": references[_CHUNK]},
            },
        }
    }
    for kind in dict.fromkeys(kind for kind, _ in posted.values()):
        _close(kind, definitions["$defs"])
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    return document


def _close(kind: type[BaseModel], definitions: dict[str, Any]) -> None:
    """States that the objects of a body have no other fields, and names those without effect."""
    for inner, without_effect in types_of(kind):
        definition = definitions[inner.__name__]
        definition["additionalProperties"] = False
        for name, values in without_effect.items():
            allowed = {} if values is ANY else {"enum": list(values)}
            definition["properties"][name] = {"description": _WITHOUT_EFFECT, **allowed}
