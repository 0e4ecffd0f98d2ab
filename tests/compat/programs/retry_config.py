"""Retries by RetryConfig, of the client and of a call."""

import asyncio
import os

import httpx

from friendli import AsyncFriendli, SyncFriendli, models
from friendli.utils import BackoffStrategy, RetryConfig

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]
FAST = BackoffStrategy(1, 10, 1.1, 60_000)
CONFIG = RetryConfig("backoff", FAST, True)

print("strategy:", CONFIG.strategy, CONFIG.retry_connection_errors)
print("backoff:", FAST.initial_interval, FAST.max_interval, FAST.exponent, FAST.max_elapsed_time)


def ask(chat, model, **more):
    try:
        text = chat.complete(model=model, messages=HELLO, **more).choices[0].message.content
        print(f"{model}:", text)
    except models.SDKError as error:
        print(f"{model}:", error.status_code, error.body)


with SyncFriendli(token="t", server_url=URL, retry_config=CONFIG) as friendli:
    chat = friendli.dedicated.chat
    for status in (429, 500, 502, 503, 504):
        ask(chat, f"fail-{status}-2")
    ask(chat, "fail-501-1")
    ask(chat, "fail-408-1")
    ask(chat, "fail-404-1")
    ask(chat, "fail-503-1", retries=None)
    ask(chat, "fail-500-1", retries=RetryConfig("none", FAST, True))
    ask(chat, "fail-502-1", retries=RetryConfig("backoff", FAST, False))
    ask(chat, "fail-504-3", retries=RetryConfig("backoff", BackoffStrategy(1, 1, 1, 0), True))
    ask(chat, "count:fail-503-1")

    try:
        nowhere = "http://127.0.0.1:9"
        short = RetryConfig("backoff", BackoffStrategy(1, 5, 1, 50), True)
        chat.complete(model="m", messages=HELLO, server_url=nowhere, retries=short)
    except Exception as error:
        print("refused:", isinstance(error, httpx.ConnectError))

with SyncFriendli(token="t", server_url=URL, retry_config=None) as friendli:
    ask(friendli.dedicated.chat, "fail-503-4")
    ask(friendli.dedicated.chat, "fail-503-5", retries=CONFIG)


async def main():
    async with AsyncFriendli(token="t", server_url=URL, retry_config=CONFIG) as friendli:
        res = await friendli.dedicated.chat.complete(model="fail-503-3", messages=HELLO)
        print("async:", res.choices[0].message.content)
        chat = friendli.dedicated.chat
        if hasattr(chat, "stream"):
            stream = await chat.stream(model="fail-429-3", messages=HELLO)
        else:
            stream = await chat.complete(model="fail-429-3", messages=HELLO, stream=True)
        async with stream as events:
            words = [event.data.choices[0].delta.content async for event in events]
        print("async stream:", words)


asyncio.run(main())
