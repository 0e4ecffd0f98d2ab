"""Structured output in seven forms."""

import json
import os

from pydantic import BaseModel

from friendli import SyncFriendli, models

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "The weather of Seoul?"}]


class Weather(BaseModel):
    city: str
    degrees: float


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "number"}},
    "required": ["city", "degrees"],
}
FORMATS = {
    "dict": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
    "object": models.ResponseFormatJSONSchema(json_schema={"schema": SCHEMA}),
    "pydantic schema": {
        "type": "json_schema",
        "json_schema": {"schema": Weather.model_json_schema()},
    },
    "openai's dict": {
        "type": "json_schema",
        "json_schema": {"name": "weather", "strict": True, "schema": SCHEMA},
    },
    "any object": {"type": "json_object"},
    "regex": {"type": "regex", "schema": r"\d{4}-\d\d-\d\d"},
    "text": models.ResponseFormatText(),
}

with SyncFriendli(token="t", server_url=URL) as friendli:
    for name, form in FORMATS.items():
        res = friendli.dedicated.chat.complete(
            model="structured", messages=HELLO, response_format=form
        )
        print(f"{name}, answer:", res.choices[0].message.content)
        res = friendli.dedicated.chat.complete(model="echo", messages=HELLO, response_format=form)
        print(f"{name}, sent:", json.loads(res.choices[0].message.content)["response_format"])
        if name in ("dict", "object", "pydantic schema"):
            res = friendli.dedicated.chat.complete(
                model="structured", messages=HELLO, response_format=form
            )
            print(f"{name}, parsed:", Weather.model_validate_json(res.choices[0].message.content))
    for name in ("object", "text"):
        print(f"{name}, printed:", FORMATS[name])
    try:
        models.ResponseFormatJSONSchema(json_schema="not a schema")
    except ValueError as error:
        print("invalid:", type(error).__name__)
