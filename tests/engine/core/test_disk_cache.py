"""The engine loop with a prefix cache on disk: same answers, whatever is there."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.core import loop, stored_prefixes
from friendli_endpoint.engine.core.backend import BLOCK_TOKENS, AdapterError
from friendli_endpoint.engine.core.disk.folder import BlockFolder
from friendli_endpoint.engine.core.disk.store import DiskCache
from friendli_endpoint.engine.core.execution import Execution
from friendli_endpoint.generation import StepReport
from tests.engine.core.disk.blocks import LARGE, files
from tests.engine.core.scripted_loop import CHAOS, SIZE, Hook, Pause, break_down, outcome
from tests.support.scripted import (
    PATIENCE,
    Inbox,
    ScriptedBackend,
    ScriptedVocabulary,
    request,
    run,
    serving,
)

CONTEXT = 400
VOCABULARY = ScriptedVocabulary(CONTEXT)
LENGTHS = (BLOCK_TOKENS - 1, BLOCK_TOKENS, BLOCK_TOKENS + 2, 3 * BLOCK_TOKENS + 20)


def prompt_of(seed: int, length: int = 3 * BLOCK_TOKENS + 20) -> list[int]:
    return random.Random(seed).choices(range(4, SIZE), k=length)


def disk_of(folder: Path, max_bytes: int = LARGE) -> DiskCache:
    return DiskCache(BlockFolder(folder, max_bytes), b"scripted")


def answers(
    folder: Path | None,
    prompts: Sequence[Sequence[int]],
    *,
    adapter: Path | None = None,
    slots: int = 4,
    report: Callable[[StepReport], None] = lambda _report: None,
) -> list[Inbox]:
    """Runs requests one after the other in a new engine, which stores them when it is closed."""
    disk = None if folder is None else disk_of(folder)
    with serving(CHAOS, slots=slots, vocabulary=VOCABULARY, disk=disk, report=report) as (
        engine,
        _,
    ):
        if adapter is not None:
            engine.load_adapter("route", adapter)
        route = None if adapter is None else "route"
        return [
            run(engine, request(str(number), prompt, adapter=route, temperature=1.0))[0]
            for number, prompt in enumerate(prompts)
        ]


def cached(inboxes: Sequence[Inbox]) -> list[int]:
    """Returns the number of cached tokens of each request."""
    return [inbox.started.cached_tokens for inbox in inboxes if inbox.started is not None]


def same(first: Sequence[Inbox], second: Sequence[Inbox]) -> bool:
    return [outcome(inbox) for inbox in first] == [outcome(inbox) for inbox in second]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_prefix_survives_a_restart(tmp_path: Path, length: int) -> None:
    prompt = prompt_of(1, length)
    computed = answers(None, [prompt])
    assert same(answers(tmp_path, [prompt]), computed)
    again = answers(tmp_path, [prompt])
    assert same(again, computed)
    assert cached(again) == [(length - 2) // BLOCK_TOKENS * BLOCK_TOKENS]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20
)
@given(
    order=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(LENGTHS)), max_size=8),
    cuts=st.sets(st.integers(1, 7)),
)
def test_answers_do_not_depend_on_the_disk_nor_on_restarts(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[int, int]], cuts: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("prefixes")
    prompts = [prompt_of(seed, length) for seed, length in order]
    computed = [answers(None, [prompt])[0] for prompt in prompts]
    start = 0
    for end in [*sorted(cut for cut in cuts if cut < len(prompts)), len(prompts)]:
        assert same(answers(folder, prompts[start:end], slots=2), computed[start:end])
        start = end


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set whenever an idle engine has stored all its prefixes, which it soon does."""
    event, original = threading.Event(), Execution.store_prefixes

    def store_prefixes(self: Execution, is_interrupted: Callable[[], bool]) -> bool:
        is_complete = original(self, is_interrupted)
        if is_complete:
            event.set()
        return is_complete

    monkeypatch.setattr(Execution, "store_prefixes", store_prefixes)
    monkeypatch.setattr(loop, "IDLE_SECONDS", 0.01)
    return event


def test_a_prefix_survives_its_eviction(tmp_path: Path, stored: threading.Event) -> None:
    prompts = [prompt_of(seed) for seed in (1, 2, 3)]
    computed = answers(None, prompts)
    with serving(CHAOS, slots=1, vocabulary=VOCABULARY, disk=disk_of(tmp_path)) as (engine, _):
        for number, prompt in enumerate(prompts):
            stored.clear()
            run(engine, request(f"first {number}", prompt, temperature=1.0))
            assert stored.wait(PATIENCE)
        again = [
            run(engine, request(f"again {number}", prompt, temperature=1.0))[0]
            for number, prompt in enumerate(prompts)
        ]
    assert same(again, computed)
    assert cached(again) == [3 * BLOCK_TOKENS] * 3


def test_a_longer_prefix_in_memory_is_preferred(tmp_path: Path) -> None:
    prompt = prompt_of(1)
    answers(tmp_path, [prompt])
    again = answers(tmp_path, [prompt, [*prompt, 9, 9, 9]])
    assert cached(again) == [3 * BLOCK_TOKENS, len(prompt)]


def test_requests_that_arrive_together_read_a_prefix_once(tmp_path: Path) -> None:
    prompts = [[*prompt_of(1), 10 + number, *prompt_of(number + 5, 9)] for number in range(3)]
    computed = answers(None, prompts)
    answers(tmp_path, prompts[:1])
    with serving(CHAOS, vocabulary=VOCABULARY, disk=disk_of(tmp_path)) as (engine, backend):
        requests = [
            request(str(number), prompt, temperature=1.0) for number, prompt in enumerate(prompts)
        ]
        assert same(run(engine, *requests), computed)
        assert len(backend.named("restore")) == 1


def test_prefixes_are_stored_by_the_content_of_adapters(tmp_path: Path) -> None:
    first, second, copy = (tmp_path / name for name in ("first", "second", "copy"))
    for path, content in ((first, b"one"), (second, b"two"), (copy, b"one")):
        path.write_bytes(content)
    folder, prompts = tmp_path / "cache", [prompt_of(1)]
    assert cached(answers(folder, prompts, adapter=first)) == [0]
    assert cached(answers(folder, prompts, adapter=second)) == [0]
    assert cached(answers(folder, prompts)) == [0]
    for adapter in (first, second, copy, None):
        assert cached(answers(folder, prompts, adapter=adapter)) == [3 * BLOCK_TOKENS]


def test_an_adapter_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with (
        serving(CHAOS, vocabulary=VOCABULARY, disk=disk_of(tmp_path)) as (engine, _),
        pytest.raises(AdapterError, match="cannot read"),
    ):
        engine.load_adapter("route", tmp_path / "absent")


def test_a_damaged_file_only_costs_the_time_of_computing(tmp_path: Path) -> None:
    prompt = prompt_of(1)
    computed = answers(tmp_path, [prompt])
    path = files(tmp_path)[1]
    path.write_bytes(path.read_bytes()[:-1])
    again = answers(tmp_path, [prompt])
    assert same(again, computed) and cached(again) == [BLOCK_TOKENS]
    assert cached(answers(tmp_path, [prompt])) == [3 * BLOCK_TOKENS], "it is stored again"


def test_nothing_is_written_while_a_request_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "IDLE_SECONDS", 0.01)
    inboxes = [Inbox(1) for _ in range(6)]
    with serving(CHAOS, slots=2, vocabulary=VOCABULARY, disk=disk_of(tmp_path)) as (
        engine,
        backend,
    ):
        pause = Pause(backend, "decode")
        for number, inbox in enumerate(inboxes):
            engine.submit(request(str(number), prompt_of(number), max_tokens=9), inbox)
        with pause:
            pass
        for inbox in inboxes:
            inbox.wait()
    names = [call.name for call in backend.calls]
    assert "decode" not in names[names.index("save") :]


def test_a_message_interrupts_the_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "IDLE_SECONDS", 0.01)
    inbox = Inbox(1)
    with serving(CHAOS, vocabulary=VOCABULARY, disk=disk_of(tmp_path)) as (engine, backend):
        pause = Pause(backend, "save")
        run(engine, request("first", prompt_of(1)))
        with pause:
            second_pause = Pause(backend, "decode")
            engine.submit(request("second", prompt_of(2)), inbox)
        with second_pause:
            assert len(backend.named("save")) == 1 and files(tmp_path) == []
        inbox.wait()
    assert len(files(tmp_path)) == 2 * 3, "the rest is stored when the engine is closed"


def test_closing_waits_for_another_engine_that_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BlockFolder(tmp_path, LARGE).writer() as _:
        monkeypatch.setattr(stored_prefixes, "CLOSE_SECONDS", 0.0)
        answers(tmp_path, [prompt_of(1)])
        assert files(tmp_path) == [], "but not for long"
    lock = BlockFolder(tmp_path, LARGE).writer()
    lock.__enter__()
    monkeypatch.setattr(stored_prefixes, "CLOSE_SECONDS", PATIENCE)
    monkeypatch.setattr(stored_prefixes, "sleep", lambda _seconds: lock.__exit__(None, None, None))
    answers(tmp_path, [prompt_of(1)])
    assert len(files(tmp_path)) == 3


@pytest.mark.usefixtures("quiet")
def test_a_prefix_that_the_backend_rejects_is_computed(tmp_path: Path) -> None:
    prompt = prompt_of(1)
    computed = answers(tmp_path, [prompt])
    with serving(CHAOS, vocabulary=VOCABULARY, disk=disk_of(tmp_path)) as (engine, backend):
        Hook(backend, "restore").then = break_down
        again = [run(engine, request(name, prompt, temperature=1.0))[0] for name in ("one", "two")]
        assert same(again, [*computed, *computed])
        assert backend.opens == 2 and len(backend.named("restore")) == 1


@pytest.mark.usefixtures("quiet")
def test_a_backend_that_cannot_save_is_asked_once_and_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "IDLE_SECONDS", 0.01)
    prompts = [prompt_of(number) for number in range(2)]
    computed = answers(None, prompts)
    asked = threading.Event()

    def fail() -> None:
        asked.set()
        break_down()

    with serving(CHAOS, vocabulary=VOCABULARY, disk=disk_of(tmp_path)) as (engine, backend):
        Hook(backend, "save").then = fail
        found = [run(engine, request("0", prompts[0], temperature=1.0))[0]]
        assert asked.wait(PATIENCE)
        found.append(run(engine, request("1", prompts[1], temperature=1.0))[0])
        assert backend.opens == 2
    assert same(found, computed)
    assert len(backend.named("save")) == 1 and files(tmp_path) == []


def test_reports_count_what_was_read_and_written(tmp_path: Path) -> None:
    reports: list[StepReport] = []
    answers(tmp_path, [prompt_of(1)], report=reports.append)
    assert sum(report.disk_tokens for report in reports) == 0
    answers(tmp_path, [prompt_of(1)], report=reports.append)
    assert sum(report.disk_tokens for report in reports) == 3 * BLOCK_TOKENS
    size = files(tmp_path)[0].stat().st_size
    assert sum(report.disk_read_bytes for report in reports) == 3 * size


def test_no_answer_changes_without_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    computed = answers(None, [prompt_of(1)])
    monkeypatch.setattr(ScriptedBackend, "block_format", None)
    assert same(answers(tmp_path, [prompt_of(1)]), computed)
    assert files(tmp_path) == [] and len(caplog.messages) == 1
