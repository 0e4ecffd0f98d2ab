"""Requests for an engine loop on a scripted backend, and hooks into calls of the backend."""

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
    """Callback for the n-th call of a method of the backend."""

    def __init__(self, backend: ScriptedBackend, name: str, number: int = 1) -> None:
        self._name = name
        self._remaining = number
        self.then: Callable[[], None] = lambda: None
        backend.before = self

    def __call__(self, call: Call) -> None:
        if call.name == self._name:
            self._remaining -= 1
            if self._remaining == 0:
                self.then()


class Pause:
    """Stops the engine's thread in a call of the backend until the `with` block is left."""

    def __init__(self, backend: ScriptedBackend, name: str, number: int = 1) -> None:
        self.reached = threading.Event()
        self._released = threading.Event()
        Hook(backend, name, number).then = self._hold

    def _hold(self) -> None:
        self.reached.set()
        assert self._released.wait(PATIENCE)

    def __enter__(self) -> None:
        assert self.reached.wait(PATIENCE), "the engine did not reach this call"

    def __exit__(self, *_exception: object) -> None:
        self._released.set()


def draw(name: str, seed: int, **options: Any) -> GenerationRequest:
    """Returns a request whose tokens depend on seed and history, with many parameters set."""
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


def with_new_guides(original: GenerationRequest) -> GenerationRequest:
    """Copies a request with new guides, which allow every token: a guide serves one run only."""
    guides = iter([ScriptedGuide() for _ in original.choices])
    return replace(original, rules=ScriptedRules((), guides=guides))


def outcome(inbox: Inbox) -> list[object]:
    """Returns the steps of each choice."""
    return [inbox.of(choice) for choice in range(inbox.choices)]


def failure(inbox: Inbox) -> str | None:
    """Returns the message of the request's failure, if it has failed."""
    return None if inbox.failure is None else inbox.failure.message


def break_down(*_given: object) -> NoReturn:
    """Raises an error, as a broken library does."""
    raise RuntimeError("the library is out of order")


BROKEN = "the engine failed: the library is out of order"
