"""Model sources of tests: one whose loading a test can delay or let fail, and a scripted one."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import Engine, GuideMaker, ModelCard, StepReport, Vocabulary
from tests.http.scripted import BOUND, CARD, ScriptedLoop
from tests.support.scripted import ScriptedVocabulary


class HeldSource:
    """A model source whose loading waits for the test.

    Attributes:
        go_on: Loading waits until this is set.
        fault: Exception that loading raises, or None.
        card: Card of the model.
        loop: Scripted engine loop, which counts how often it is closed.
    """

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.fault: Exception | None = None
        self.card = replace(CARD, chat_template="{{ messages[0].content }}")
        self.loop = CountedLoop()

    def check(self) -> None:
        pass

    def vocabulary(self) -> Vocabulary:
        assert self.go_on.wait(BOUND)
        if self.fault is not None:
            raise self.fault
        return ScriptedVocabulary()

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        return ScriptedVocabulary

    def open(self, _make_guide: GuideMaker, _report: Callable[[StepReport], None]) -> Engine:
        return LocalEngine(cast(EngineLoop, self.loop), self.card)

    def close(self) -> None:
        pass


class ScriptedSource:
    """Base of model sources with a scripted backend; subclasses open the engine.

    Attributes:
        context: Context of the model in tokens.
        stack: Closed with the source.
    """

    context: int

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self._vocabulary = ScriptedVocabulary(context=self.context)

    def check(self) -> None:
        pass

    def vocabulary(self) -> ScriptedVocabulary:
        return self._vocabulary

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        return partial(ScriptedVocabulary, context=self.context)

    def card(self, num_sequences: int, template: str) -> ModelCard:
        """Returns the card of a model with this vocabulary."""
        size = self._vocabulary.size
        return ModelCard(
            "scripted", self.context, size, num_sequences, template, ("text",), (), True
        )

    def close(self) -> None:
        self.stack.close()


class CountedLoop(ScriptedLoop):
    """A scripted engine loop that counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
