"""Mocks by respx."""

import asyncio
import json

import httpx
import respx

from friendli import AsyncFriendli, SyncFriendli, models
from friendli.utils import BackoffStrategy, RetryConfig

HELLO = [{"role": "user", "content": "Hello!"}]
ADDRESS = "https://api.friendli.ai/dedicated/v1/chat/completions"
ANSWER = {
    "id": "mocked",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
EVENT = {
    "id": "mocked",
    "object": "chat.completion.chunk",
    "created": 1,
    "choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": None}],
}
EVENTS = f"data: {json.dumps(EVENT)}\n\ndata: [DONE]\n\n"
RETRIES = RetryConfig("backoff", BackoffStrategy(1, 5, 1.0, 60_000), True)


def open_stream(chat):
    if hasattr(chat, "stream"):
        return chat.stream(model="m", messages=HELLO)
    return chat.complete(model="m", messages=HELLO, stream=True)


with respx.mock() as router:
    route = router.post(ADDRESS).mock(return_value=httpx.Response(200, json=ANSWER))
    friendli = SyncFriendli(token="t", client=httpx.Client())
    res = friendli.dedicated.chat.complete(model="m", messages=HELLO)
    print("answer:", res)
    sent = route.calls.last.request
    print(
        "calls:", route.call_count, sent.headers["authorization"], json.loads(sent.content)["model"]
    )

with respx.mock() as router:
    router.post(ADDRESS).respond(content_type="text/event-stream", text=EVENTS)
    print("stream:", list(open_stream(friendli.dedicated.chat)))

with respx.mock() as router:
    route = router.post(ADDRESS)
    route.side_effect = [httpx.Response(503), httpx.ConnectError, httpx.Response(200, json=ANSWER)]
    res = friendli.dedicated.chat.complete(model="m", messages=HELLO, retries=RETRIES)
    print("retried:", route.call_count, res.choices[0].message.content)

with respx.mock() as router:
    router.post(ADDRESS).respond(404, json={"detail": "no such endpoint"})
    try:
        friendli.dedicated.chat.complete(model="m", messages=HELLO)
    except models.SDKError as error:
        print("error:", error.status_code, error.body)

with respx.mock(assert_all_called=False):
    try:
        friendli.dedicated.chat.complete(model="m", messages=HELLO, retries=None)
    except Exception as error:
        print("not mocked:", type(error).__name__)


@respx.mock
async def main():
    respx.post(ADDRESS).respond(json=ANSWER)
    async with httpx.AsyncClient() as client:
        friendli = AsyncFriendli(token="t", async_client=client)
        res = await friendli.dedicated.chat.complete(model="m", messages=HELLO)
        print("async:", res.choices[0].message.content)
        respx.post(ADDRESS).respond(content_type="text/event-stream", text=EVENTS)
        stream = await open_stream(friendli.dedicated.chat)
        print("async stream:", [event.data.id async for event in stream])


asyncio.run(main())
