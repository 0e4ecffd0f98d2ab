"""A whole run, on servers that are only a name and workloads that are not played."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.bench import session
from friendli_endpoint.bench.rounds import Measured
from friendli_endpoint.bench.servers import Capacity, Server
from friendli_endpoint.bench.session import Plan, run
from friendli_endpoint.bench.wire import Address, BenchError
from friendli_endpoint.bench.workload import Shape, Workload
from friendli_endpoint.bench.workloads import WORKLOADS
from tests.bench.measured import samples

MODEL, PEER_MODEL = Path("own.gguf"), Path("peer.gguf")


def plan(*addresses: str, **changes: Any) -> Plan:
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
        "capacity": Capacity(1, 256, 1),
        "end_tokens": (0, 2),
    }
    return Plan(**made | changes)


class Started(Server):
    """A server of which only its memory is known."""

    def peak_memory(self) -> int | None:
        return len(self.name)


class Rehearsal:
    """What happens in a run.

    Attributes:
        events: Servers that start and end, and workloads on servers, in order.
        warmed: Servers that were warmed up.
        fault: Name of the workload that fails.
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
    def ours(self, model: Path, _capacity: Capacity, flags: Sequence[str]) -> Iterator[Server]:
        with self._server(" ".join(["ours", model.stem, *flags]), "friendli") as server:
            yield server

    @contextmanager
    def peer(self, name: str, model: Path, _capacity: Capacity) -> Iterator[Server]:
        with self._server(f"{name} {model.stem}", "llama.cpp") as server:
            yield server

    @contextmanager
    def _server(self, name: str, dialect: str) -> Iterator[Server]:
        self.events.append(f"start {name}")
        try:
            yield Started(name, f"http://{name}/", dialect, 7)
        finally:
            self.events.append(f"end {name}")

    def warm_up(self, address: Address, _seed: str) -> Shape:
        self.warmed.append(address)
        return Shape(len(self.warmed), 1.0)

    def measure(
        self,
        workload: Workload,
        addresses: Sequence[Address],
        _rounds: int,
        _seed: str,
        shape: Shape,
        _tell: Any,
    ) -> Measured:
        names = [address.name for address in addresses]
        self.events.append(f"{workload.name} on {', '.join(names)}")
        assert shape.overhead == 1 or workload.name not in WORKLOADS, "the first one's shape"
        if self.fault == workload.name:
            raise BenchError("no shape")
        return Measured(workload, {name: samples(1) for name in names})


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    return Rehearsal(monkeypatch)


def test_servers_that_are_started_are_measured_first_and_stopped(rehearsal: Rehearsal) -> None:
    said: list[str] = []
    report = run(plan("h:1", ours=True, peers=["llama.cpp"], serve_flags=("--x",)), said.append)
    assert rehearsal.events == [
        "start ours own --x",
        "start llama.cpp peer",
        "single on ours own --x, llama.cpp peer, h:1",
        "end llama.cpp peer",
        "end ours own --x",
    ]
    assert said == ["started ours own --x", "started llama.cpp peer"]
    assert [address.name for address in rehearsal.warmed] == [
        "ours own --x",
        "llama.cpp peer",
        "h:1",
    ]
    assert [address.end_tokens for address in rehearsal.warmed] == [(0, 2), (0, 2), ()]
    assert [address.process for address in rehearsal.warmed] == [7, 7, None]
    assert report.memory == {"ours own --x": 12, "llama.cpp peer": 14}
    assert report.rounds == 2
    assert [measured.workload.name for measured in report.measured] == ["single"]


def test_servers_are_stopped_where_a_run_fails(rehearsal: Rehearsal) -> None:
    rehearsal.fault = "single"
    with pytest.raises(BenchError, match="no shape"):
        run(plan("h:1", ours=True), lambda _line: None)
    assert rehearsal.events == ["start ours own", "single on ours own, h:1", "end ours own"]


@pytest.mark.parametrize(
    ("peers", "variants"),
    [([], []), (["llama.cpp"], ["llama.cpp-no-flash"]), (["llama.cpp", "llama.cpp-no-flash"], [])],
    ids=["no peer", "one more", "all named"],
)
def test_a_variant_is_started_for_its_workload_alone_where_there_is_a_peer(
    rehearsal: Rehearsal, peers: list[str], variants: list[str]
) -> None:
    varied = next(workload for workload in WORKLOADS.values() if workload.variants)
    run(plan("h:1", peers=peers, workloads=[WORKLOADS["single"], varied]), lambda _line: None)
    names = [*(f"{name} peer" for name in peers), "h:1"]
    more = [f"{name} peer" for name in variants]
    begin = len(peers)
    assert rehearsal.events[begin : len(rehearsal.events) - len(peers)] == [
        f"single on {', '.join(names)}",
        *(f"start {name}" for name in more),
        f"{varied.name} on {', '.join([*names, *more])}",
        *(f"end {name}" for name in more),
    ]


def test_every_vocabulary_has_servers_of_its_own(rehearsal: Rehearsal) -> None:
    files = [(100, Path("small.gguf")), (200, Path("large.gguf"))]
    report = run(
        plan("h:1", ours=True, peers=["llama.cpp"], workloads=[], vocabularies=files),
        lambda _line: None,
    )
    begin = [event for event in rehearsal.events if event.startswith("start ")]
    assert begin[2:] == [
        "start ours small",
        "start llama.cpp small",
        "start ours large",
        "start llama.cpp large",
    ]
    measured = [event for event in rehearsal.events if " on " in event]
    assert [event.partition(" on ")[2] for event in measured] == [
        "ours small, llama.cpp small",
        "ours large, llama.cpp large",
    ]
    assert set(report.memory) == {"ours own", "llama.cpp peer"}, "of the model alone"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (plan(), "there is nothing to measure"),
        (plan("h:1", "h:1"), "h:1 is named twice"),
        (plan("llama.cpp", peers=["llama.cpp"]), "llama.cpp is named twice"),
        (plan("h:1", vocabularies=[(1, MODEL)]), "--vocabulary needs a server"),
    ],
)
def test_a_plan_that_comes_to_nothing_starts_nothing(
    rehearsal: Rehearsal, made: Plan, said: str
) -> None:
    with pytest.raises(BenchError, match=said):
        run(made, lambda _line: None)
    assert (rehearsal.events, rehearsal.warmed) == ([], [])
