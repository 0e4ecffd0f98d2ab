"""Six manners of giving the result of a tool back."""

import json
import os

from friendli import SyncFriendli, models
from friendli.core import models as core

URL = os.environ["ENDPOINT_URL"]
QUESTION = {"role": "user", "content": "Which weather?"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tells the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def weather(call):
    return f"sun in {json.loads(call.function.arguments)['city']}"


with SyncFriendli(token="t", server_url=URL) as friendli:
    chat = friendli.dedicated.chat
    asked = chat.complete(model="tools-1", messages=[QUESTION], tools=TOOLS, tool_choice="auto")
    message = asked.choices[0].message
    print("asked:", message)
    call = message.tool_calls[0]
    print("call:", call.id, call.TYPE, call.function.name, call.function.arguments)

    def finish(manner, *history):
        """Sends the history twice: to the tool and, to see it, to the echo."""
        try:
            res = chat.complete(model="tools-1", messages=[QUESTION, *history], tools=TOOLS)
            print(f"{manner}, answer:", res.choices[0].message.content)
            res = chat.complete(model="echo", messages=[QUESTION, *history])
            print(f"{manner}, sent:", res.choices[0].message.content)
        except Exception as error:
            print(f"{manner}, error:", type(error).__name__)

    # 1: plain dicts, in openai's form
    finish(
        "dicts",
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": weather(call)},
    )

    # 2: the model classes of messages
    finish(
        "objects",
        core.AssistantMessage(
            tool_calls=[
                core.AssistantMessageToolCall(
                    id=call.id,
                    function=core.AssistantMessageToolCallFunction(
                        name=call.function.name, arguments=call.function.arguments
                    ),
                )
            ]
        ),
        core.ToolMessage(tool_call_id=call.id, content=weather(call)),
    )

    # 3: the dump of the answer's message by alias
    finish(
        "dump by alias",
        message.model_dump(by_alias=True),
        {"role": "tool", "tool_call_id": call.id, "content": weather(call), "name": "weather"},
    )

    # 4: the JSON of the answer's message, as it was stored in a database
    finish(
        "stored JSON",
        json.loads(message.model_dump_json(by_alias=True, exclude_none=True)),
        {"role": "tool", "tool_call_id": call.id, "content": weather(call)},
    )

    # 5: the message of the answer itself
    finish(
        "the message itself", message, core.ToolMessage(tool_call_id=call.id, content=weather(call))
    )

    # 6: TypedDicts, and a result that is JSON
    said: core.AssistantMessageTypedDict = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": call.id, "type": "function", "function": dict(call.function)}],
    }
    result: core.ToolMessageTypedDict = {
        "role": "tool",
        "tool_call_id": call.id,
        "content": json.dumps({"sun": True}),
    }
    finish("typed dicts", said, result)

    # A loop over the calls of an answer that has none
    message = chat.complete(model="plain", messages=[QUESTION], tools=TOOLS).choices[0].message
    print("no calls:", [weather(call) for call in message.tool_calls], message.tool_calls)
    said = {"role": message.role, "content": message.content, "tool_calls": message.tool_calls}
    finish("fields of a message without calls", said, QUESTION)
    finish("dict of a message without calls", dict(message), QUESTION)
    said = {"role": "assistant", "content": asked.choices[0].message.content}
    said["tool_calls"] = asked.choices[0].message.tool_calls
    finish("calls of the answer", said, {"role": "tool", "tool_call_id": call.id, "content": "sun"})

    # Tools as objects, a chosen tool, and two calls in one answer
    tool = models.Tool(function=models.Function(name="weather", parameters={"type": "object"}))
    print("tool:", tool)
    res = chat.complete(
        model="echo",
        messages=[QUESTION],
        tools=[tool],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
    )
    print("tools, sent:", res.choices[0].message.content)
    two = chat.complete(model="tools-2", messages=[QUESTION], tools=TOOLS).choices[0]
    print("two calls:", two.finish_reason, [weather(call) for call in two.message.tool_calls])
