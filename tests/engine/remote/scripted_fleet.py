"""Scripted engines that may die after any step, a front that replays, and clients that read it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.output.response_builder import ResponseBuilder
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.remote.messages import FROM_ENGINE, EventBatch
from friendli_endpoint.engine.remote.replay import Death, EngineId, Failure, Replay, ReplayLog
from friendli_endpoint.generation import (
    DecodingRules,
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    SamplingParams,
    Started,
    TextSegment,
)
from friendli_endpoint.http.events import DONE, ChunkWriter, error_event
from tests.chat.random_requests import MODELS, PLAIN
from tests.engine.remote.scripted_engine import Answer, ScriptedEngine
from tests.support.scripted import Inbox

__all__ = [
    "CRASH",
    "FIELDS",
    "HANG",
    "ID",
    "KILL",
    "REQUEST",
    "Client",
    "Front",
    "alone",
    "client_of",
    "recorded",
    "text_client",
]

ID = "chatcmpl-r"
"""Id of the only request of a test."""

FIELDS: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 9,
    "seed": 3,
}

REQUEST = GenerationRequest("r", (TextSegment((1,)),), (SamplingParams(0),), DecodingRules((0,)), 9)
"""A short request."""

CRASH = Death("crash", "signal SIGSEGV")
HANG = Death("hang", "no step for 30 s")
KILL = Death("outside", "signal SIGKILL")


def response_of(source: str, body: dict[str, Any], request_id: str) -> ResponseBuilder:
    """Returns the response builder of a request, with a given id and time of creation."""
    wire = DedicatedChatCompletionBody.model_validate_json(json.dumps(body), strict=True)
    model = MODELS[source]
    with mock.patch("friendli_endpoint.chat.conversation.uuid.uuid4") as uuid4:
        uuid4.return_value.hex = request_id
        prepared = model.prepare(wire)
    with mock.patch("friendli_endpoint.chat.output.response_builder.time.time", return_value=1e9):
        return model.respond(prepared)


def recorded(loop: EngineLoop, request: GenerationRequest) -> Answer:
    """Returns the answer of an engine in this process, as its messages transport it."""
    inbox = Inbox(len(request.choices))
    loop.submit(request, inbox)
    assert inbox.wait().failure is None
    events = EventBatch(1, (Generated(tuple(inbox.steps), 1.0),))
    assert FROM_ENGINE.decode(FROM_ENGINE.encode((events,))) == (events,)
    return [inbox.of(choice) for choice in range(len(request.choices))]


@dataclass
class Client:
    """Client of one request: what it has read, as bytes.

    Attributes:
        response: Builds the chunks, as the front does.
        events: The events that were told.
        data: The bytes of the stream, or of the whole answer.
        error: The error that ended the answer, or None.
    """

    response: ResponseBuilder
    events: list[Event] = field(default_factory=list)
    data: bytes = b""
    error: EngineError | None = None

    def __post_init__(self) -> None:
        self._writer = ChunkWriter(self.response.text_chunk)
        self._send(self.response.opening())

    @property
    def request(self) -> GenerationRequest:
        return self.response.request

    def read(self, event: Event) -> None:
        self._check_open()
        assert isinstance(event, Started) == (not self.events), "`Started` comes first, and once"
        self.events.append(event)
        self._send(self.response.read(event))
        if self.response.finished:
            stream = self.request.stream
            self.data += DONE if stream else self.response.completion().model_dump_json().encode()

    def fail(self, error: EngineError) -> None:
        self._check_open()
        self.error = error
        self.data += error_event(error.message, "engine_failure")

    def of(self, choice: int) -> bytes:
        """Returns the events of a stream that are about a choice."""
        events = self.data.removesuffix(DONE).split(b"\n\n")[:-1]
        indexes = [json.loads(event.removeprefix(b"data: "))["choices"] for event in events]
        return b"\n\n".join(
            event
            for event, choices in zip(events, indexes, strict=True)
            if [found["index"] for found in choices] == [choice]
        )

    def _check_open(self) -> None:
        assert not self.response.finished and self.error is None, "the answer has ended"

    def _send(self, chunks: Sequence[Any]) -> None:
        if self.request.stream:
            self.data += b"".join(map(self._writer.write, chunks))


class Front:
    """Front over scripted engines; an engine that has died is replaced at once.

    Args:
        answers: The answers of all engines, by request id.
        engines: Number of engines.
        places: Maximum number of requests that an engine runs at the same time.
        deterministic: See `ReplayLog`.
        batch: See `ScriptedEngine`.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer],
        engines: int = 1,
        places: int = 4,
        deterministic: bool = True,
        batch: Callable[[], int] = lambda: 1,
    ) -> None:
        self.answers = dict(answers)
        self.log = ReplayLog(deterministic=deterministic)
        self.now = 0.0
        self.submitted: list[GenerationRequest] = []
        self._places = places
        self._batch = batch
        self._clients: dict[str, tuple[Client, Replay]] = {}
        self._lives = 0
        self.engines: dict[EngineId, ScriptedEngine] = {}
        for _ in range(engines):
            self._start()

    def submit(self, client: Client) -> Replay:
        replay = self.log.accept(client.request, self.now)
        self._clients[client.request.request_id] = client, replay
        return replay

    def step(self) -> None:
        """Lets each engine do one step."""
        self.place()
        self.now += 1
        for name, engine in tuple(self.engines.items()):
            for request_id, event in engine.step():
                client, replay = self._clients[request_id]
                try:
                    for told in self.log.receive(replay, name, event):
                        client.read(told)
                except EngineError as error:
                    client.fail(error)

    def place(self) -> None:
        """Submits waiting requests to the least busy engines."""
        for replay in self.log.waiting:
            names = self.log.engines_for(replay, tuple(self.engines))
            if names:
                name = min(names, key=lambda name: len(self.log.on(name)))
                request = self.log.assign(replay, name, self.now)
                self.submitted.append(request)
                self.engines[name].submit(request)

    def kill(self, index: int = 0, death: Death = KILL) -> tuple[Failure, ...]:
        """Ends an engine, and starts another one."""
        name = list(self.engines)[index % len(self.engines)]
        del self.engines[name]
        failures = self.log.lose(name, death, self.now, self._places)
        for replay, error in failures:
            self._clients[replay.request.request_id][0].fail(error)
        self._start()
        return failures

    def finish(self, max_steps: int = 3000) -> None:
        """Runs until no request is left."""
        for _ in range(max_steps):
            if not len(self.log):
                return
            self.step()
        raise AssertionError("the requests did not end")

    def _start(self) -> None:
        self.engines[self._lives] = ScriptedEngine(self.answers, self._places, self._batch)
        self._lives += 1


def client_of(source: str, body: dict[str, Any], request_id: str = "r") -> Client:
    """Returns a client with a new request."""
    return Client(response_of(source, body, request_id))


def alone(client: Client, answer: Answer) -> tuple[Client, int]:
    """Returns a client after an undisturbed answer, and the number of steps that it took."""
    front = Front({client.request.request_id: answer})
    front.submit(client)
    while len(front.log):
        front.step()
    return client, int(front.now)


def text_client(
    loop: EngineLoop, request_id: str = "r", *, seed: int = 3, **fields: Any
) -> tuple[Client, Answer]:
    """Returns a client that streams a text, and the answer that it will get."""
    body = {**FIELDS, "temperature": 1.0, "seed": seed, "stream": True, **fields}
    client = client_of(PLAIN, body, request_id)
    return client, recorded(loop, client.request)
