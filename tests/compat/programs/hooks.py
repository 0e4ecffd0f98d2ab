"""Hooks, registered in the only way there is."""

import asyncio
import json
import os

import httpx

from friendli import AsyncFriendli, SyncFriendli, models
from friendli.core._hooks import AfterErrorHook, AfterSuccessHook, BeforeRequestHook
from friendli.utils import BackoffStrategy, RetryConfig

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]
CONFIG = RetryConfig("backoff", BackoffStrategy(1, 5, 1.0, 60_000), True)


class Recorder(BeforeRequestHook, AfterSuccessHook, AfterErrorHook):
    def __init__(self):
        self.seen = []

    def before_request(self, hook_ctx, request):
        self.seen.append(f"before {hook_ctx.operation_id} {request.method} {request.url.path}")
        request.headers["x-program"] = "hooks"
        return request

    def after_success(self, hook_ctx, response):
        self.seen.append(f"success {response.status_code} {hook_ctx.base_url == URL}")
        return response

    def after_error(self, hook_ctx, response, error):
        self.seen.append(f"error {response.status_code if response else None} {error}")
        return response, error


class Refusal(Exception):
    pass


class Guard(BeforeRequestHook):
    def before_request(self, hook_ctx, request):
        if b"forbidden" in request.read():
            return Refusal("forbidden word")
        return request


class Classes(BeforeRequestHook, AfterSuccessHook):
    def before_request(self, hook_ctx, request):
        print("class of requests:", isinstance(request, httpx.Request))
        return request

    def after_success(self, hook_ctx, response):
        print("class of responses:", isinstance(response, httpx.Response))
        return httpx.Response(200, json={**json.loads(response.read()), "id": "changed"})


def hooks_of(friendli):
    return friendli.core.sdk_configuration.__dict__["_hooks"]


with SyncFriendli(token="t", server_url=URL, retry_config=CONFIG) as friendli:
    chat = friendli.dedicated.chat
    recorder = Recorder()
    hooks_of(friendli).register_before_request_hook(recorder)
    hooks_of(friendli).register_after_success_hook(recorder)
    hooks_of(friendli).register_after_error_hook(recorder)
    hooks_of(friendli).register_before_request_hook(Guard())
    for model in ("headers", "status-404", "fail-503-2"):
        try:
            chat.complete(model=model, messages=HELLO)
            print(f"{model}: answered")
        except models.SDKError as error:
            print(f"{model}:", error.status_code)
        print(f"{model}, hooks:", recorder.seen)
        recorder.seen.clear()
    res = chat.complete(model="headers", messages=HELLO)
    print("header of a hook:", "hooks" in res.choices[0].message.content)
    try:
        chat.complete(model="plain", messages=[{"role": "user", "content": "forbidden"}])
    except Refusal as error:
        print("refusal:", error)


class Swap(AfterErrorHook):
    def after_error(self, hook_ctx, response, error):
        return response, Refusal(f"swapped {response.status_code}")


friendli = SyncFriendli(token="t", server_url=URL)
hooks_of(friendli).register_before_request_hook(Classes())
hooks_of(friendli).register_after_success_hook(Classes())
print("response of a hook:", friendli.dedicated.chat.complete(model="plain", messages=HELLO).id)


class Rewrite(BeforeRequestHook):
    def before_request(self, hook_ctx, request):
        body = json.loads(request.content)
        body["messages"].append({"role": "user", "content": "added"})
        kept = {name: request.headers[name] for name in ("authorization", "accept")}
        return httpx.Request(request.method, request.url, headers=kept, json=body)


friendli = SyncFriendli(token="t", server_url=URL, client=httpx.Client())
hooks_of(friendli).register_before_request_hook(Rewrite())
res = friendli.dedicated.chat.complete(model="echo", messages=HELLO)
print("request of a hook:", res.choices[0].message.content)


async def main():
    async with AsyncFriendli(token="t", server_url=URL) as friendli:
        recorder = Recorder()
        hooks_of(friendli).register_before_request_hook(recorder)
        hooks_of(friendli).register_after_error_hook(Swap())
        await friendli.dedicated.chat.complete(model="plain", messages=HELLO)
        print("async hooks:", recorder.seen)
        try:
            await friendli.dedicated.chat.complete(model="status-400", messages=HELLO)
        except Exception as error:
            print("swapped:", type(error).__name__, error)


asyncio.run(main())
