"""Whole benchmark runs, with simulated servers and workloads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.bench import session
from friendli_endpoint.bench.rounds import Measurement
from friendli_endpoint.bench.servers import Server, ServerCapacity
from friendli_endpoint.bench.session import BenchPlan, run
from friendli_endpoint.bench.wire import Address, BenchError
from friendli_endpoint.bench.workload import PromptShape, Workload
from friendli_endpoint.bench.workloads import WORKLOADS
from tests.bench.reports import samples

MODEL, PEER_MODEL = Path("own.gguf"), Path("peer.gguf")


def plan(*addresses: str, **changes: Any) -> BenchPlan:
    made: dict[str, Any] = {
        "addresses": [Address(name, f"http://{name}/", "openai") for name in addresses],
        "ours": False,
        "peers": [],
        "model": MODEL,
        "peer_model": PEER_MODEL,
        "serve_flags": (),
        "vocabularies": [],
        "workloads": [WORKLOADS["single"]],
        "rounds": 2,
        "capacity": ServerCapacity(1, 256, 1),
        "end_tokens": (0, 2),
    }
    return BenchPlan(**made | changes)


class FakeServer(Server):
    """A server whose peak memory is the length of its name."""

    def peak_memory(self) -> int | None:
        return len(self.name)


class FakeRun:
    """Fake servers and measurements of a run, and a log of its events.

    Attributes:
        events: Starts and ends of servers, and measured workloads, in order.
        warmed: Servers that were warmed up.
        fault: Name of the workload that fails, or None.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.warmed: list[Address] = []
        self.fault: str | None = None
        monkeypatch.setattr(session, "ours", self.ours)
        monkeypatch.setattr(session, "peer", self.peer)
        monkeypatch.setattr(session, "warm_up", self.warm_up)
        monkeypatch.setattr(session, "measure", self.measure)

    @contextmanager
    def ours(
        self, model: Path, _capacity: ServerCapacity, flags: Sequence[str]
    ) -> Iterator[Server]:
        with self._server(" ".join(["ours", model.stem, *flags]), "friendli") as server:
            yield server

    @contextmanager
    def peer(self, name: str, model: Path, _capacity: ServerCapacity) -> Iterator[Server]:
        with self._server(f"{name} {model.stem}", "llama.cpp") as server:
            yield server

    @contextmanager
    def _server(self, name: str, dialect: str) -> Iterator[Server]:
        self.events.append(f"start {name}")
        try:
            yield FakeServer(name, f"http://{name}/", dialect, 7)
        finally:
            self.events.append(f"end {name}")

    def warm_up(self, address: Address, _seed: str) -> PromptShape:
        self.warmed.append(address)
        return PromptShape(len(self.warmed), 1.0)

    def measure(
        self,
        workload: Workload,
        addresses: Sequence[Address],
        _rounds: int,
        _seed: str,
        shape: PromptShape,
        _tell: Any,
    ) -> Measurement:
        names = [address.name for address in addresses]
        self.events.append(f"{workload.name} on {', '.join(names)}")
        assert shape.overhead == 1 or workload.name not in WORKLOADS, "the first one's shape"
        if self.fault == workload.name:
            raise BenchError("no shape")
        return Measurement(workload, {name: samples(1) for name in names})


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    return FakeRun(monkeypatch)


def test_started_servers_are_measured_before_addresses_and_stopped(fake_run: FakeRun) -> None:
    lines: list[str] = []
    report = run(plan("h:1", ours=True, peers=["llama.cpp"], serve_flags=("--x",)), lines.append)
    assert fake_run.events == [
        "start ours own --x",
        "start llama.cpp peer",
        "single on ours own --x, llama.cpp peer, h:1",
        "end llama.cpp peer",
        "end ours own --x",
    ]
    assert lines == ["started ours own --x", "started llama.cpp peer"]
    assert [address.name for address in fake_run.warmed] == [
        "ours own --x",
        "llama.cpp peer",
        "h:1",
    ]
    assert [address.end_tokens for address in fake_run.warmed] == [(0, 2), (0, 2), ()]
    assert [address.process_id for address in fake_run.warmed] == [7, 7, None]
    assert report.memory == {"ours own --x": 12, "llama.cpp peer": 14}
    assert report.rounds == 2
    assert [measured.workload.name for measured in report.measured] == ["single"]


def test_servers_are_stopped_if_a_run_fails(fake_run: FakeRun) -> None:
    fake_run.fault = "single"
    with pytest.raises(BenchError, match="no shape"):
        run(plan("h:1", ours=True), lambda _line: None)
    assert fake_run.events == ["start ours own", "single on ours own, h:1", "end ours own"]


@pytest.mark.parametrize(
    ("peers", "variants"),
    [([], []), (["llama.cpp"], ["llama.cpp-no-flash"]), (["llama.cpp", "llama.cpp-no-flash"], [])],
    ids=["no peer", "one more", "all named"],
)
def test_a_variant_is_started_only_for_its_workload_and_only_with_a_peer(
    fake_run: FakeRun, peers: list[str], variants: list[str]
) -> None:
    varied = next(workload for workload in WORKLOADS.values() if workload.variants)
    run(plan("h:1", peers=peers, workloads=[WORKLOADS["single"], varied]), lambda _line: None)
    names = [*(f"{name} peer" for name in peers), "h:1"]
    more = [f"{name} peer" for name in variants]
    begin = len(peers)
    assert fake_run.events[begin : len(fake_run.events) - len(peers)] == [
        f"single on {', '.join(names)}",
        *(f"start {name}" for name in more),
        f"{varied.name} on {', '.join([*names, *more])}",
        *(f"end {name}" for name in more),
    ]


def test_servers_are_started_for_each_vocabulary(fake_run: FakeRun) -> None:
    files = [(100, Path("small.gguf")), (200, Path("large.gguf"))]
    report = run(
        plan("h:1", ours=True, peers=["llama.cpp"], workloads=[], vocabularies=files),
        lambda _line: None,
    )
    begin = [event for event in fake_run.events if event.startswith("start ")]
    assert begin[2:] == [
        "start ours small",
        "start llama.cpp small",
        "start ours large",
        "start llama.cpp large",
    ]
    measured = [event for event in fake_run.events if " on " in event]
    assert [event.partition(" on ")[2] for event in measured] == [
        "ours small, llama.cpp small",
        "ours large, llama.cpp large",
    ]
    assert set(report.memory) == {"ours own", "llama.cpp peer"}, "not of the vocabularies' servers"


@pytest.mark.parametrize(
    ("invalid_plan", "message"),
    [
        (plan(), "there is nothing to measure"),
        (plan("h:1", "h:1"), "h:1 is given twice"),
        (plan("llama.cpp", peers=["llama.cpp"]), "llama.cpp is given twice"),
        (plan("h:1", vocabularies=[(1, MODEL)]), "--vocabulary needs a server"),
    ],
)
def test_an_invalid_plan_is_rejected_before_servers_start(
    fake_run: FakeRun, invalid_plan: BenchPlan, message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        run(invalid_plan, lambda _line: None)
    assert (fake_run.events, fake_run.warmed) == ([], [])
