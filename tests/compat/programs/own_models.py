"""The client's models as fields of the program's own."""

import json
import os

from pydantic import BaseModel, TypeAdapter

from friendli import SyncFriendli
from friendli.core import models
from friendli.types import UNSET

try:
    from friendli.core.models import ServerlessChatCompleteSuccess as Completion
except ImportError:
    from friendli.core.models import ContainerChatCompleteSuccess as Completion

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]


class Turn(BaseModel):
    question: models.UserMessage
    answer: Completion | None = None
    history: list[models.Message] = []


class Settings(BaseModel):
    response_format: models.ResponseFormat | None = None
    tools: list[models.Tool] = []


class MyMessage(models.UserMessage):
    source: str = "web"


with SyncFriendli(token="t", server_url=URL) as friendli:
    chat = friendli.dedicated.chat
    res = chat.complete(model="plain", messages=HELLO)
    turn = Turn(question=models.UserMessage(content="Hello!"), answer=res)
    print("turn:", turn)
    print("dump by alias:", turn.model_dump(by_alias=True))
    text = turn.model_dump_json(by_alias=True)
    print("json by alias:", text)
    again = Turn.model_validate_json(text)
    print("again:", again == turn, again.answer.choices[0].message.content)
    print("fields:", sorted(Turn.model_json_schema()["properties"]))

    turn = Turn.model_validate(
        {
            "question": HELLO[0],
            "history": [
                {"role": "system", "content": "Be brief."},
                {"role": "assistant", "content": "Hi."},
                {"role": "tool", "tool_call_id": "1", "content": "done"},
            ],
        }
    )
    print("classes:", [type(message).__name__ for message in turn.history])
    res = chat.complete(model="echo", messages=[*turn.history, turn.question])
    print("sent:", res.choices[0].message.content)

    settings = Settings.model_validate_json(
        '{"response_format": {"type": "json_schema", "json_schema": {"schema": {}}},'
        ' "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}'
    )
    print("settings:", settings)
    res = chat.complete(
        model="echo", messages=HELLO, response_format=settings.response_format, tools=settings.tools
    )
    print("settings, sent:", res.choices[0].message.content)

    print("subclass:", MyMessage(content="a"))
    res = chat.complete(model="echo", messages=[MyMessage(content="a")])
    print("subclass, sent:", json.loads(res.choices[0].message.content)["messages"])

    unset = {"calls": res.choices[0].message.tool_calls, "again": [UNSET]}
    print("unset in a dict:", TypeAdapter(dict).dump_json(unset).decode())
    print("unset in a dict, dumped:", TypeAdapter(dict).dump_python(unset, mode="json"))

    adapter = TypeAdapter(list[models.Message])
    parsed = adapter.validate_json('[{"role": "user", "content": "a"}]')
    print("adapter:", parsed, adapter.dump_json(parsed, by_alias=True).decode())
    try:
        adapter.validate_python([{"role": "owl", "content": "a"}])
    except ValueError as error:
        print("adapter, wrong role:", type(error).__name__)
