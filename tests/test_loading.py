"""Loading a model: settings that end it, and what is closed then."""

import os
from dataclasses import replace
from functools import partial

import pytest

from friendli_endpoint.generation import StartError, Vocabulary
from friendli_endpoint.loading import load_model
from friendli_endpoint.preparation import ThreadPreparer, WorkerPreparer
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from tests.support.source import HeldSource
from tests.workers.processes import children_of, fork_servers


@pytest.fixture
def source() -> HeldSource:
    """Returns a source whose model loads immediately."""
    source = HeldSource()
    source.go_on.set()
    return source


def test_workers_prepare_requests_by_default(
    source: HeldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FRIENDLI_ENDPOINT_WORKERS")
    model = load_model(source, Settings(), Telemetry().metrics)
    assert isinstance(model.preparer, WorkerPreparer)
    (server,) = fork_servers()
    assert len(children_of(server)) == min(os.cpu_count() or 1, 4)
    model.preparer.close()
    assert not fork_servers()


def test_without_workers_threads_prepare_requests(source: HeldSource) -> None:
    model = load_model(source, Settings(workers=0), Telemetry().metrics)
    assert isinstance(model.preparer, ThreadPreparer)
    assert not fork_servers()


def test_workers_end_if_the_engine_cannot_be_opened(
    source: HeldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise StartError("no memory")

    monkeypatch.setattr(source, "open", fail)
    with pytest.raises(StartError, match="no memory"):
        load_model(source, Settings(workers=1), Telemetry().metrics)
    assert not fork_servers()


def test_workers_and_the_engine_end_if_the_template_is_invalid(source: HeldSource) -> None:
    source.card = replace(source.card, chat_template="{% for %}")
    with pytest.raises(StartError, match="chat template"):
        load_model(source, Settings(workers=1), Telemetry().metrics)
    assert source.loop.closed == 1
    assert not fork_servers()


def fail_to_load() -> Vocabulary:
    raise OSError("the file has gone")


def test_the_engine_ends_if_workers_cannot_load_the_vocabulary(
    source: HeldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "vocabulary_loader", lambda: partial(fail_to_load))
    with pytest.raises(StartError, match="the file has gone"):
        load_model(source, Settings(workers=1), Telemetry().metrics)
    assert source.loop.closed == 1
