"""Streams of 0.12: `stream()`."""

import asyncio
import os

import httpx

from friendli import AsyncFriendli, SyncFriendli

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]


def add_calls(calls, delta):
    for part in delta.tool_calls or []:
        call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
        call["id"] += part.id or ""
        call["name"] += part.function.name or ""
        call["arguments"] += part.function.arguments or ""


with SyncFriendli(token="t", server_url=URL) as friendli:
    chat = friendli.dedicated.chat

    with chat.stream(model="plain", messages=HELLO) as events:
        for number, event in enumerate(events):
            print(f"event {number}:", event)

    print("printed: ", end="")
    for event in chat.stream(model="plain", messages=HELLO):
        print(event.data.choices[0].delta.content, end="", flush=True)
    print("|")

    text = ""
    for event in chat.stream(model="plain", messages=HELLO):
        text += event.data.choices[0].delta.content or ""
    print("text without a with:", text)

    res = chat.stream(model="plain", messages=HELLO, stream_options={"include_usage": True})
    with res as events:
        for event in events:
            if event.data.usage:
                print("usage:", event.data.usage.total_tokens, event.data.choices)
            elif event.data.choices[0].finish_reason:
                print("reason:", event.data.choices[0].finish_reason)

    calls = {}
    with chat.stream(model="tools-2", messages=HELLO) as events:
        for event in events:
            add_calls(calls, event.data.choices[0].delta)
    print("tool calls:", calls)

    with chat.stream(model="reasoning", messages=HELLO) as events:
        reasoning = ""
        for event in events:
            delta = event.data.choices[0].delta
            thought = getattr(delta, "reasoning_content", None)
            if thought is not None:
                reasoning += thought
    print("reasoning:", repr(reasoning))

    res = chat.stream(model="plain", messages=HELLO)
    first = next(res)
    print("first:", first.data.choices[0].delta.role, first.data.id, first.data.model)
    print("rest:", len(list(res)))
    print("after the end:", next(res, "nothing"), list(res))

    with chat.stream(model="plain", messages=HELLO) as events:
        for event in events:
            break
    print("left early:", event.data.choices[0].index)
    print("response:", events.response.status_code, events.response.headers["content-type"])
    print("class of the response:", isinstance(events.response, httpx.Response))
    print("dump:", event.model_dump(by_alias=True))
    print("dump without None:", event.data.model_dump(by_alias=True, exclude_none=True))


async def main():
    async with AsyncFriendli(token="t", server_url=URL) as friendli:
        chat = friendli.dedicated.chat

        res = await chat.stream(model="plain", messages=HELLO)
        async with res as events:
            text = [event.data.choices[0].delta.content async for event in events]
        print("async deltas:", text)

        calls = {}
        async for event in await chat.stream(model="tools-1", messages=HELLO):
            add_calls(calls, event.data.choices[0].delta)
        print("async tool calls:", calls)

        async def count(model):
            stream = await chat.stream(model=model, messages=HELLO)
            return len([event async for event in stream])

        print("concurrent:", await asyncio.gather(count("plain"), count("tools-1"), count("echo")))


asyncio.run(main())
