"""Repeated asyncio.run, with clients of their own and with one for all."""

import asyncio
import os

from friendli import AsyncFriendli

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]


async def own():
    async with AsyncFriendli(token="t", server_url=URL) as friendli:
        res = await friendli.dedicated.chat.complete(model="plain", messages=HELLO)
        return res.choices[0].message.content


for number in range(3):
    print(f"own {number}:", asyncio.run(own()))

friendli = AsyncFriendli(token="t", server_url=URL)


async def shared():
    res = await friendli.dedicated.chat.complete(model="plain", messages=HELLO)
    return res.choices[0].message.content


for number in range(3):
    try:
        print(f"shared {number}:", asyncio.run(shared()))
    except RuntimeError as error:
        print(f"shared {number}:", error)
