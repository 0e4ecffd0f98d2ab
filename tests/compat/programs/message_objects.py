"""Messages and arguments as objects."""

import os

from friendli import SyncFriendli
from friendli.core import models
from friendli.types import UNSET

URL = os.environ["ENDPOINT_URL"]

system = models.SystemMessage(content="Be brief.")
user = models.UserMessage(content="Hello!", name="Ann")
assistant = models.AssistantMessage(content="Hi.")
parts = models.UserMessage(
    content=[
        models.TextContent(text="What is this?"),
        models.ImageContent(image_url=models.ImageData(url="data:image/png;base64,AAAA")),
    ]
)
for name, value in {"system": system, "user": user, "assistant": assistant, "parts": parts}.items():
    print(f"{name}:", value)
    print(f"{name}, dump by alias:", value.model_dump(by_alias=True))
    print(f"{name}, json by alias:", value.model_dump_json(by_alias=True))
print("constants:", system.ROLE, user.ROLE, assistant.ROLE, parts.content[0].TYPE)
print("unset:", system.name == UNSET, bool(system.name))
print("equal:", user == models.UserMessage(content="Hello!", name="Ann"), user != parts)
print("by alias:", models.UserMessage(content="a", role="user") == models.UserMessage(content="a"))
user.content = "Changed."
print("changed:", user.content)
for name, wrong in {"no content": {}, "wrong role": {"content": "a", "role": "system"}}.items():
    try:
        models.UserMessage(**wrong)
    except ValueError as error:
        print(f"{name}:", type(error).__name__)

with SyncFriendli(token="t", server_url=URL) as friendli:
    chat = friendli.dedicated.chat
    messages = [system, user, assistant, parts, {"role": "user", "content": "A dict."}]
    print("mixed:", chat.complete(model="echo", messages=messages).choices[0].message.content)
    res = chat.complete(
        model="echo",
        messages=[user],
        tools=[
            models.Tool(
                function=models.Function(name="f", description="d", parameters={"type": "object"})
            )
        ],
        response_format=models.ResponseFormatJSONObject(),
    )
    print("objects:", res.choices[0].message.content)
    history = [user]
    for turn in range(2):
        res = chat.complete(model="plain", messages=history)
        history.append(models.AssistantMessage(content=res.choices[0].message.content))
        history.append(models.UserMessage(content=f"turn {turn}"))
    print("history:", chat.complete(model="echo", messages=history).choices[0].message.content)
