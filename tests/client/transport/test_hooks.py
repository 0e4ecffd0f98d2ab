"""Hooks, sync and async, over a socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import friendli
from friendli import AsyncFriendli, SyncFriendli
from friendli._transport.secret import Token
from friendli.core._hooks import (
    AfterErrorHook,
    AfterSuccessHook,
    BeforeRequestHook,
    SDKHooks,
    SDKInitHook,
)
from friendli.utils import BackoffStrategy, RetryConfig

from ..wire import MESSAGES, Serve, answer, completion, json_answer, stream_answer, words

FAST = RetryConfig("backoff", BackoffStrategy(1, 2, 1.0, 5000, 1), True)


class Recorder(BeforeRequestHook, AfterSuccessHook, AfterErrorHook, SDKInitHook):
    """Hook that records its calls and returns `before`, `success` and `error`."""

    def __init__(self, before: Any = None, success: Any = None, error: Any = None) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.threads: list[threading.Thread] = []
        self._results = (before, success, error)

    def _note(self, name: str, ctx: Any) -> None:
        self.calls.append((name, ctx))
        self.threads.append(threading.current_thread())

    def sdk_init(self, config: Any) -> Any:
        raise AssertionError("never called")

    def before_request(self, hook_ctx: Any, request: Any) -> Any:
        self._note("before", hook_ctx)
        request.headers["x-hook"] = str(len(self.calls))
        return self._results[0] or request

    def after_success(self, hook_ctx: Any, response: Any) -> Any:
        self._note("success", hook_ctx)
        result = self._results[1]
        return result(response) if callable(result) else result or response

    def after_error(self, hook_ctx: Any, response: Any, error: Any) -> Any:
        self._note("error", hook_ctx)
        result = self._results[2]
        return result(response, error) if callable(result) else result or (response, error)

    def attach(self, client: SyncFriendli | AsyncFriendli) -> None:
        hooks = client.core.sdk_configuration.__dict__["_hooks"]
        hooks.register_sdk_init_hook(self)
        hooks.register_before_request_hook(self)
        hooks.register_after_success_hook(self)
        hooks.register_after_error_hook(self)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def run_sync(url: str, hook: Recorder, method: str = "complete", **arguments: Any) -> Any:
    with SyncFriendli("secret", server_url=url, retry_config=FAST) as client:
        hook.attach(client)
        result = getattr(client.dedicated.chat, method)(model="e", messages=MESSAGES, **arguments)
        return [*result] if method == "stream" else result


def run_async(url: str, hook: Recorder, method: str = "complete", **arguments: Any) -> Any:
    async def main() -> Any:
        async with AsyncFriendli("secret", server_url=url, retry_config=FAST) as client:
            hook.attach(client)
            chat = client.dedicated.chat
            result = await getattr(chat, method)(model="e", messages=MESSAGES, **arguments)
            return [event async for event in result] if method == "stream" else result

    return asyncio.run(main())


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    chosen: Callable[..., Any] = request.param
    return chosen


def test_before_request_runs_on_every_attempt(serve: Serve, run: Any) -> None:
    server = serve(json_answer({}, 503), json_answer(completion("x")))
    hook = Recorder()
    assert run(server.url, hook).choices[0].message.content == "x"
    assert hook.names == ["before", "before", "success"]
    assert [request.header("x-hook") for request in server.requests] == ["1", "2"]
    own_thread = threading.current_thread()
    assert all((thread is own_thread) == (run is run_sync) for thread in hook.threads)


def test_hook_context_describes_the_call(serve: Serve, run: Any) -> None:
    server = serve(json_answer(completion()))
    hook = Recorder()
    run("http://elsewhere.invalid/p", hook, server_url=server.url + "/prefix/")
    ctx = hook.calls[0][1]
    assert ctx.operation_id == "dedicatedChatComplete"
    assert ctx.base_url == server.url + "/prefix"
    assert ctx.config.server_url == "http://elsewhere.invalid/p"
    assert ctx.config.retry_config is FAST and ctx.config.timeout_ms is None
    assert ctx.oauth2_scopes == [] and isinstance(ctx.security_source, Token)
    assert "secret" not in repr(ctx)


def test_hooks_run_once_for_a_stream(serve: Serve, run: Any) -> None:
    server = serve(stream_answer(words("a", "b")))
    hook = Recorder()
    assert len(run(server.url, hook, "stream")) == 4
    assert hook.names == ["before", "success"]
    assert hook.calls[0][1].operation_id == "dedicatedChatStream"


@pytest.mark.parametrize("error", [KeyError("mine"), ConnectionError("mine")], ids=repr)
def test_exception_of_before_request_ends_the_call(
    serve: Serve, run: Any, error: Exception
) -> None:
    server = serve(json_answer(completion()))
    hook = Recorder(before=error)
    with pytest.raises(type(error)) as caught:
        run(server.url, hook)
    assert caught.value is error
    assert hook.names == ["before"] and not server.requests


@pytest.mark.parametrize("method", ["complete", "stream"])
def test_exception_of_after_success_closes_the_response(
    serve: Serve, run: Any, method: str
) -> None:
    server = serve(stream_answer(words("a")) if method == "stream" else json_answer(completion()))
    seen: list[Any] = []
    error = KeyError("mine")

    def return_error(response: Any) -> Exception:
        seen.append(response)
        return error

    with pytest.raises(KeyError) as caught:
        run(server.url, Recorder(success=return_error), method)
    assert caught.value is error and seen[0].is_closed


def test_after_success_can_replace_the_response(serve: Serve, run: Any) -> None:
    import httpx2

    server = serve(json_answer(completion("of the server")))
    hook = Recorder(success=lambda _: httpx2.Response(200, json=completion("of the hook")))
    assert run(server.url, hook).choices[0].message.content == "of the hook"


@pytest.mark.parametrize("method", ["complete", "stream"])
def test_after_error_gets_a_response_with_its_body_read(
    serve: Serve, run: Any, method: str
) -> None:
    server = serve(json_answer({"error": {"message": "no", "code": "c"}}, 400))
    texts = []

    def record(response: Any, error: Any) -> Any:
        assert error is None
        texts.append(response.text)
        return response, error

    hook = Recorder(error=record)
    with pytest.raises(friendli.BadRequestError, match="Status 400") as caught:
        run(server.url, hook, method)
    assert caught.value.code == "c" and "no" in texts[0]
    assert hook.names == ["before", "error"]


def test_after_error_can_replace_the_response_and_the_error(serve: Serve, run: Any) -> None:
    import httpx2

    server = serve(answer(b"teapot", 418, "text/plain"))
    replacement = httpx2.Response(200, json=completion("replacement"))
    assert (
        run(server.url, Recorder(error=(replacement, None))).choices[0].message.content
        == "replacement"
    )
    status_error = httpx2.Response(401, json={})
    with pytest.raises(friendli.AuthenticationError):
        run(server.url, Recorder(error=(status_error, None)))
    for result in (KeyError("mine"), (None, KeyError("mine"))):
        with pytest.raises(KeyError, match="mine"):
            run(server.url, Recorder(error=result))


def test_after_error_gets_a_network_error(run: Any) -> None:
    seen: list[Any] = []

    def record(response: Any, error: Any) -> Any:
        seen.append((response, error))
        return response, error

    with pytest.raises(friendli.ConnectFailedError) as caught:
        run("http://127.0.0.1:1", Recorder(error=record), retries=None)
    assert seen == [(None, caught.value)]
    assert caught.value.__cause__ is not None


def test_hook_that_returns_none_raises_type_error(serve: Serve, run: Any) -> None:
    class Forgetful(Recorder):
        def before_request(self, hook_ctx: Any, request: Any) -> Any:
            return None

    server = serve(json_answer(completion()))
    with pytest.raises(TypeError, match=r"Forgetful\.before_request returned None"):
        run(server.url, Forgetful())


def test_hooks_run_in_order_and_are_shared_by_copies(serve: Serve) -> None:
    server = serve(json_answer(completion()))

    class Append(BeforeRequestHook):
        def __init__(self, text: str) -> None:
            self.text = text

        def before_request(self, hook_ctx: Any, request: Any) -> Any:
            request.headers["x-order"] = request.headers.get("x-order", "") + self.text
            return request

    with SyncFriendli("t", server_url=server.url) as client:
        copy = client.with_options(timeout_ms=5000)
        hooks = client.core.sdk_configuration.__dict__["_hooks"]
        assert isinstance(hooks, SDKHooks)
        hooks.register_before_request_hook(Append("a"))
        hooks.register_before_request_hook(Append("b"))
        copy.dedicated.chat.complete(model="e", messages=MESSAGES)
        SyncFriendli("t", server_url=server.url).dedicated.chat.complete(
            model="e", messages=MESSAGES
        )
    assert [request.header("x-order") for request in server.requests] == ["ab", None]


def test_cancelled_call_closes_the_response_of_its_hook(serve: Serve) -> None:
    server = serve(stream_answer(words("a")))
    entered, leave = threading.Event(), threading.Event()
    seen: list[Any] = []

    def hold(response: Any) -> Any:
        seen.append(response)
        entered.set()
        leave.wait(10)
        return response

    async def main() -> None:
        async with AsyncFriendli("t", server_url=server.url) as client:
            Recorder(success=hold).attach(client)
            call = asyncio.ensure_future(client.dedicated.chat.stream(model="e", messages=MESSAGES))
            await asyncio.to_thread(entered.wait, 10)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert seen[0].is_closed
            leave.set()

    asyncio.run(main())
