"""The scheduler under random arrivals, ends and cancels: a simulator does what its steps say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.core.prefix_cache import LEAST_SHARED
from friendli_endpoint.engine.core.scheduler import Placement, PrefillChunk, Scheduler, Step
from friendli_endpoint.engine.core.sequence import Sequence as Choice
from friendli_endpoint.engine.core.sequence import SequenceGroup, Status
from tests.support.scripted import ScriptedGuide, request

CHUNK_TOKENS, IDLE_CHUNK_TOKENS, MIN_CHUNK_TOKENS = 4, 10, 2
SAID = 1000
"""Generated tokens are this and more."""


def pieces(step: Step) -> list[PrefillChunk]:
    return [work for work in step.work if isinstance(work, PrefillChunk)]


def group(name: str, prompt: Sequence[int], choices: int, adapter: str | None) -> SequenceGroup:
    guides = [ScriptedGuide() for _ in range(choices)]
    return SequenceGroup(request(name, prompt, *guides), np.array(prompt, np.int32), adapter)


def placements(step: Step) -> list[Placement]:
    return [work for work in step.work if isinstance(work, Placement)]


class Simulator:
    """Carries out steps, and knows what every slot holds and how it was computed."""

    def __init__(self, slots: int, scale: int = 1) -> None:
        self.token_bytes, self.idle_chunk_tokens = scale * CHUNK_TOKENS, scale * IDLE_CHUNK_TOKENS
        self.min_chunk_tokens = scale * MIN_CHUNK_TOKENS
        self.scheduler = Scheduler(
            slots, self.token_bytes, self.idle_chunk_tokens, self.min_chunk_tokens
        )
        self.slots = slots
        self.held: dict[SlotId, list[tuple[int, object]]] = {
            SlotId(slot): [] for slot in range(slots)
        }
        self.running: dict[SlotId, Choice] = {}
        self.lengths: dict[str, Sequence[int]] = {}
        self.said: dict[tuple[str, int], list[int]] = {}
        self.begun: list[str] = []
        self.computed: dict[str, list[int]] = {}
        self.started: list[tuple[str, int]] = []
        self.ended: list[tuple[str, int]] = []

    def add(
        self, name: str, prompt: Sequence[int], *lengths: int, adapter: str | None = None
    ) -> None:
        """A request whose choices will generate so many tokens each."""
        self.lengths[name] = lengths or (1,)
        self.scheduler.add(group(name, prompt, len(self.lengths[name]), adapter))

    def cancel(self, name: str) -> bool:
        group = self.scheduler.find(name)
        if group is None:
            return False
        self.running = {s: one for s, one in self.running.items() if one.group is not group}
        self.scheduler.remove(group)
        assert all(sequence.status is Status.FINISHED for sequence in group.sequences)
        assert all(sequence.slot is None for sequence in group.sequences)
        assert self.scheduler.find(name) is None
        return True

    def step(self) -> Step:
        ran = dict(self.running)
        step = self.scheduler.schedule()
        room = self.token_bytes if ran else self.idle_chunk_tokens
        assert sum(len(piece.tokens) for piece in pieces(step)) <= room
        for work in step.work:
            if isinstance(work, PrefillChunk):
                self.prefill(work)
            else:
                self._place(work)
        assert sorted(step.decode) == sorted({*ran, *(placed.slot for placed in placements(step))})
        for slot in step.decode:
            if slot in self.running:
                self._token(slot)
        return step

    def until_idle(self, most: int = 3000) -> None:
        for _ in range(most):
            if self.scheduler.idle:
                return
            self.step()
        raise AssertionError("the load did not end")

    def prefill(self, piece: PrefillChunk) -> None:
        assert piece.slot not in self.running, "a running choice would lose what it holds"
        self._keep(piece.slot, piece.source, piece.start)
        held = self.held[piece.slot]
        assert all(how == (piece.adapter, True) for _, how in held), "computed otherwise"
        tokens = piece.tokens.tolist()
        whole = [token for token, _ in held] + tokens
        many = len(tokens) >= self.min_chunk_tokens
        assert many or (piece.last and piece.start == 0)
        held.extend((token, (piece.adapter, many)) for token in tokens)
        if piece.group is None:
            return
        name, prompt = piece.group.request.request_id, piece.group.tokens.tolist()
        assert whole == prompt[: len(whole)] and piece.last == (whole == prompt)
        if name not in self.computed:
            self.begun.append(name)
            assert piece.start == piece.group.cached
        self.computed.setdefault(name, []).append(len(tokens))

    def _place(self, placement: Placement) -> None:
        sequence, slot = placement.sequence, placement.slot
        name, prompt = sequence.group.request.request_id, sequence.group.tokens.tolist()
        assert sequence.status is Status.RUNNING
        assert sequence.slot is not None and sequence.slot.number == slot
        assert slot not in self.running
        self._keep(slot, placement.source, len(prompt))
        assert [token for token, _ in self.held[slot]] == prompt
        self.running[slot] = sequence
        self.started.append((name, sequence.choice))
        self.said[name, sequence.choice] = []
        self._token(slot, fed=False)

    def _keep(self, slot: SlotId, source: SlotId | None, length: int) -> None:
        """Copies what is to be copied, and drops what follows."""
        if source is not None:
            assert source != slot and slot not in self.running
            self.held[slot] = list(self.held[source])
        assert len(self.held[slot]) >= length
        del self.held[slot][length:]

    def _token(self, slot: SlotId, fed: bool = True) -> None:
        sequence = self.running[slot]
        name, choice = sequence.group.request.request_id, sequence.choice
        said = self.said[name, choice]
        if fed:
            self.held[slot].append((said[-1], "alone"))
        said.append(SAID + len(said))
        if len(said) == self.lengths[name][choice]:
            del self.running[slot]
            self.ended.append((name, choice))
            self.scheduler.finish(sequence, said)
            assert sequence.status is Status.FINISHED and sequence.slot is None


@dataclass(frozen=True)
class BodyTimeoutMiddleware:
    """A request of a random load."""

    at: int
    prompt: tuple[int, ...]
    lengths: tuple[int, ...]
    adapter: str | None
    cancel: int | None


def prompts() -> st.SearchStrategy[tuple[int, ...]]:
    """Prompts that often begin batch_invariant_positions, some going on from what others have
    said."""
    parts = [tuple(range(30)), tuple(range(12)), (*range(12), *range(50, 60)), (7, 7, 7)]
    said = tuple(range(SAID, SAID + 6))
    tails = st.lists(st.integers(80, 84), min_size=1, max_size=9).map(tuple)
    return st.builds(
        lambda *parts: sum(parts, ()),
        st.sampled_from([(), *parts]),
        st.sampled_from([(), said]),
        tails,
    )


ARRIVALS = st.builds(
    BodyTimeoutMiddleware,
    at=st.integers(0, 12),
    prompt=prompts(),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=6).map(tuple),
    adapter=st.sampled_from([None, None, "a"]),
    cancel=st.none() | st.integers(0, 30),
)
LOADS = st.tuples(
    st.integers(1, 4), st.lists(ARRIVALS, min_size=1, max_size=8), st.sampled_from([1, 2, 4])
)


def simulate(
    slots: int, arrivals: Sequence[BodyTimeoutMiddleware], scale: int
) -> tuple[Simulator, set[str]]:
    """Runs a load to its end; answers with what was cancelled, too."""
    simulator = Simulator(slots, scale)
    cancelled: set[str] = set()
    for now in range(31):
        for number, arrival in enumerate(arrivals):
            if arrival.at == now:
                adapter = arrival.adapter
                simulator.add(str(number), arrival.prompt, *arrival.lengths, adapter=adapter)
            if arrival.cancel == now and simulator.cancel(str(number)):
                cancelled.add(str(number))
        if simulator.scheduler.idle and (piece := simulator.scheduler.settle()):
            simulator.prefill(piece)
        simulator.step()
    simulator.until_idle()
    return simulator, cancelled


@settings(max_examples=400, deadline=None)
@given(LOADS)
def test_every_choice_runs_to_its_end_and_every_slot_is_free_again(
    load: tuple[int, list[BodyTimeoutMiddleware], int],
) -> None:
    simulator, cancelled = simulate(*load)
    for number, arrival in enumerate(load[1]):
        name = str(number)
        if name in cancelled:
            continue
        choices = [(name, choice) for choice in range(len(arrival.lengths))]
        assert [choice for choice in simulator.started if choice[0] == name] == choices
        assert sorted(choice for choice in simulator.ended if choice[0] == name) == choices
    assert simulator.running == {}
    assert simulator.scheduler.groups() == () == simulator.scheduler.queued
    _has_all_slots(simulator)


def _has_all_slots(simulator: Simulator) -> None:
    """A request of as many choices as there are slots has them all at once."""
    simulator.add("last", [99, 98], *[3] * simulator.slots)
    started = placements(simulator.step())
    assert sorted(placed.slot for placed in started) == list(range(simulator.slots))


@settings(max_examples=150, deadline=None)
@given(LOADS)
def test_first_come_is_first_prefilled(load: tuple[int, list[BodyTimeoutMiddleware], int]) -> None:
    simulator, _ = simulate(*load)
    arrivals = [(load[1][int(name)].at, int(name)) for name in simulator.begun]
    assert arrivals == sorted(arrivals)


@settings(max_examples=150, deadline=None)
@given(LOADS)
def test_the_same_load_takes_the_same_steps(
    load: tuple[int, list[BodyTimeoutMiddleware], int],
) -> None:
    first, second = simulate(*load)[0], simulate(*load)[0]
    assert (first.started, first.ended, first.computed) == (
        second.started,
        second.ended,
        second.computed,
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 60), st.booleans())
def test_pieces_are_few_and_never_of_one_token(prompt: int, others: bool) -> None:
    simulator = Simulator(2)
    if others:
        simulator.add("other", [7, 7], 1000)
        simulator.step()
    simulator.add("it", range(prompt), 1)
    while not simulator.ended:
        simulator.step()
    sizes = simulator.computed["it"]
    assert sum(sizes) == prompt
    # No more pieces than there must be: only the one before a lone last token is shortened.
    assert len(sizes) <= -(-prompt // ((CHUNK_TOKENS if others else IDLE_CHUNK_TOKENS) - 1))


def test_prompts_that_are_short_are_prefilled_together() -> None:
    simulator = Simulator(4)
    scheduler = simulator.scheduler = Scheduler(4, 40, 100)
    for number in range(4):
        simulator.add(str(number), [number] * 30, 5)
    assert [len(piece.tokens) for piece in pieces(scheduler.schedule())] == [30, 30, 30]


def test_what_little_room_is_left_is_kept_for_the_next_step() -> None:
    scheduler = Scheduler(4, 40, 40)
    for number in range(2):
        scheduler.add(group(str(number), [number] * 30, 1, None))
    assert [len(piece.tokens) for piece in pieces(scheduler.schedule())] == [30]
    assert [len(piece.tokens) for piece in pieces(scheduler.schedule())] == [30]


def test_choices_without_a_slot_go_before_later_requests() -> None:
    simulator = Simulator(2)
    simulator.add("0", range(5), 1, 2, 1, 1)
    simulator.add("1", range(5), 1)
    simulator.until_idle()
    assert simulator.started == [("0", 0), ("0", 1), ("0", 2), ("0", 3), ("1", 0)]
    assert simulator.computed["0"] == [5]


def test_choices_copy_the_prompt_from_a_slot_that_holds_it() -> None:
    simulator = Simulator(3)
    simulator.add("0", range(5), 9, 9, 9)
    started = placements(simulator.step())
    assert [placed.sequence.choice for placed in started] == [0, 1, 2]
    assert started[0].source is None
    assert all(placed.source is not None for placed in started[1:])


def test_a_prompt_goes_on_from_what_a_finished_one_has_left() -> None:
    simulator = Simulator(3)
    simulator.add("first", range(9), 2)
    simulator.until_idle()
    simulator.add("next", [*range(9), 50, 51, 52])
    step = simulator.step()
    assert [(piece.start, piece.source) for piece in pieces(step)] == [(9, None)]
    assert pieces(step)[0].slot == 0, "nothing is lost by going on in place"


def test_a_prompt_goes_on_from_a_copy_of_one_that_runs() -> None:
    simulator = Simulator(3)
    simulator.add("first", range(20), 100)
    simulator.step()
    simulator.step()
    simulator.add("next", [*range(15), 50, 51])
    step = simulator.step()
    assert [(piece.start, piece.source, piece.slot != 0) for piece in pieces(step)] == [
        (15, 0, True)
    ]


def test_a_prefix_that_much_would_be_lost_of_is_copied() -> None:
    simulator = Simulator(2)
    simulator.add("first", range(30), 1)
    simulator.until_idle()
    simulator.add("next", [*range(12), 50, 51])
    step = simulator.step()
    assert [(piece.start, piece.source) for piece in pieces(step)] == [(12, 0)]


def test_a_whole_prompt_that_is_held_leaves_two_tokens_to_compute() -> None:
    simulator = Simulator(2)
    for name in ("first", "again"):
        simulator.add(name, range(20), 1)
        simulator.until_idle()
    assert simulator.computed["again"] == [2]


def test_what_was_used_least_recently_leaves_first() -> None:
    simulator = Simulator(2)
    for name, token in (("a", 1), ("b", 2), ("a again", 1), ("c", 3), ("a once more", 1), ("b", 2)):
        simulator.add(name + str(len(simulator.begun)), [token] * 10, 1)
        simulator.until_idle()
    assert [sum(sizes) for sizes in simulator.computed.values()] == [10, 10, 2, 10, 2, 10]


def test_short_prefixes_are_computed_again() -> None:
    simulator = Simulator(2)
    for number in range(2):
        simulator.add(str(number), [*range(LEAST_SHARED - 1), *[90 + number] * 3], 1)
        simulator.until_idle()
    assert simulator.computed["1"] == [LEAST_SHARED + 2]


def test_prefixes_never_cross_adapters() -> None:
    simulator = Simulator(2)
    for name, adapter in (("0", None), ("1", "a"), ("2", "b"), ("3", "b"), ("4", None)):
        simulator.add(name, range(20), 1, adapter=adapter)
        simulator.until_idle()
    assert [sum(sizes) for sizes in simulator.computed.values()] == [20, 20, 20, 2, 20]
    simulator.scheduler.drop("b")
    simulator.add("5", range(20), 1, adapter="b")
    simulator.until_idle()
    assert sum(simulator.computed["5"]) == 20


def test_idle_time_makes_what_was_said_a_prefix() -> None:
    simulator = Simulator(2)
    simulator.add("first", range(10), 9)
    simulator.until_idle()
    sizes = []
    while piece := simulator.scheduler.settle():
        simulator.prefill(piece)
        sizes.append(len(piece.tokens))
    assert sum(sizes) == 8 and max(sizes) <= CHUNK_TOKENS
    simulator.add("next", [*range(10), *range(SAID, SAID + 9), 50, 51], 1)
    simulator.until_idle()
    assert simulator.computed["next"] == [3]


def test_idle_time_does_nothing_for_a_lone_token() -> None:
    simulator = Simulator(2)
    simulator.add("first", range(10), 1)
    simulator.until_idle()
    assert simulator.scheduler.settle() is None


def test_after_a_restart_prompts_begin_anew() -> None:
    simulator = Simulator(2)
    simulator.add("before", range(20), 1)
    simulator.until_idle()
    simulator.add("filling", [*range(20), *range(60, 90)], 1)
    simulator.scheduler.schedule()
    group = simulator.scheduler.find("filling")
    assert group is not None and group.cached == 20
    simulator.scheduler.restart()
    assert group.first.status is Status.WAITING and group.first.slot is None
    simulator.until_idle()
    assert (group.cached, group.tries) == (0, 2)
    assert sum(simulator.computed["filling"]) == 50


@pytest.fixture(params=[0, 1, 3, 5], ids=["queued", "filling", "running", "waiting"])
def cancelled(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A request of 25 tokens and three choices for two slots, cancelled in some state."""
    simulator = Simulator(2)
    simulator.add("0", range(25), 4, 4, 4)
    for _ in range(request.param):
        simulator.step()
    simulator.cancel("0")
    yield simulator


def test_a_cancel_frees_everything(cancelled: Simulator) -> None:
    assert cancelled.scheduler.idle
    _has_all_slots(cancelled)


def test_a_cancelled_request_is_never_heard_of_again(cancelled: Simulator) -> None:
    started, computed = list(cancelled.started), dict(cancelled.computed)
    assert cancelled.step() == Step((), ())
    assert (cancelled.started, cancelled.computed) == (started, computed)


def test_what_a_cancelled_prefill_has_computed_is_kept() -> None:
    simulator = Simulator(1)
    simulator.add("0", range(25), 1)
    simulator.step()
    simulator.cancel("0")
    assert simulator.scheduler.settle() is None, "nobody asked for the rest"
    simulator.add("1", range(25), 1)
    simulator.until_idle()
    assert sum(simulator.computed["1"]) == 25 - IDLE_CHUNK_TOKENS


@pytest.mark.parametrize(("slots", "piece", "full"), [(0, 4, 8), (1, 2, 8), (1, 4, 3)])
def test_bounds_that_cannot_work_are_refused(slots: int, piece: int, full: int) -> None:
    with pytest.raises(ValueError, match="room for nearly two"):
        Scheduler(slots, piece, full)


def test_queued_is_what_has_not_begun() -> None:
    simulator = Simulator(1)
    for number in range(3):
        simulator.add(str(number), range(5), 3)
    assert len(simulator.scheduler.queued) == 3
    simulator.step()
    assert [group.request.request_id for group in simulator.scheduler.queued] == ["1", "2"]
    assert [group.request.request_id for group in simulator.scheduler.groups()] == ["0", "1", "2"]
    assert simulator.scheduler.find("3") is None
    assert np.array_equal(simulator.scheduler.groups()[0].tokens, np.arange(5))


def test_held_tokens_are_those_in_the_cache() -> None:
    simulator = Simulator(2)
    assert simulator.scheduler.held_tokens == 0
    simulator.add("0", range(9), 1)
    simulator.until_idle()
    assert simulator.scheduler.held_tokens == 9
