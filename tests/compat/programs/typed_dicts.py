"""Arguments as typed dicts."""

import os

from friendli import SyncFriendli
from friendli.core import models

URL = os.environ["ENDPOINT_URL"]

system: models.SystemMessageTypedDict = {"role": "system", "content": "Be brief.", "name": "s"}
picture: models.UserMessageTypedDict = {
    "role": "user",
    "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "audio_url", "audio_url": {"url": "https://host/a.wav"}},
        {"type": "video_url", "video_url": {"url": "https://host/v.mp4"}},
    ],
}
tool: models.ToolTypedDict = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object"}, "description": "d"},
}
options: models.StreamOptionsTypedDict = {"include_usage": True}
form: models.ResponseFormatTypedDict = {"type": "json_object"}
messages: list[models.MessageTypedDict] = [system, picture]

with SyncFriendli(token="t", server_url=URL) as friendli:
    chat = friendli.dedicated.chat
    res = chat.complete(model="echo", messages=messages, tools=[tool])
    print("messages:", res.choices[0].message.content)
    res = chat.complete(model="echo", messages=messages[:1], response_format=form)
    print("form:", res.choices[0].message.content)
    request: models.DedicatedChatCompletionBodyTypedDict = {
        "model": "echo",
        "messages": messages,
        "max_tokens": 5,
        "seed": 3,
    }
    res = chat.complete(**request)
    print("request:", res.choices[0].message.content)
    if hasattr(chat, "stream"):
        events = list(chat.stream(model="plain", messages=messages, stream_options=options))
    else:
        events = list(
            chat.complete(model="plain", messages=messages, stream_options=options, stream=True)
        )
    print("usage:", events[-1].data.usage.total_tokens)
    print("the caller's dict is as it was:", picture["content"][0], list(system))
    for name in ("UserMessage", "SystemMessage", "ToolMessage", "AssistantMessage", "Tool"):
        typed = getattr(models, f"{name}TypedDict")
        print(f"keys of {name}:", sorted(key for key in typed.__annotations__))
