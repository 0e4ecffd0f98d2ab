"""The event hooks of an httpx client."""

import asyncio
import os

import httpx

from friendli import AsyncFriendli, SyncFriendli, models

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]
seen = []


def on_request(request):
    seen.append(f"request {request.method} {request.url.path}")
    request.headers["x-program"] = "event hook"


def on_response(response):
    seen.append(f"response {response.status_code} {response.headers['content-type']}")


with httpx.Client(event_hooks={"request": [on_request], "response": [on_response]}) as client:
    friendli = SyncFriendli(token="t", server_url=URL, client=client)
    res = friendli.dedicated.chat.complete(model="headers", messages=HELLO)
    print("headers:", res.choices[0].message.content)
    print("seen:", seen)
    seen.clear()
    try:
        friendli.dedicated.chat.complete(model="status-404", messages=HELLO)
    except models.SDKError as error:
        print("status:", error.status_code)
    print("seen of an error:", seen)


def read_body(response):
    response.read()
    seen.append(len(response.text) > 0)


seen.clear()
with httpx.Client(event_hooks={"response": [read_body]}) as client:
    friendli = SyncFriendli(token="t", server_url=URL, client=client)
    res = friendli.dedicated.chat.complete(model="plain", messages=HELLO)
    print("read in a hook:", seen, res.choices[0].message.content)
    chat = friendli.dedicated.chat
    if hasattr(chat, "stream"):
        events = chat.stream(model="plain", messages=HELLO)
    else:
        events = chat.complete(model="plain", messages=HELLO, stream=True)
    print("stream read in a hook:", len(list(events)))


def refuse(response):
    response.raise_for_status()


with httpx.Client(event_hooks={"response": [refuse]}) as client:
    friendli = SyncFriendli(token="t", server_url=URL, client=client)
    try:
        friendli.dedicated.chat.complete(model="status-404", messages=HELLO)
    except httpx.HTTPStatusError as error:
        print("raised in a hook:", error.response.status_code)


async def main():
    async def on_async_request(request):
        seen.append(request.url.path)

    seen.clear()
    async with httpx.AsyncClient(event_hooks={"request": [on_async_request]}) as client:
        friendli = AsyncFriendli(token="t", server_url=URL, async_client=client)
        await friendli.dedicated.chat.complete(model="plain", messages=HELLO)
    print("async seen:", seen)

    async def read_async_body(response):
        await response.aread()

    async with httpx.AsyncClient(event_hooks={"response": [read_async_body]}) as client:
        friendli = AsyncFriendli(token="t", server_url=URL, async_client=client)
        chat = friendli.dedicated.chat
        if hasattr(chat, "stream"):
            events = await chat.stream(model="plain", messages=HELLO)
        else:
            events = await chat.complete(model="plain", messages=HELLO, stream=True)
        print("async stream read in a hook:", len([event async for event in events]))


asyncio.run(main())
