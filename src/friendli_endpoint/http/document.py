"""The OpenAPI document: what FastAPI knows of the routes, and the wire types."""

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

__all__ = ["build_document"]

_NAMES = "#/components/schemas/{model}"

_Type = tuple[type[BaseModel], JsonSchemaMode]
_BODY: _Type = (DedicatedChatCompletionBody, "validation")
_WHOLE: _Type = (ContainerChatCompleteSuccess, "serialization")
_CHUNK: _Type = (StreamedChatData, "serialization")


def build_document(
    app: FastAPI, completions: str, bodies: Mapping[str, type[BaseModel]]
) -> dict[str, Any]:
    """The OpenAPI document of an application.

    Args:
        app: With all its routes.
        completions: Path of the chat completions, whose body and answers are described here.
        bodies: Path to what else is posted; routes that read the body themselves do not tell.
    """
    posted: dict[str, _Type] = {path: (body, "validation") for path, body in bodies.items()}
    posted[completions] = _BODY
    places, definitions = models_json_schema(
        [*dict.fromkeys(posted.values()), _WHOLE, _CHUNK], ref_template=_NAMES
    )
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for path, body in posted.items():
        document["paths"][path]["post"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": places[body]}},
        }
    document["paths"][completions]["post"]["responses"] = {
        "200": {
            "description": "A completion; with `stream: true`, events that each carry a chunk.",
            "content": {
                "application/json": {"schema": places[_WHOLE]},
                "text/event-stream": {"schema": places[_CHUNK]},
            },
        }
    }
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    return document
