"""Clients and streams that nobody closes."""

import asyncio
import gc
import os
import warnings

from friendli import AsyncFriendli, SyncFriendli

warnings.simplefilter("error")
URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]


def make():
    friendli = SyncFriendli(token="t", server_url=URL)
    return friendli.dedicated.chat.complete(model="plain", messages=HELLO)


for _ in range(5):
    res = make()
gc.collect()
print("sync:", res.choices[0].message.content)


def start(chat):
    if hasattr(chat, "stream"):
        return chat.stream(model="plain", messages=HELLO)
    return chat.complete(model="plain", messages=HELLO, stream=True)


friendli = SyncFriendli(token="t", server_url=URL)
for _ in range(3):
    for event in start(friendli.dedicated.chat):
        break
gc.collect()
print("left streams:", event.data.choices[0].delta.role)
print("after them:", friendli.dedicated.chat.complete(model="plain", messages=HELLO).id)


async def main():
    friendli = AsyncFriendli(token="t", server_url=URL)
    res = await friendli.dedicated.chat.complete(model="plain", messages=HELLO)
    stream = await start(friendli.dedicated.chat)
    async for event in stream:
        break
    return res.choices[0].message.content, event.data.choices[0].delta.role


print("async:", asyncio.run(main()))
chat = SyncFriendli(token="t", server_url=URL).dedicated.chat
gc.collect()
try:
    print("chat alone:", chat.complete(model="plain", messages=HELLO).id)
except Exception as error:
    print("chat alone:", type(error).__name__)
