"""The scheduler under random arrivals, ends and cancels: a simulator does what its steps say."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.scheduler import Job, Placement, Scheduler, Step
from friendli_endpoint.generation import GenerationRequest
from tests.support.scripted import ScriptedGuide, request

PIECE, FULL_PIECE = 4, 10


class Simulator:
    """Carries out steps, and knows what every slot holds.

    Args:
        slots: How many slots there are.
        lengths: How many tokens each choice of each request generates, by request id.
    """

    def __init__(self, slots: int, lengths: dict[str, list[int]]) -> None:
        self.scheduler = Scheduler(slots, PIECE, FULL_PIECE)
        self.slots = slots
        self.lengths = lengths
        self.running: dict[int, tuple[Job, int]] = {}
        self.left: dict[tuple[str, int], int] = {}
        self.prompt_in: dict[int, tuple[str, int]] = {}
        self.pieces: dict[str, list[tuple[int, int]]] = {}
        self.begun: list[str] = []
        self.started: list[tuple[str, int]] = []
        self.ended: list[tuple[str, int]] = []

    def add(self, name: str, prompt: int) -> None:
        guides = [ScriptedGuide() for _ in self.lengths[name]]
        self.scheduler.add(request(name, range(prompt), *guides))

    def cancel(self, name: str) -> None:
        job = self.scheduler.find(name)
        if job is not None:
            self.running = {s: each for s, each in self.running.items() if each[0] is not job}
            self.scheduler.remove(job)
            assert self.scheduler.find(name) is None

    def step(self) -> Step:
        before = dict(self.running)
        step = self.scheduler.schedule()
        assert sorted(step.decode) == sorted(before), "every running choice decodes, none other"
        for placement in step.placements:
            self._place(placement)
        if step.piece is not None:
            self._prefill(step, bool(before or step.placements))
        used = set(self.running)
        if step.piece is not None:
            assert step.piece.slot not in used
            used.add(step.piece.slot)
        assert len(used) <= self.slots
        for slot in step.decode:
            if slot in self.running:
                self._token(slot)
        return step

    def _place(self, placement: Placement) -> None:
        job, slot = placement.job, placement.slot
        name = job.request.request_id
        assert slot not in self.running
        source = slot if placement.source is None else placement.source
        assert self.prompt_in[source] == (name, len(job.request.prompt))
        self.prompt_in[slot] = self.prompt_in[source]
        self.running[slot] = (job, placement.choice)
        self.started.append((name, placement.choice))
        self.left[name, placement.choice] = self.lengths[name][placement.choice]
        self._token(slot)

    def _prefill(self, step: Step, others: bool) -> None:
        piece = step.piece
        assert piece is not None
        assert piece.slot not in self.running
        name, total = piece.job.request.request_id, len(piece.job.request.prompt)
        size = piece.stop - piece.start
        assert size >= 2 or size == total == 1
        assert size <= (PIECE if others else FULL_PIECE)
        if piece.start == 0:
            self.begun.append(name)
        else:
            assert self.prompt_in[piece.slot] == (name, piece.start)
        self.prompt_in[piece.slot] = (name, piece.stop)
        self.pieces.setdefault(name, []).append((piece.start, piece.stop))

    def _token(self, slot: int) -> None:
        job, choice = self.running[slot]
        name = job.request.request_id
        self.left[name, choice] -= 1
        if self.left[name, choice] == 0:
            del self.running[slot]
            self.ended.append((name, choice))
            self.scheduler.finish(job, choice)


@st.composite
def loads(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, list[int], int | None]]]:
    """Slots, and of each request: arrival, prompt, tokens of its choices, and cancel, in steps."""
    slots = draw(st.integers(1, 4))
    one = st.tuples(
        st.integers(0, 12),
        st.integers(1, 25),
        st.lists(st.integers(1, 6), min_size=1, max_size=6),
        st.one_of(st.none(), st.integers(0, 30)),
    )
    return slots, draw(st.lists(one, min_size=1, max_size=8))


def simulate(
    slots: int, requests: list[tuple[int, int, list[int], int | None]]
) -> tuple[Simulator, set[str]]:
    """Runs a load to its end; answers with what was cancelled, too."""
    lengths = {str(n): each[2] for n, each in enumerate(requests)}
    simulator = Simulator(slots, lengths)
    cancelled: set[str] = set()
    for now in range(2000):
        for number, (arrival, prompt, _, cancel) in enumerate(requests):
            if arrival == now:
                simulator.add(str(number), prompt)
            if cancel is not None and max(cancel, arrival) == now:
                if simulator.scheduler.find(str(number)) is not None:
                    cancelled.add(str(number))
                simulator.cancel(str(number))
        if now > 30 and simulator.scheduler.idle:
            return simulator, cancelled
        simulator.step()
    raise AssertionError("the load did not end")


@settings(max_examples=300, deadline=None)
@given(loads())
def test_every_choice_runs_to_its_end_and_every_slot_is_free_again(
    load: tuple[int, list[tuple[int, int, list[int], int | None]]],
) -> None:
    slots, requests = load
    simulator, cancelled = simulate(slots, requests)
    for number, (_, prompt, lengths, _) in enumerate(requests):
        name = str(number)
        if name in cancelled:
            continue
        choices = [(name, choice) for choice in range(len(lengths))]
        assert [each for each in simulator.started if each[0] == name] == choices
        assert sorted(each for each in simulator.ended if each[0] == name) == choices
        pieces = simulator.pieces[name]
        assert pieces[0][0] == 0 and pieces[-1][1] == prompt
        assert all(stop == start for (_, stop), (start, _) in pairwise(pieces))
    assert simulator.running == {}
    assert simulator.scheduler.jobs() == () and simulator.scheduler.queued == 0
    _holds_all_slots(simulator)


def _holds_all_slots(simulator: Simulator) -> None:
    """A request of as many choices as there are slots has them all at once."""
    simulator.lengths["last"] = [3] * simulator.slots
    simulator.add("last", 2)
    simulator.step()
    step = simulator.step()
    assert sorted(each.slot for each in step.placements) == list(range(simulator.slots))


@settings(max_examples=150, deadline=None)
@given(loads())
def test_first_come_is_first_prefilled(
    load: tuple[int, list[tuple[int, int, list[int], int | None]]],
) -> None:
    slots, requests = load
    simulator, _ = simulate(slots, requests)
    arrivals = [(requests[int(name)][0], int(name)) for name in simulator.begun]
    assert arrivals == sorted(arrivals)
    assert len(set(simulator.begun)) == len(simulator.begun), "no prompt is prefilled twice"


@settings(max_examples=150, deadline=None)
@given(loads())
def test_the_same_load_takes_the_same_steps(
    load: tuple[int, list[tuple[int, int, list[int], int | None]]],
) -> None:
    first, second = simulate(*load)[0], simulate(*load)[0]
    assert (first.started, first.ended, first.pieces) == (
        second.started,
        second.ended,
        second.pieces,
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 60), st.booleans())
def test_pieces_cover_a_prompt_once_and_are_never_of_one_token(prompt: int, others: bool) -> None:
    simulator = Simulator(2, {"other": [1000], "it": [1]})
    if others:
        simulator.add("other", 2)
        simulator.step()
        simulator.step()
    simulator.add("it", prompt)
    while not simulator.pieces.get("it") or simulator.pieces["it"][-1][1] < prompt:
        simulator.step()
    sizes = [stop - start for start, stop in simulator.pieces["it"]]
    assert sum(sizes) == prompt
    assert min(sizes) >= 2 or prompt == 1
    assert max(sizes) <= (PIECE if others else FULL_PIECE)
    # No more pieces than there must be: only the one before a lone last token is shortened.
    bound = PIECE if others else FULL_PIECE
    assert len(sizes) <= -(-prompt // (bound - 1))


def _with(slots: int, *lengths: list[int], prompt: int = 5) -> Simulator:
    simulator = Simulator(slots, {str(n): each for n, each in enumerate(lengths)})
    for number in range(len(lengths)):
        simulator.add(str(number), prompt)
    return simulator


def test_choices_without_a_slot_go_before_later_requests() -> None:
    simulator = _with(2, [1, 2, 1, 1], [1])
    while not simulator.scheduler.idle:
        simulator.step()
    assert simulator.started == [("0", 0), ("0", 1), ("0", 2), ("0", 3), ("1", 0)]
    assert len(simulator.pieces["0"]) == 1


def test_choices_copy_the_prompt_from_a_slot_that_holds_it() -> None:
    simulator = _with(3, [9, 9, 9])
    simulator.step()
    placements = simulator.step().placements
    own = placements[0].slot
    assert [(each.choice, each.source) for each in placements] == [(0, None), (1, own), (2, own)]


def _until(simulator: Simulator, state: str) -> None:
    steps = {"queued": 0, "filling": 2, "filled": 3, "running": 4}[state]
    for _ in range(steps):
        simulator.step()


@pytest.fixture(params=["queued", "filling", "filled", "running"])
def cancelled(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A request of 25 tokens and three choices for two slots, cancelled in some state."""
    simulator = _with(2, [4, 4, 4], prompt=25)
    _until(simulator, request.param)
    simulator.cancel("0")
    yield simulator


def test_a_cancel_frees_everything(cancelled: Simulator) -> None:
    assert cancelled.scheduler.idle
    _holds_all_slots(cancelled)


def test_a_cancelled_request_is_never_heard_of_again(cancelled: Simulator) -> None:
    started, pieces = list(cancelled.started), dict(cancelled.pieces)
    step = cancelled.step()
    assert step == Step((), None, ())
    assert (cancelled.started, cancelled.pieces) == (started, pieces)


@pytest.mark.parametrize(("slots", "piece", "full"), [(0, 4, 8), (1, 2, 8), (1, 4, 3)])
def test_bounds_that_cannot_work_are_refused(slots: int, piece: int, full: int) -> None:
    with pytest.raises(ValueError, match="at least three tokens"):
        Scheduler(slots, piece, full)


def test_queued_counts_what_has_not_begun() -> None:
    simulator = _with(1, [3], [3], [3])
    assert simulator.scheduler.queued == 3
    simulator.step()
    assert simulator.scheduler.queued == 2
    names = [job.request.request_id for job in simulator.scheduler.jobs()]
    assert names == ["0", "1", "2"]
    assert simulator.scheduler.find("3") is None
    assert isinstance(simulator.scheduler.jobs()[0].request, GenerationRequest)
