"""An endpoint over a scripted engine, one callback of whose thread raises once."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from friendli_endpoint.app import create_app
from friendli_endpoint.engine.core import engine as engine_module
from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.execution import Execution
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import (
    DecodingRules,
    Engine,
    Guide,
    GuideMaker,
    StepReport,
    TokenFindings,
)
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.service import EndpointService
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from tests.http.scripted import BOUND, COMPLETIONS, Call
from tests.support.scripted import chaotic, serving
from tests.support.source import ScriptedSource

__all__ = [
    "ADAPTERS",
    "BACKEND",
    "ENGINE",
    "GUIDE",
    "MESSAGES",
    "ON_DISK",
    "REOPENING",
    "Fault",
    "Outcome",
    "Scripted",
    "completion",
    "constrained",
    "running",
]

GUIDE = ("make_guide", "mask", "fast_forward_tokens", "accept", "exhausted")
BACKEND = ("prefill", "extend", "decode", "copy", "truncate")
ON_DISK = ("save", "restore")
"""Callbacks of the prefix cache on disk; tests/engine/core/test_disk_cache.py has their faults."""
ADAPTERS = ("load_adapter", "free_adapter")
MESSAGES = ("add", "cancel", "retire")
ENGINE = ("report", "deliver", "open", "close")

CONTEXT, SLOTS = 1024, 4
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>{% endfor %}"
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"const": "fast-forwarded"}, "size": {"enum": [1, 22, 333]}},
    "required": ["kind", "size"],
    "additionalProperties": False,
}
REOPENING = ("open", "close")
"""Callbacks that are called after another one has failed: `decode` then fails, too."""

EXHAUSTED_AT = 3
"""Position at which the mask of a guide is empty, if its fault is in `exhausted`."""


class Fault:
    """Raises at one call of one callback, and counts the calls of all callbacks.

    Args:
        name: Name of the callback.
        number: Number of the call that raises, from 1; 0 if none does.
        error: The exception.
    """

    def __init__(self, name: str = "", number: int = 0, error: type[Exception] = OSError) -> None:
        self.name = name
        self.number = number
        self.error = error
        self.calls: Counter[str] = Counter()

    def __call__(self, name: str) -> None:
        """Counts a call; raises if it is the one that fails."""
        self.calls[name] += 1
        reopens = self.name in REOPENING and name == "decode" and self.calls[name] == 3
        if reopens or (name == self.name and self.calls[name] == self.number):
            raise self.error

    @property
    def has_fired(self) -> bool:
        return 0 < self.number <= self.calls[self.name]


class FaultyGuide:
    """A real guide whose methods may raise."""

    def __init__(self, guide: Guide, fault: Fault, size: int) -> None:
        self._guide = guide
        self._fault = fault
        self._size = size
        self._position = 0
        self.looks_ahead = guide.looks_ahead

    def mask(self) -> NDArray[np.uint32] | None:
        self._fault("mask")
        mask = self._guide.mask()
        if self._fault.name == "exhausted" and self._position >= EXHAUSTED_AT:
            return np.zeros((self._size + 31) // 32, np.uint32)
        return mask

    def fast_forward_tokens(self) -> Sequence[int]:
        self._fault("fast_forward_tokens")
        tokens = self._guide.fast_forward_tokens()
        return () if self._fault.name == "exhausted" else tokens

    def accept(self, token_id: int, is_last: bool) -> TokenFindings:
        self._fault("accept")
        self._position += 1
        return self._guide.accept(token_id, is_last)

    def exhausted(self) -> TokenFindings:
        self._fault("exhausted")
        return self._guide.exhausted()


class FaultySource(ScriptedSource):
    """A model source with a scripted backend and a fault."""

    context = CONTEXT

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    def open(self, make_guide: GuideMaker, report: Callable[[StepReport], None]) -> Engine:
        fault = self._fault

        def make_faulty(rules: DecodingRules) -> Guide:
            fault("make_guide")
            return FaultyGuide(make_guide(rules), fault, self._vocabulary.size)

        def report_faulty(step: StepReport) -> None:
            fault("report")
            report(step)

        loop, backend = self.stack.enter_context(
            serving(
                chaotic(self._vocabulary.size),
                slots=SLOTS,
                vocabulary=self._vocabulary,
                make_guide=make_faulty,
                report=report_faulty,
            )
        )
        backend.before = lambda call: None if call.name == "close" else fault(call.name)
        close = backend.close

        def close_faulty() -> None:
            close()
            fault("close")

        backend.close = close_faulty  # type: ignore[method-assign]
        return LocalEngine(loop, self.card(SLOTS, TEMPLATE))


class Outcome:
    """The answer to a request: its status, and its text or the error that it ended with."""

    def __init__(self, call: Call) -> None:
        self.status = call.status
        self.error: dict[str, Any] | None = None
        self.choices: list[Any] = []
        if call.status >= 400:
            self.error = call.json["error"]
        elif (call.header("content-type") or "").startswith("text/event-stream"):
            self._read_stream([event for event in call.events if event != ": "])
        elif call.status in (200, 201):
            found = call.json.get("choices", ())
            self.choices = [
                (choice["message"]["content"], choice["finish_reason"]) for choice in found
            ]

    def _read_stream(self, events: list[Any]) -> None:
        texts: dict[int, str] = {}
        ends: dict[int, str] = {}
        *chunks, last = events
        if last != "[DONE]":
            self.error = last["error"]
        for chunk in chunks:
            for choice in chunk["choices"]:
                index = choice["index"]
                texts[index] = texts.get(index, "") + (choice["delta"].get("content") or "")
                if choice["finish_reason"]:
                    ends[index] = choice["finish_reason"]
        self.choices = [(texts[index], ends.get(index)) for index in sorted(texts)]


class Scripted:
    """The endpoint, called in this process."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def ask(self, method: str, path: str, body: object = None) -> Outcome:
        """Sends one request."""
        return self._runner.run(self._ask(method, path, body))

    def complete(self, *bodies: dict[str, Any], leave: bool = False) -> list[Outcome]:
        """Sends completions concurrently; with `leave`, a further client disconnects meanwhile."""

        async def ask_all() -> list[Outcome]:
            leaving = asyncio.ensure_future(self._leave()) if leave else None
            asked = [self._ask("POST", COMPLETIONS, body) for body in bodies]
            outcomes = await asyncio.gather(*asked)
            if leaving is not None:
                await leaving
            return outcomes

        return self._runner.run(ask_all())

    async def _ask(self, method: str, path: str, body: object) -> Outcome:
        async with asyncio.timeout(BOUND):
            async with Call(self._app, method, path, body=[json.dumps(body).encode()]) as call:
                return Outcome(await call.done())

    async def _leave(self) -> None:
        body = json.dumps(
            completion("Tell me more", stream=True, n=2, min_tokens=800, max_tokens=800)
        ).encode()
        async with asyncio.timeout(BOUND):
            async with Call(self._app, "POST", COMPLETIONS, body=[body]) as call:
                await call.until(lambda call: len(call.body) > 1 << 10 or call.ended)
                call.disconnect()
                await call.done()


def completion(content: str, **fields: Any) -> dict[str, Any]:
    """Returns the body of a greedy completion."""
    messages = [{"role": "user", "content": content}]
    return {"model": "m", "messages": messages, "temperature": 0, "max_tokens": 24, **fields}


def constrained(content: str, **fields: Any) -> dict[str, Any]:
    """Returns the body of a completion whose guide has masks and fast-forward tokens."""
    response_format = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    return completion(content, response_format=response_format, max_tokens=60, **fields)


@contextlib.contextmanager
def running(fault: Fault, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Scripted]:
    """Runs the endpoint with a fault; fails at the end if the engine keeps any state."""
    source = FaultySource(fault)
    with monkeypatch.context() as patch, contextlib.closing(source), asyncio.Runner() as runner:
        for name in MESSAGES:
            _inject(patch, Execution, name, name, fault)
        _inject(patch, engine_module._Inbox, "deliver", "deliver", fault)
        service = EndpointService(Settings(adapter_dir=folder), source, Telemetry())
        service.load()
        loop = _loop_of(service)
        _inject(patch, loop, "_open_backend", "open", fault)
        yield Scripted(create_app(service, Policy(max_body=1 << 20, open_admin=True)), runner)
        is_alive, queue = loop.is_alive, loop._admission
        loop.close()
        counts = (queue._requests, queue._tokens)
        assert counts == (0, 0) or not is_alive, "the queue counts requests that ended"


def _loop_of(service: EndpointService) -> EngineLoop:
    engine = service.engine
    assert isinstance(engine, LocalEngine)
    return engine._loop


def _inject(patch: pytest.MonkeyPatch, owner: Any, attribute: str, name: str, fault: Fault) -> None:
    original = getattr(owner, attribute)

    def faulty(*arguments: Any, **named: Any) -> Any:
        fault(name)
        return original(*arguments, **named)

    patch.setattr(owner, attribute, faulty)
