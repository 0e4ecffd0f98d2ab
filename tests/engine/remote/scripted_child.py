"""Engines with scripted logits for child processes, whose faults a test chooses.

All that a child process gets is data: its opener is pickled. A request's faults are tokens of its
prompt, so that they come with the request to whichever engine runs it.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.execution import EngineConfig
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import (
    DecodingRules,
    GenerationRequest,
    Guide,
    GuideMaker,
    ModelCard,
    SamplingParams,
    StartError,
    StepReport,
    TextSegment,
    Vocabulary,
)
from tests.support.scripted import (
    PATIENCE,
    Call,
    ScriptedBackend,
    ScriptedGuide,
    ScriptedVocabulary,
    chaotic,
)

__all__ = ["CRASH", "GATE", "HANG", "STOP", "ScriptedOpener", "request", "scripted_guides"]

CRASH, HANG, STOP = 201, 202, 203
"""Tokens that end the process by SIGSEGV, let a step hang, and stop the process, in a prefill."""

GATE = 204
"""Token that makes every decoding of its sequence wait until the test opens the gate."""

_FAULTS = {CRASH: signal.SIGSEGV, STOP: signal.SIGSTOP}


@dataclass(frozen=True)
class ScriptedOpener:
    """Opens a scripted engine, whose output depends on all tokens before it.

    Attributes:
        folder: Folder of the test: a file `open` opens the gate. Every process that opens an engine
            adds a file `pid-PID`, and `like-PID` if its capacity is given; one that closes its
            backend adds `closed-PID`.
        sequences: Number of choices that run at the same time.
        context: Maximum number of tokens of a sequence.
        max_queue: Maximum number of waiting requests.
        refusal: Why the engine cannot be opened, or None.
        waits: Whether opening takes until the gate is open.
        dies: Number of processes, from the first, that kill themselves before they open an engine.
    """

    folder: Path
    sequences: int = 4
    context: int = 128
    max_queue: int = 64
    refusal: str | None = None
    waits: bool = False
    dies: int = 0

    def __call__(
        self,
        make_guides: Callable[[Vocabulary], GuideMaker],
        report: Callable[[StepReport], None],
        like: ModelCard | None = None,
    ) -> LocalEngine:
        (self.folder / f"pid-{os.getpid()}").touch()
        if self.refusal is not None:
            raise StartError(self.refusal)
        if len(list(self.folder.glob("pid-*"))) <= self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.waits:
            _wait_for(self.folder / "open")
        if like is not None:
            (self.folder / f"like-{os.getpid()}").write_text(f"{like.num_sequences}")
        vocabulary = ScriptedVocabulary(context=self.context)
        backend = ScriptedBackend(chaotic(vocabulary.size), self.sequences, self.context, 32)
        backend.before = Faults(self.folder)
        config = EngineConfig(
            self.sequences, self.context, 8, 32, max_queue=self.max_queue, max_queue_tokens=1 << 20
        )
        loop = EngineLoop(backend.opened, make_guides(vocabulary), config, report)
        card = ModelCard(
            "scripted",
            self.context,
            vocabulary.size,
            self.sequences,
            "{{ messages[0].content }}",
            ("text",),
            (),
            True,
        )
        return LocalEngine(loop, card)


class Faults:
    """Callback of a scripted backend that brings about the faults of prompts.

    Args:
        folder: Folder of the test.
    """

    def __init__(self, folder: Path) -> None:
        self._gate = folder / "open"
        self._closed = folder / f"closed-{os.getpid()}"
        self._gated: set[int] = set()

    def __call__(self, call: Call) -> None:
        if call.name == "prefill":
            self._prefill(call)
        if call.name == "close":
            self._closed.touch()
        if call.name == "decode" and self._gated.intersection(call.sequences):
            _wait_for(self._gate)

    def _prefill(self, call: Call) -> None:
        if call.position == 0:
            self._gated.discard(call.sequences[0])
        if GATE in call.tokens:
            self._gated.add(call.sequences[0])
        for token, number in _FAULTS.items():
            if token in call.tokens:
                os.kill(os.getpid(), number)
        if HANG in call.tokens:
            time.sleep(PATIENCE)


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.002)


def scripted_guides(_vocabulary: Vocabulary) -> GuideMaker:
    """Returns a maker of guides that allow every token."""

    def make_guide(rules: DecodingRules) -> Guide:
        return ScriptedGuide(ends=rules.end_ids)

    return make_guide


def request(
    name: str,
    *prompt: int,
    choices: int = 1,
    max_tokens: int = 6,
    adapter: str | None = None,
    stream: bool = True,
) -> GenerationRequest:
    """Returns a request whose tokens depend on its prompt and its seeds."""
    return GenerationRequest(
        name,
        (TextSegment((20, 30, 40, *prompt)),),
        tuple(SamplingParams(seed, temperature=1.0) for seed in range(choices)),
        DecodingRules(()),
        max_tokens,
        adapter=adapter,
        stream=stream,
    )
