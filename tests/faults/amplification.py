"""Cost of holding a request, in the process that all requests share.

Each case runs in a forked process with the whole application over the scripted vocabulary, and an
engine that lets every request wait. The process measures how much its resident memory grows, at
most and at the end, and the CPU time of the event loop's thread.
"""

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from friendli_endpoint.app import create_app
from friendli_endpoint.generation import (
    Engine,
    Event,
    GenerationRequest,
    GuideMaker,
    ModelCard,
    StepReport,
    Vocabulary,
)
from friendli_endpoint.heap import limit_heaps
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.preparation import WorkerPreparer
from friendli_endpoint.service import EndpointService
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from tests.contract.live import environment
from tests.http.scripted import COMPLETIONS, VALID, Call
from tests.support.scripted import ScriptedVocabulary

__all__ = ["Cost", "measuring"]

CONTEXT = 1 << 17
CHUNK_BYTES = 1 << 18
TEMPLATE = (
    "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.name }} {{ m.content }}"
    "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}<|im_end|>{% endfor %}"
    "{% if extra %}{{ extra | tojson(indent=1) }}{% endif %}{{ reasoning_effort }}"
    "<|im_start|>assistant\n{% if think %}<think>\n{% endif %}"
)


@dataclass(frozen=True)
class Cost:
    """Cost of one request.

    Attributes:
        status: Status of the answer; 0 if the request was accepted and waits.
        body: Size of the body in bytes.
        held: Growth of the resident memory while the request waits, in bytes.
        peak: Maximum growth of the resident memory, in bytes.
        loop_seconds: CPU time of the event loop's thread, in seconds.
        error: Body of the error, if there is one.
    """

    status: int
    body: int
    held: int
    peak: int
    loop_seconds: float
    error: str


class FastVocabulary(ScriptedVocabulary):
    """The scripted vocabulary, whose tokenizer takes as little time as a real one."""

    def __init__(self) -> None:
        super().__init__(context=CONTEXT)
        texts = sorted(range(self.size), key=lambda token: -len(self._texts[token]))
        self._pattern = {
            special: re.compile(
                b"|".join(
                    re.escape(self._texts[token])
                    for token in texts
                    if special or token not in self.control_ids
                ),
                re.DOTALL,
            )
            for special in (False, True)
        }

    def tokenize(self, text: str, special: bool) -> list[int]:
        return [self._ids[found] for found in self._pattern[special].findall(text.encode())]


class WaitingEngine:
    """An engine that accepts every request and never begins it."""

    is_alive = True
    stalled_seconds = 0.0

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.card = ModelCard("waiting", CONTEXT, vocabulary.size, 4, TEMPLATE, ("text",), (), True)
        self.accepted = asyncio.Event()

    @asynccontextmanager
    async def run(self, _request: GenerationRequest) -> AsyncGenerator[AsyncIterator[Event]]:
        self.accepted.set()
        yield self._events()

    async def _events(self) -> AsyncIterator[Event]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc]

    async def aclose(self) -> None:
        pass


class WaitingSource:
    """A model source for the waiting engine."""

    def __init__(self) -> None:
        self._vocabulary = FastVocabulary()
        self.engine = WaitingEngine(self._vocabulary)

    def check(self) -> None:
        pass

    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        return FastVocabulary

    def open(self, _make: GuideMaker, _report: Callable[[StepReport], None]) -> Engine:
        return self.engine  # type: ignore[return-value]

    def close(self) -> None:
        pass


async def measure(app: Any, engine: WaitingEngine, body: bytes) -> Cost:
    """Sends a request and measures its cost, after small ones have warmed everything up."""
    schema = {"type": "json_schema", "json_schema": {"schema": {"enum": ["a", 1]}}}
    for fields in ({}, {"response_format": schema}, {"tools": [tool()]}):
        await send(app, engine, json.dumps({**VALID, **fields}).encode())
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = memory("RssAnon")
    call, seconds = await send(app, engine, body)
    gc.collect()
    error = call.body.decode() if call.status else ""
    # Without files: of a library's code, more pages are resident once they are executed.
    held = memory("RssAnon") - before
    peak = max(held, memory("VmHWM") - memory("RssFile") - memory("RssShmem") - before)
    return Cost(call.status, len(body), held, peak, seconds, error[:300])


def tool() -> dict[str, Any]:
    """Returns a small tool."""
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


async def send(app: Any, engine: WaitingEngine, body: bytes) -> tuple[Call, float]:
    """Sends a request; returns when it is accepted or answered, and then forgets neither."""
    engine.accepted.clear()
    chunks = [body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES)]
    begun = time.thread_time()
    call = await Call(app, "POST", COMPLETIONS, body=chunks).__aenter__()
    accepted = asyncio.ensure_future(engine.accepted.wait())
    await asyncio.wait({accepted, call.task}, return_when=asyncio.FIRST_COMPLETED)
    seconds = time.thread_time() - begun
    accepted.cancel()
    _waiting.append(call)
    return call, seconds


_waiting: list[Call] = []


def memory(name: str) -> int:
    """Returns a value of this process in bytes, by its name in /proc."""
    (line,) = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(f"{name}:")
    ]
    return int(line.split()[1]) << 10


@contextlib.contextmanager
def measuring() -> Iterator[Callable[[bytes], Cost]]:
    """Yields a function that measures the cost of a body."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from tests.faults.amplification import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def cost(body: bytes) -> Cost:
        stdin.write(b"%d\n" % len(body) + body)
        stdin.flush()
        return Cost(**json.loads(stdout.readline()))

    try:
        yield cost
    finally:
        process.communicate()


def main() -> None:
    limit_heaps()
    source = WaitingSource()
    service = EndpointService(Settings(workers=1, tool_family="hermes"), source, Telemetry())
    service.load()
    app = create_app(service, Policy(max_body=4 << 20, max_messages=2048))
    forget_workers(service)
    gc.freeze()
    while size := sys.stdin.buffer.readline():
        body = sys.stdin.buffer.read(int(size))
        if not os.fork():
            print(json.dumps(asdict(asyncio.run(measure(app, source.engine, body)))), flush=True)
            os._exit(0)
        os.wait()


def forget_workers(service: EndpointService) -> None:
    """Makes the pool fork a new worker in each process that is forked from this one."""
    preparer = service._loaded_model().preparer
    assert isinstance(preparer, WorkerPreparer)
    preparer._pool._idle.clear()
