"""A scripted engine, which gives recorded answers step by step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from friendli_endpoint.generation import Event, Generated, GenerationRequest, Started, TokenStep

__all__ = ["PREFILL_STEPS", "Answer", "ScriptedEngine"]

Answer = Sequence[Sequence[TokenStep]]
"""The steps of each choice of a request."""

PREFILL_STEPS = 2
"""Steps of a scripted engine until `Started`; each further one has tokens."""


@dataclass
class _Work:
    """A request in a scripted engine.

    Attributes:
        request: The request.
        answer: The answer that the engine will give.
        position: Number of steps since its prefill began, negative during the prefill.
    """

    request: GenerationRequest
    answer: Answer
    position: int = -PREFILL_STEPS


class ScriptedEngine:
    """One life of an engine that gives recorded answers.

    Args:
        answers: The answers, by request id.
        places: Maximum number of requests that run at the same time.
        batch: Returns the number of tokens of each choice in the next step.
    """

    def __init__(
        self, answers: Mapping[str, Answer], places: int, batch: Callable[[], int]
    ) -> None:
        self._answers = answers
        self._places = places
        self._batch = batch
        self._queue: list[_Work] = []
        self.running: list[_Work] = []

    def submit(self, request: GenerationRequest) -> None:
        index = len(self._queue)
        if request.resumed:
            index = sum(work.request.resumed for work in self._queue)
        self._queue.insert(index, _Work(request, self._answers[request.request_id]))

    def step(self) -> list[tuple[str, Event]]:
        """Returns the events of one step, which are in one frame."""
        while self._queue and len(self.running) < self._places:
            self.running.append(self._queue.pop(0))
        events: list[tuple[str, Event]] = []
        for work in tuple(self.running):
            work.position += 1
            if work.position == 0:
                events.append((work.request.request_id, Started(0, 0.0, 0.0)))
            elif work.position > 0:
                size = self._batch()
                end = work.position - 1 + size
                steps = [step for choice in work.answer for step in choice[end - size : end]]
                if steps:
                    events.append((work.request.request_id, Generated(tuple(steps), 1.0)))
                if end >= max(map(len, work.answer)):
                    self.running.remove(work)
                work.position += size - 1
        return events
