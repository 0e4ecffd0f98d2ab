"""Model source whose engines run elsewhere."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from friendli_endpoint.engine.remote.child import ChildSetup, EngineOpener, MakeGuides
from friendli_endpoint.engine.remote.fleet import EngineFleet
from friendli_endpoint.engine.remote.placement import EnginePlacement
from friendli_endpoint.generation import (
    GuideMaker,
    StepReport,
    Vocabulary,
    VocabularySource,
    draining_error,
)

__all__ = ["FleetSource", "OpenerSource", "SetupMaker"]

MAX_PULSE_SECONDS = 1.0
"""Maximum interval at which an engine's process sends a sign of life."""


class OpenerSource(VocabularySource, Protocol):
    """A model that another process can open."""

    def opener(self, *, threads: int | None = None, num_engines: int | None = None) -> EngineOpener:
        """Returns a function that opens the engine in another process; it can be pickled.

        Args:
            threads: Number of compute threads; None for that of the model's options.
            num_engines: Number of engines that share the memory of a machine; None for that of the
                model's options.

        Raises:
            StartError: The model cannot be served.
        """
        ...


class SetupMaker(Protocol):
    """Makes the setup of an engine's process."""

    def __call__(self, *, threads: int | None = None, num_engines: int | None = None) -> ChildSetup:
        """Returns the setup; may block for seconds. The arguments are those of `opener`.

        Raises:
            StartError: The model cannot be served.
        """
        ...


class FleetSource:
    """Model source whose engines run elsewhere; this process loads only the vocabulary.

    Args:
        model: The model.
        guides: Makes the `GuideMaker` for a vocabulary; a module's function, which is pickled by
            its name.
        max_stalled: Seconds without a step, while there is work, after which an engine is replaced.
        place: Returns the placement of the engines; may block for seconds.
        check: Checks quickly that the placement can be used; raises `StartError`.
    """

    def __init__(
        self,
        model: OpenerSource,
        guides: MakeGuides,
        max_stalled: float,
        place: Callable[[SetupMaker], EnginePlacement],
        check: Callable[[], None],
    ) -> None:
        self._model = model
        self._guides = guides
        self._max_stalled = max_stalled
        self._place = place
        self._check = check
        self._lock = threading.Lock()
        self._opening: EngineFleet | None = None
        self._closed = False

    def check(self) -> None:
        """Checks that engines can be placed, and that the files of the model exist.

        Raises:
            StartError: A file is missing, or what the placement needs.
        """
        self._check()
        self._model.check()

    def vocabulary(self) -> Vocabulary:
        """Loads the model's vocabulary without its weights; may block for seconds.

        Raises:
            StartError: The model cannot be served.
        """
        return self._model.vocabulary()

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        """Returns a function that loads the vocabulary in another process; it can be pickled."""
        return self._model.vocabulary_loader()

    def open(self, _make_guide: GuideMaker, report: Callable[[StepReport], None]) -> EngineFleet:
        """Opens the engines; blocks until they serve.

        Args:
            report: Called after every step of an engine, on a thread of the fleet.

        Raises:
            StartError: The model cannot be served.
        """
        placement = self._place(self.setup)
        with self._lock:
            if self._closed:
                raise draining_error()
            fleet = self._opening = EngineFleet(placement, report)
        try:
            fleet.open()
        except BaseException:
            fleet.close()
            raise
        finally:
            self._opening = None
        return fleet

    def setup(self, *, threads: int | None = None, num_engines: int | None = None) -> ChildSetup:
        """Returns the setup of an engine's process, as `SetupMaker` does.

        Raises:
            StartError: The model cannot be served.
        """
        opener = self._model.opener(threads=threads, num_engines=num_engines)
        pulse_seconds = min(MAX_PULSE_SECONDS, self._max_stalled / 4)
        level = logging.getLogger("friendli_endpoint.engine").getEffectiveLevel()
        return ChildSetup(opener, self._guides, pulse_seconds, level)

    def close(self) -> None:
        """Interrupts the other methods on another thread; returns at once."""
        with self._lock:
            self._closed = True
            if self._opening is not None:
                self._opening.interrupt()
        self._model.close()
