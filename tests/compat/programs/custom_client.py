"""HTTP clients of the program: httpx with options, and a class of its own."""

import asyncio
import json
import os

import httpx

from friendli import AsyncFriendli, SyncFriendli
from friendli.httpclient import AsyncHttpClient, HttpClient

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]

EVENT = {
    "id": "mocked",
    "object": "chat.completion.chunk",
    "created": 1,
    "choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": None}],
}
EVENTS = f"data: {json.dumps(EVENT)}\n\ndata: [DONE]\n\n"


def open_stream(chat):
    if hasattr(chat, "stream"):
        return chat.stream(model="m", messages=HELLO)
    return chat.complete(model="m", messages=HELLO, stream=True)


class CountingClient:
    """Delegates to httpx, and counts."""

    def __init__(self):
        self.inner = httpx.Client()
        self.sent = []
        self.closed = False

    def send(self, request, **kwargs):
        self.sent.append((str(request.url), request.method, kwargs.get("stream")))
        request.headers["x-program"] = "counted"
        return self.inner.send(request, **kwargs)

    def build_request(self, method, url, **kwargs):
        return self.inner.build_request(method, url, **kwargs)

    def close(self):
        self.closed = True
        self.inner.close()


class AsyncCountingClient:
    """Delegates to httpx, and counts."""

    def __init__(self):
        self.inner = httpx.AsyncClient()
        self.count = 0

    async def send(self, request, **kwargs):
        self.count += 1
        return await self.inner.send(request, **kwargs)

    def build_request(self, method, url, **kwargs):
        return self.inner.build_request(method, url, **kwargs)

    async def aclose(self):
        await self.inner.aclose()


counting = CountingClient()
print("is a client:", isinstance(counting, HttpClient), isinstance(counting, AsyncHttpClient))
with SyncFriendli(token="t", server_url=URL, client=counting) as friendli:
    res = friendli.dedicated.chat.complete(model="headers", messages=HELLO)
    print("headers:", res.choices[0].message.content)
    print("events:", len(list(open_stream(friendli.dedicated.chat))))
print("paths:", [url.removeprefix(URL).split("#")[0] for url, _, _ in counting.sent])
print("methods:", [method for _, method, _ in counting.sent])
print("stream flag:", [flag for _, _, flag in counting.sent][-1])
print("not closed by the with:", not counting.closed)
print("still works:", counting.inner.get(URL).status_code)

with httpx.Client(
    headers={"x-program": "base"},
    limits=httpx.Limits(max_connections=2),
    timeout=httpx.Timeout(20),
    follow_redirects=True,
) as client:
    friendli = SyncFriendli(token="t", server_url=URL, client=client)
    res = friendli.dedicated.chat.complete(model="headers", messages=HELLO)
    print("base headers:", res.choices[0].message.content)


def reply(request):
    data = {
        "id": "mocked",
        "object": "chat.completion",
        "created": 1,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": request.url.host},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    return httpx.Response(200, json=data)


client = httpx.Client(transport=httpx.MockTransport(reply))
friendli = SyncFriendli(token="t", client=client)
res = friendli.dedicated.chat.complete(model="plain", messages=HELLO)
print("mock transport:", res)


def reply_events(request):
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=EVENTS)


client = httpx.Client(transport=httpx.MockTransport(reply_events))
print("mock transport, stream:", list(open_stream(SyncFriendli("t", client=client).dedicated.chat)))

try:
    SyncFriendli(token="t", client=object())
except AssertionError as error:
    print("not a client:", error)


async def main():
    counting = AsyncCountingClient()
    async with AsyncFriendli(token="t", server_url=URL, async_client=counting) as friendli:
        for model in ("plain", "echo"):
            await friendli.dedicated.chat.complete(model=model, messages=HELLO)
    print("async count:", counting.count)
    async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
        friendli = AsyncFriendli(token="t", async_client=client)
        res = await friendli.dedicated.chat.complete(model="plain", messages=HELLO)
        print("async mock transport:", res.id, res.choices[0].message.content)
    async with httpx.AsyncClient(transport=httpx.MockTransport(reply_events)) as client:
        stream = await open_stream(AsyncFriendli(token="t", async_client=client).dedicated.chat)
        print("async mock transport, stream:", [event async for event in stream])


asyncio.run(main())
