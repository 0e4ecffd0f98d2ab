"""Pickles and copies of answers, messages and errors."""

import copy
import os
import pickle

from friendli import SyncFriendli, models
from friendli.core import models as core
from friendli.types import UNSET

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]


def again(value):
    return pickle.loads(pickle.dumps(value))


with SyncFriendli(token="t", server_url=URL, retry_config=None) as friendli:
    chat = friendli.dedicated.chat
    res = chat.complete(model="plain", messages=HELLO)
    print("answer:", again(res))
    print("equal:", again(res) == res, copy.deepcopy(res) == res, copy.copy(res) == res)
    res = chat.complete(model="tools-1", messages=HELLO)
    print("calls:", again(res).choices[0].message.tool_calls == res.choices[0].message.tool_calls)
    print("unset:", again(res.choices[0].message))
    if hasattr(chat, "stream"):
        events = list(chat.stream(model="plain", messages=HELLO))
    else:
        events = list(chat.complete(model="plain", messages=HELLO, stream=True))
    print("events:", again(events) == events, again(events)[1])
    for model in ("status-404", "not-json"):
        try:
            chat.complete(model=model, messages=HELLO)
        except models.FriendliCoreError as error:
            copied = again(error)
            print(f"{model}:", isinstance(copied, models.FriendliCoreError), copied.status_code)
            print(f"{model}, text:", str(copied).splitlines()[0] == str(error).splitlines()[0])
            print(f"{model}, body:", copied.body, copied.headers["content-type"])

for name, action in {"pickled": pickle.dumps, "copied": copy.deepcopy}.items():
    try:
        action(friendli)
        print(f"client, {name}:", True)
    except TypeError as error:
        print(f"client, {name}:", type(error).__name__)

message = core.UserMessage(content=[core.TextContent(text="a")], name="n")
print("message:", again(message) == message, again(message))
print("unset is falsy:", bool(again(UNSET)), again(UNSET) == UNSET, repr(UNSET))
