"""A scripted service, and an ASGI client that records every message."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, cast

from fastapi import FastAPI
from starlette.types import ASGIApp

from friendli.models import (
    ChatChoice,
    ChatChoiceMessage,
    ChatUsage,
    ContainerChatCompleteSuccess,
    DedicatedChatCompletionBody,
    StreamedChatChoice,
    StreamedChatChoiceDelta,
    StreamedChatData,
)
from friendli_endpoint.chat.prompt.inspection import Rendering, detokenize, rendering
from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.core.outbox import Deliver, wake_all
from friendli_endpoint.generation import (
    DecodingRules,
    EngineError,
    Event,
    FinishReason,
    Generated,
    GenerationRequest,
    ModelCard,
    OutputSpan,
    RequestError,
    SamplingParams,
    Started,
    TextSegment,
    TokenFindings,
    TokenStep,
)
from friendli_endpoint.http.application import build_app
from friendli_endpoint.http.policy import Policy
from tests.support.scripted import ScriptedVocabulary

BOUND = 20.0
"""Maximum duration of a test in seconds."""

SCRIPTED = ScriptedVocabulary()
COMPLETIONS = "/dedicated/v1/chat/completions"
JSON_TYPE = ("content-type", "application/json")
VALID: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}]}


class ScriptedResponse:
    """A response of one choice, whose text is the text of its steps."""

    def __init__(self, stream: bool) -> None:
        self.request = GenerationRequest(
            "chatcmpl-1",
            (TextSegment((1,)),),
            (SamplingParams(seed=7),),
            DecodingRules(()),
            max_tokens=9,
            stream=stream,
        )
        self.num_generated = 0
        self.finished = False
        self.text = ""

    def opening(self) -> list[StreamedChatData]:
        return [_chunk(StreamedChatChoiceDelta(role="assistant", content=""))]

    def read(self, event: Event) -> list[StreamedChatData]:
        if isinstance(event, Started):
            return []
        chunks = []
        for step in event.steps:
            text = b"".join(span.text for span in step.findings.spans).decode()
            if text == "BROKEN":
                raise ValueError("a secret of the reader")
            self.text += text
            self.num_generated += step.token_id is not None
            chunks.append(_chunk(StreamedChatChoiceDelta(content=text)))
            self.finished = step.findings.finish is not None
        return chunks

    def text_chunk(self, choice: int, text: str) -> StreamedChatData:
        raise AssertionError("all its chunks are full chunks")

    def completion(self) -> ContainerChatCompleteSuccess:
        message = ChatChoiceMessage(role="assistant", content=self.text)
        return ContainerChatCompleteSuccess(
            id="chatcmpl-1",
            choices=[ChatChoice(index=0, message=message, finish_reason="stop")],
            usage=ChatUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
            created=0,
        )


def _chunk(delta: StreamedChatChoiceDelta) -> StreamedChatData:
    choice = StreamedChatChoice(index=0, delta=delta)
    return StreamedChatData(id="chatcmpl-1", choices=[choice], created=0)


def steps(*texts: str, finish: bool = False) -> list[TokenStep]:
    """Returns steps with these texts; with `finish`, the last one finishes the choice."""
    return [
        _step(number, text.encode(), "stop" if finish and number == len(texts) - 1 else None)
        for number, text in enumerate(texts)
    ]


def _step(token: int, text: bytes, finish: FinishReason | None) -> TokenStep:
    spans = (OutputSpan(False, text),) if text else ()
    return TokenStep(0, token, TokenFindings(len(text), spans, finish))


EngineMessage = Sequence[TokenStep] | Started | EngineError
"""A message from an engine about a request."""


class ScriptedLoop:
    """An engine loop that records its calls and delivers what a test passes."""

    adapters: tuple[str, ...] = ()
    is_alive = True
    stalled_seconds = 0.0

    def __init__(self) -> None:
        self.submitted = asyncio.Event()
        self.cancelled: list[str] = []
        self.submit_error: RequestError | None = None
        self._deliver: Deliver | None = None
        self._submitted_at = monotonic()

    def submit(self, request: GenerationRequest, deliver: Deliver) -> None:
        if self.submit_error is not None:
            raise self.submit_error
        self._deliver = deliver
        self._submitted_at = monotonic()
        self.submitted.set()

    def cancel(self, request_id: str) -> None:
        self.cancelled.append(request_id)

    def close(self) -> None:
        pass

    def deliver(self, message: EngineMessage) -> None:
        """Delivers a message to the request that was submitted last."""
        assert self._deliver is not None
        if isinstance(message, Started):
            self._submitted_at -= message.queue_seconds + message.prefill_seconds
        if isinstance(message, Started | EngineError):
            wake = self._deliver(message)
        else:
            wake = self._deliver(Generated(tuple(message), monotonic() - self._submitted_at))
        wake_all([wake])


CARD = ModelCard("m", 128, 300, 4, None, ("text",), (), True)


def scripted_engine(loop: ScriptedLoop) -> LocalEngine:
    """Returns the real bridge from an engine's thread to the event loop, over a scripted loop."""
    return LocalEngine(cast(EngineLoop, loop), CARD)


class ScriptedService:
    """A service over the scripted engine."""

    def __init__(self, *, loaded: bool = True) -> None:
        self.scripted = ScriptedLoop()
        self.loaded = loaded
        self.prepared: list[DedicatedChatCompletionBody] = []
        self.error: Exception | None = None
        self.named: list[str] = []
        self.loaded_adapters: dict[str, str] = {}

    @property
    def engine(self) -> LocalEngine:
        if not self.loaded:
            raise RequestError("not loaded yet", status=503, code="loading", retry_after=3)
        return scripted_engine(self.scripted)

    def check_ready(self) -> None:
        assert self.engine

    def check_live(self) -> None:
        pass

    async def prepare(self, body: DedicatedChatCompletionBody) -> ScriptedResponse:
        if self.error is not None:
            raise self.error
        self.prepared.append(body)
        return ScriptedResponse(body.stream is True)

    async def render(self, body: DedicatedChatCompletionBody) -> Rendering:
        await self.prepare(body)
        return rendering((1,), SCRIPTED, SCRIPTED.context)

    async def tokenize(self, model: str, text: str, parse_special: bool) -> list[int]:
        if self.error is not None:
            raise self.error
        self.named.append(model)
        return SCRIPTED.tokenize(text, parse_special)

    def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        self.named.append(model)
        return detokenize(tokens, SCRIPTED, SCRIPTED.context)

    @property
    def adapters(self) -> Sequence[str]:
        assert self.engine
        return tuple(self.loaded_adapters)

    async def load_adapter(self, route: str, name: str) -> None:
        if self.error is not None:
            raise self.error
        self.loaded_adapters[route] = name

    async def unload_adapter(self, route: str) -> None:
        if route not in self.loaded_adapters:
            raise RequestError(
                f"there is no adapter {route!r}", status=404, code="adapter_not_found"
            )
        del self.loaded_adapters[route]

    def models(self) -> list[Mapping[str, Any]]:
        assert self.engine
        return [{"id": "m", "object": "model"}]


@contextlib.asynccontextmanager
async def no_lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield


def scripted_app(service: ScriptedService, max_body: int = 10_000, **policy: Any) -> FastAPI:
    return build_app(service, Policy(max_body=max_body, **policy), no_lifespan)


class Call:
    """One request to an ASGI application; a context manager that ends it.

    Args:
        app: The application.
        headers: Headers; a POST has a content type of JSON if they have none.
        body: Chunks of the request's body.
        fails_at: Type of the message whose sending fails, as if the client had disconnected.
        client: Address and port of the client.
    """

    def __init__(
        self,
        app: ASGIApp,
        method: str = "GET",
        path: str = "/health",
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: Iterable[bytes] = (b"",),
        fails_at: str | None = None,
        client: tuple[str, int] | None = ("127.0.0.1", 1),
    ) -> None:
        self._app = app
        headers = list(headers)
        if method == "POST" and "content-type" not in (name.lower() for name, _ in headers):
            headers.append(JSON_TYPE)
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
            "client": client,
            "server": ("127.0.0.1", 80),
        }
        self._chunks = list(body)
        self._fails_at = fails_at
        self._disconnected = asyncio.Event()
        self._sent = asyncio.Condition()
        self.chunks_read = 0
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.ended = False

    async def __aenter__(self) -> "Call":
        self.task = asyncio.ensure_future(self._app(self._scope, self._receive, self._send))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})

    async def _receive(self) -> dict[str, Any]:
        if self.chunks_read < len(self._chunks):
            self.chunks_read += 1
            more = self.chunks_read < len(self._chunks)
            chunk = self._chunks[self.chunks_read - 1]
            return {"type": "http.request", "body": chunk, "more_body": more}
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == self._fails_at:
            raise OSError("the client has disconnected")
        async with self._sent:
            if message["type"] == "http.response.start":
                assert not self.status, "a second response"
                self.status = message["status"]
                self.headers = [(k.decode(), v.decode()) for k, v in message["headers"]]
            else:
                self.body += message.get("body", b"")
                self.ended = not message.get("more_body", False)
            self._sent.notify_all()

    def disconnect(self) -> None:
        """Disconnects the client."""
        self._disconnected.set()

    async def until(self, condition: Callable[["Call"], bool]) -> None:
        """Waits until the response so far satisfies a condition."""
        async with self._sent:
            await self._sent.wait_for(lambda: condition(self))

    async def done(self) -> "Call":
        """Waits until the application has served the call."""
        await self.task
        return self

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The events so far: parsed JSON, or text for `[DONE]` and comments."""
        assert self.body.endswith(b"\n\n")
        found = []
        for event in self.body.decode().split("\n\n")[:-1]:
            field, _, value = event.partition(": ")
            assert field in ("data", "")
            found.append(json.loads(value) if value.startswith("{") else value)
        return found


def completions(service: ScriptedService, *, max_body: int = 10_000, **given: Any) -> Call:
    """Returns a call of the chat completions with a valid body and these fields."""
    fails_at = given.pop("fails_at", None)
    body = json.dumps({**VALID, **given}).encode()
    app = scripted_app(service, max_body)
    return Call(app, "POST", COMPLETIONS, body=[body], fails_at=fails_at)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Runs a scenario for at most `BOUND` seconds."""

    async def bounded() -> None:
        async with asyncio.timeout(BOUND):
            await scenario()

    asyncio.run(bounded())


def called(
    app: FastAPI, method: str, path: str, *headers: tuple[str, str], body: Iterable[bytes] = (b"",)
) -> Call:
    """Returns a finished call."""
    calls = []

    async def scenario() -> None:
        async with Call(app, method, path, headers=headers, body=body) as call:
            calls.append(await call.done())

    run(scenario)
    return calls[0]


def check_error(call: Call, status: int, param: str | None = None) -> dict[str, Any]:
    """Checks that a response is a JSON error; returns its fields."""
    assert call.status == status, call.body
    assert call.header("content-type") == "application/json"
    assert call.header("x-request-id")
    (error,) = call.json.values()
    assert list(call.json) == ["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["type"]
    assert error["param"] == param
    return dict(error)
