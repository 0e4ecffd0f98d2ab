"""A patched `httpx.Client.send`."""

import asyncio
import json
import os
from unittest import mock

import httpx

from friendli import AsyncFriendli, SyncFriendli

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]
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
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": None}],
}

REQUEST = httpx.Request("POST", URL)

friendli = SyncFriendli(token="t", server_url=URL, client=httpx.Client())
response = httpx.Response(200, json=ANSWER, request=REQUEST)
with mock.patch("httpx.Client.send", return_value=response) as send:
    res = friendli.dedicated.chat.complete(model="m", messages=HELLO)
    print("answer:", res)
    request = send.call_args.args[0]
    print("request:", request.method, request.url.path, json.loads(request.content)["messages"])
    print("calls:", send.call_count)

stream = httpx.Response(
    200,
    headers={"content-type": "text/event-stream"},
    request=REQUEST,
    content=f"data: {json.dumps(EVENT)}\n\ndata: [DONE]\n\n".encode(),
)
with mock.patch.object(httpx.Client, "send", return_value=stream):
    chat = friendli.dedicated.chat
    if hasattr(chat, "stream"):
        events = list(chat.stream(model="m", messages=HELLO))
    else:
        events = list(chat.complete(model="m", messages=HELLO, stream=True))
    print("events:", events)

with mock.patch.object(httpx.Client, "send", side_effect=httpx.ReadTimeout("slow")):
    try:
        friendli.dedicated.chat.complete(model="m", messages=HELLO, retries=None)
    except httpx.ReadTimeout as error:
        print("side effect:", str(error).splitlines()[0])


async def main():
    friendli = AsyncFriendli(token="t", server_url=URL, async_client=httpx.AsyncClient())
    response = httpx.Response(200, json=ANSWER, request=REQUEST)
    with mock.patch("httpx.AsyncClient.send", return_value=response):
        res = await friendli.dedicated.chat.complete(model="m", messages=HELLO)
        print("async:", res.choices[0].message.content)


asyncio.run(main())

whole = mock.MagicMock()
whole.dedicated.chat.complete.return_value.choices[0].message.content = "mocked"
print("mocked client:", whole.dedicated.chat.complete().choices[0].message.content)
with mock.patch.object(type(friendli.dedicated.chat), "complete", return_value="patched"):
    print("patched method:", friendli.dedicated.chat.complete(model="m", messages=HELLO))
