"""Requests to a loop on a scripted backend, and ways to act in the middle of its calls."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from friendli_endpoint.generation import GenerationRequest
from tests.support.scripted import (
    PATIENCE,
    Call,
    Inbox,
    ScriptedBackend,
    ScriptedGuide,
    ScriptedRules,
    ScriptedVocabulary,
    chaotic,
    following,
    request,
)

VOCABULARY = ScriptedVocabulary()
SIZE = VOCABULARY.size
COUNTING = following(SIZE)
CHAOS = chaotic(SIZE)
PROMPT = (50, 60, 70, 80)


class Hook:
    """Does something once, when the backend is called for the n-th time in a certain way."""

    def __init__(self, backend: ScriptedBackend, name: str, number: int = 1) -> None:
        self._name = name
        self._left = number
        self.then: Callable[[], None] = lambda: None
        backend.before = self

    def __call__(self, call: Call) -> None:
        if call.name == self._name:
            self._left -= 1
            if self._left == 0:
                self.then()


class Pause:
    """Holds the engine's thread at a call until it is told to go on."""

    def __init__(self, backend: ScriptedBackend, name: str, number: int = 1) -> None:
        self.reached = threading.Event()
        self._go_on = threading.Event()
        Hook(backend, name, number).then = self._hold

    def _hold(self) -> None:
        self.reached.set()
        assert self._go_on.wait(PATIENCE)

    def __enter__(self) -> None:
        assert self.reached.wait(PATIENCE), "the engine did not come to this call"

    def __exit__(self, *_exception: object) -> None:
        self._go_on.set()


def draw(name: str, seed: int, **options: Any) -> GenerationRequest:
    """A request whose tokens depend on seed and history, with many parameters on."""
    sampling = {"top_p": 0.95, "repetition_penalty": 1.1, "presence_penalty": 0.5}
    prompt = [10 + (seed * 7 + n) % 200 for n in range(3 + seed % 40)]
    return request(
        name,
        prompt,
        *(ScriptedGuide() for _ in range(1 + seed % 3)),
        seed=seed,
        temperature=1.0,
        max_tokens=3 + seed % 7,
        top_logprobs=2,
        **{**sampling, **options},
    )


def anew(asked: GenerationRequest) -> GenerationRequest:
    """The same request with new guides, which allow everything: guides are used up by a run."""
    guides = iter([ScriptedGuide() for _ in asked.choices])
    return replace(asked, rules=ScriptedRules((), guides=guides))


def outcome(inbox: Inbox) -> list[object]:
    """The steps of each choice."""
    return [inbox.of(choice) for choice in range(inbox.choices)]


def failure(inbox: Inbox) -> str | None:
    """What a request was told of its failure, if it has failed."""
    return None if inbox.failure is None else inbox.failure.message


def break_down(*_given: object) -> NoReturn:
    """Fails as a library does that is out of order."""
    raise RuntimeError("the library is out of order")


BROKEN = "the engine failed: the library is out of order"
