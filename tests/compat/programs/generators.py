"""Generators, tuples and other iterables as arguments, and generators around streams."""

import os
from collections import deque

from friendli import SyncFriendli

URL = os.environ["ENDPOINT_URL"]


def messages():
    yield {"role": "system", "content": "Be brief."}
    for word in ("a", "b"):
        yield {"role": "user", "content": word}


with SyncFriendli(token="t", server_url=URL) as friendli:
    chat = friendli.dedicated.chat

    def sent(name, **arguments):
        try:
            res = chat.complete(model="echo", **arguments)
            print(f"{name}:", res.choices[0].message.content)
        except Exception as error:
            print(f"{name}:", type(error).__name__)

    sent("generator", messages=messages())
    sent("tuple", messages=tuple(messages()))
    sent("deque", messages=deque(messages()))
    sent("map", messages=map(lambda text: {"role": "user", "content": text}, ["x", "y"]))
    sent("values of a dict", messages=dict(enumerate(messages())).values())
    sent("stop", messages=list(messages()), stop=(word for word in "xy"))
    sent("a set", messages=list(messages()), stop={"x"})
    sent("tools", messages=list(messages()), tools=iter([]))
    sent("eos_token", messages=list(messages()), eos_token=range(3))
    sent("nothing", messages=[])

    def words(model):
        if hasattr(chat, "stream"):
            stream = chat.stream(model=model, messages=list(messages()))
        else:
            stream = chat.complete(model=model, messages=list(messages()), stream=True)
        with stream as events:
            for event in events:
                if event.data.choices and event.data.choices[0].delta.content:
                    yield event.data.choices[0].delta.content

    print("words:", list(words("plain")))
    some = words("plain")
    print("first word:", next(some))
    some.close()
    print("closed:", next(some, None))
