"""Model source whose engines run in child processes."""

import logging
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from friendli_endpoint.engine.remote.child import ChildSetup, EngineOpener, MakeGuides
from friendli_endpoint.engine.remote.fleet import EngineFleet
from friendli_endpoint.engine.remote.placement import ChildProcesses
from friendli_endpoint.generation import (
    GuideMaker,
    StartError,
    StepReport,
    Vocabulary,
    draining_error,
)

__all__ = ["FleetSource", "OpenerSource"]

MAX_PULSE_SECONDS = 1.0
"""Maximum interval at which an engine's process sends a sign of life."""


class OpenerSource(Protocol):
    """A model that another process can open."""

    def check(self) -> None:
        """Checks that the files of the model exist; returns at once.

        Raises:
            StartError: A file is missing.
        """
        ...

    def vocabulary(self) -> Vocabulary:
        """Loads the model's vocabulary without its weights; may block for seconds.

        Raises:
            StartError: The model cannot be served.
        """
        ...

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        """Returns a function that loads the vocabulary in another process; it can be pickled."""
        ...

    def opener(self) -> EngineOpener:
        """Returns a function that opens the engine in another process; it can be pickled.

        Raises:
            StartError: The model cannot be served.
        """
        ...

    def close(self) -> None:
        """Interrupts the other methods on another thread; returns at once."""
        ...


class FleetSource:
    """Model source whose engines run in child processes; this process loads only the vocabulary.

    Args:
        model: The model.
        guides: Makes the `GuideMaker` for a vocabulary; a module's function, which is pickled by
            its name.
        num_engines: Number of engines, at least 1.
        max_stalled: Seconds without a step, while there is work, after which an engine is replaced.
    """

    def __init__(
        self, model: OpenerSource, guides: MakeGuides, num_engines: int, max_stalled: float
    ) -> None:
        self._model = model
        self._guides = guides
        self._num_engines = num_engines
        self._max_stalled = max_stalled
        self._lock = threading.Lock()
        self._opening: EngineFleet | None = None
        self._closed = False

    def check(self) -> None:
        """Checks that processes can be used, and that the files of the model exist.

        Raises:
            StartError: A file is missing, or this system has no such processes.
        """
        if sys.platform == "win32":
            raise StartError("--engines needs an operating system with Unix sockets")
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
        """Starts the engines' processes, and waits until all have opened the model.

        Args:
            report: Called after every step of an engine, on a thread of the fleet.

        Raises:
            StartError: The model cannot be served.
        """
        pulse_seconds = min(MAX_PULSE_SECONDS, self._max_stalled / 4)
        level = logging.getLogger("friendli_endpoint.engine").getEffectiveLevel()
        setup = ChildSetup(self._model.opener(), self._guides, pulse_seconds, level)
        with self._lock:
            if self._closed:
                raise draining_error()
            engines = ChildProcesses(setup, self._num_engines, self._max_stalled)
            fleet = self._opening = EngineFleet(engines, report)
        try:
            fleet.open()
        except BaseException:
            fleet.close()
            raise
        finally:
            self._opening = None
        return fleet

    def close(self) -> None:
        """Interrupts the other methods on another thread; returns at once."""
        with self._lock:
            self._closed = True
            if self._opening is not None:
                self._opening.interrupt()
        self._model.close()
