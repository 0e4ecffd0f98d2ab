"""An engine without a model that generates tokens at a fixed pace, to measure what is around it."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import cast

from friendli_endpoint.engine.core.backend import AdapterError
from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.core.outbox import Deliver, Wake, wake_all
from friendli_endpoint.engine.llama.engine import LlamaOptions, LlamaSource
from friendli_endpoint.generation import (
    EngineError,
    Generated,
    GenerationRequest,
    GuideMaker,
    ModelCard,
    OutputSpan,
    Started,
    StepReport,
    TokenFindings,
    TokenStep,
    Vocabulary,
)

__all__ = ["SEQUENCES", "STEP_SECONDS", "PacedSource"]

SEQUENCES = 16
STEP_SECONDS = 0.01

TEXT = " the quick brown fox jumps over a lazy dog and"
TEMPLATE = "{% for message in messages %}{{ message.content }}\n{% endfor %}"

Token = tuple[int, bytes]
"""A token id with its bytes."""


@dataclass(slots=True, eq=False)
class _Stream:
    """A request that runs.

    Attributes:
        request: The request, of one choice.
        deliver: Receives its events.
        submitted: Time of its submission, in seconds of `monotonic`.
        num_tokens: Number of tokens that it was given.
        is_over: Whether it gets no more tokens.
    """

    request: GenerationRequest
    deliver: Deliver
    submitted: float
    num_tokens: int = 0
    is_over: bool = False


class PacedLoop:
    """Engine loop that gives every stream a token every `STEP_SECONDS`, the first one at once.

    Args:
        tokens: The tokens, which are repeated.
        report: Called after every step.
    """

    adapters: tuple[str, ...] = ()
    stalled_seconds = 0.0

    def __init__(self, tokens: Sequence[Token], report: Callable[[StepReport], None]) -> None:
        self._tokens = tokens
        self._report = report
        self._submitted: deque[_Stream] = deque()
        self._cancelled: set[str] = set()
        self._wake = threading.Event()
        self.is_alive = True
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def submit(self, request: GenerationRequest, deliver: Deliver) -> None:
        """Adds a request."""
        self._submitted.append(_Stream(request, deliver, monotonic()))
        self._wake.set()

    def cancel(self, request_id: str) -> None:
        """Cancels a request."""
        self._cancelled.add(request_id)

    def load_adapter(self, _route: str, _path: Path) -> None:
        """Rejects the adapter: there is no model."""
        raise AdapterError("this engine has no model")

    def unload_adapter(self, route: str) -> None:
        """Rejects the route, as nothing is loaded."""
        raise AdapterError(f"{route} is not loaded")

    def close(self) -> None:
        """Stops after the current step."""
        self.is_alive = False
        self._wake.set()

    def _run(self) -> None:
        running: list[_Stream] = []
        due = monotonic()
        while self.is_alive:
            if not running:
                self._wake.wait()
                due = monotonic()
            self._wake.clear()
            while self._submitted:
                running.append(self._submitted.popleft())
            tokens = len(running)
            wakes = [self._advance(stream) for stream in running]
            wake_all(wakes)
            running = [stream for stream in running if not stream.is_over]
            self._report(StepReport(STEP_SECONDS, tokens, 0, len(running), 0, tokens, SEQUENCES))
            if running:  # otherwise the next stream begins at once
                due = max(due + STEP_SECONDS, monotonic())
                threading.Event().wait(due - monotonic())
        error = EngineError("the engine is closing", is_closing=True)
        wake_all(stream.deliver(error) for stream in chain(running, self._submitted))

    def _advance(self, stream: _Stream) -> Wake | None:
        """Gives a stream its next token, unless it was cancelled."""
        if stream.request.request_id in self._cancelled:
            self._cancelled.remove(stream.request.request_id)
            stream.is_over = True
            return None
        if not stream.num_tokens:
            wake_all([stream.deliver(Started(0, 0.0, 0.0))])
        token, text = self._tokens[stream.num_tokens % len(self._tokens)]
        stream.num_tokens += 1
        stream.is_over = stream.num_tokens == stream.request.max_tokens
        span = OutputSpan(False, text)
        findings = TokenFindings(len(text), (span,), "length" if stream.is_over else None)
        step = TokenStep(0, token, findings)
        return stream.deliver(Generated((step,), monotonic() - stream.submitted))


@dataclass(frozen=True, slots=True)
class PacedOpener:
    """Opens the engine in the process that calls it.

    Attributes:
        tokens: The tokens that it generates.
        vocabulary_size: Number of token ids.
    """

    tokens: tuple[Token, ...]
    vocabulary_size: int

    def __call__(
        self,
        _make_guides: Callable[[Vocabulary], GuideMaker],
        report: Callable[[StepReport], None],
        _like: ModelCard | None = None,
    ) -> LocalEngine:
        """Opens the engine, which needs no guides."""
        loop = cast(EngineLoop, PacedLoop(self.tokens, report))
        size = self.vocabulary_size
        card = ModelCard("paced", 4096, size, SEQUENCES, TEMPLATE, ("text",), (), True)
        return LocalEngine(loop, card)


class PacedSource:
    """Model source of the engine, with the vocabulary of the embedded model."""

    def __init__(self) -> None:
        self._model = LlamaSource(None, LlamaOptions(sequences=SEQUENCES, context=4096))

    def check(self) -> None:
        """Implements `ModelSource`."""
        self._model.check()

    def vocabulary(self) -> Vocabulary:
        """Implements `ModelSource`."""
        return self._model.vocabulary()

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        """Implements `ModelSource`."""
        return self._model.vocabulary_loader()

    def open(self, make_guide: GuideMaker, report: Callable[[StepReport], None]) -> LocalEngine:
        """Implements `ModelSource`."""
        return self.opener()(lambda _vocabulary: make_guide, report)

    def opener(self, *, threads: int | None = None, num_engines: int | None = None) -> PacedOpener:
        """Implements `OpenerSource`; the engine computes nothing."""
        vocabulary = self._model.vocabulary()
        ids = vocabulary.tokenize(TEXT, special=False)
        tokens = tuple((token, vocabulary.token_bytes(token)) for token in ids)
        return PacedOpener(tokens, vocabulary.size)

    def close(self) -> None:
        """Implements `ModelSource`."""
        self._model.close()
