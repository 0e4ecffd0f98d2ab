"""A model source whose engines run in child processes."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.remote.placement import ChildProcesses
from friendli_endpoint.engine.remote.source import FleetSource, SetupMaker
from friendli_endpoint.generation import RequestError, StartError, Vocabulary
from tests.contract.live import until
from tests.engine.remote.scripted_child import ScriptedOpener, scripted_guides
from tests.support.scripted import PATIENCE, ScriptedVocabulary, scripted_guide


class ScriptedModel:
    """A model that processes can open."""

    def __init__(self, opener: ScriptedOpener) -> None:
        self._opener = opener
        self.closed = 0
        self.shares: list[tuple[int | None, int | None]] = []

    def check(self) -> None:
        raise StartError("there is no such file")

    def vocabulary(self) -> Vocabulary:
        return ScriptedVocabulary()

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        return ScriptedVocabulary

    def opener(
        self, *, threads: int | None = None, num_engines: int | None = None
    ) -> ScriptedOpener:
        self.shares.append((threads, num_engines))
        return self._opener

    def close(self) -> None:
        self.closed += 1


def source_of(folder: Path, **options: Any) -> tuple[FleetSource, ScriptedModel]:
    model = ScriptedModel(ScriptedOpener(folder, **options))

    def place(setup: SetupMaker) -> ChildProcesses:
        return ChildProcesses(setup(threads=3, num_engines=2), 2, PATIENCE)

    source = FleetSource(model, scripted_guides, PATIENCE, place, ChildProcesses.check)
    return source, model


def test_the_front_loads_the_vocabulary_and_processes_open_the_engines(tmp_path: Path) -> None:
    source, model = source_of(tmp_path)
    assert source.vocabulary().size == source.vocabulary_loader()().size
    fleet = source.open(scripted_guide, lambda _report: None)
    try:
        assert len(fleet.pids) == 2 and fleet.num_ready == 2 and fleet.is_alive
        assert fleet.stalled_seconds == 0 and model.shares == [(3, 2)]
    finally:
        fleet.close()
    assert not fleet.pids


def test_errors_of_the_model_are_those_of_the_source(tmp_path: Path) -> None:
    source, _ = source_of(tmp_path, refusal="the file is damaged")
    with pytest.raises(StartError, match="there is no such file"):
        source.check()
    with pytest.raises(StartError, match="the file is damaged"):
        source.open(scripted_guide, lambda _report: None)
    assert not [thread for thread in threading.enumerate() if thread.name == "engines"]


def test_a_closed_source_opens_nothing(tmp_path: Path) -> None:
    source, model = source_of(tmp_path)
    source.close()
    with pytest.raises(RequestError):
        source.open(scripted_guide, lambda _report: None)
    assert model.closed == 1
    assert list(tmp_path.iterdir()) == []


def test_closing_interrupts_the_opening(tmp_path: Path) -> None:
    source, _ = source_of(tmp_path, waits=True)

    def close() -> None:
        until(lambda: list(tmp_path.glob("pid-*")), PATIENCE, "a process opens an engine")
        source.close()

    closing = threading.Thread(target=close)
    closing.start()
    with pytest.raises(RequestError):
        source.open(scripted_guide, lambda _report: None)
    closing.join()
