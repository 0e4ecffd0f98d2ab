"""The scheduler under random arrivals, ends and cancels; a simulator executes its steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.core.chunking import ChunkPolicy
from friendli_endpoint.engine.core.prefix_cache import MIN_CACHED
from friendli_endpoint.engine.core.scheduler import Placement, PrefillChunk, Scheduler, Step
from friendli_endpoint.engine.core.sequence import Sequence as Choice
from friendli_endpoint.engine.core.sequence import SequenceGroup, Status
from tests.support.scripted import ScriptedGuide, request

STEP_TOKENS, MAX_CHUNK_TOKENS, MIN_CHUNK_TOKENS = 4, 10, 2
OUTPUT = 1000
"""First of the generated tokens, which count up."""


def chunks(step: Step) -> list[PrefillChunk]:
    return [work for work in step.work if isinstance(work, PrefillChunk)]


def group(
    name: str, prompt: Sequence[int], choices: int, adapter: str | None, resumed: bool = False
) -> SequenceGroup:
    guides = [ScriptedGuide() for _ in range(choices)]
    asked = replace(request(name, prompt, *guides), resumed=resumed)
    return SequenceGroup(asked, np.array(prompt, np.int32), adapter)


def placements(step: Step) -> list[Placement]:
    return [work for work in step.work if isinstance(work, Placement)]


class Simulator:
    """Executes steps, and records the tokens of every slot and how they were computed."""

    def __init__(self, slots: int, scale: int = 1, min_chunk_tokens: int | None = None) -> None:
        self.step_tokens, self.max_chunk_tokens = scale * STEP_TOKENS, scale * MAX_CHUNK_TOKENS
        self.min_chunk_tokens = min_chunk_tokens or scale * MIN_CHUNK_TOKENS
        self.policy = ChunkPolicy(
            self.step_tokens, self.max_chunk_tokens, 2 * self.min_chunk_tokens - 1
        )
        self.behind = 0
        self.scheduler = Scheduler(
            slots, self.step_tokens, self.max_chunk_tokens, self.min_chunk_tokens
        )
        self.slots = slots
        self.contents: dict[SlotId, list[tuple[int, object]]] = {
            SlotId(slot): [] for slot in range(slots)
        }
        self.running: dict[SlotId, Choice] = {}
        self.lengths: dict[str, Sequence[int]] = {}
        self.outputs: dict[tuple[str, int], list[int]] = {}
        self.begun: list[str] = []
        self.computed: dict[str, list[int]] = {}
        self.started: list[tuple[str, int]] = []
        self.ended: list[tuple[str, int]] = []

    def add(
        self,
        name: str,
        prompt: Sequence[int],
        *lengths: int,
        adapter: str | None = None,
        resumed: bool = False,
    ) -> None:
        """Adds a request, with the number of tokens that each choice will generate."""
        self.lengths[name] = lengths or (1,)
        self.scheduler.add(group(name, prompt, len(self.lengths[name]), adapter, resumed))

    def cancel(self, name: str) -> bool:
        group = self.scheduler.find(name)
        if group is None:
            return False
        self.running = {
            slot: choice for slot, choice in self.running.items() if choice.group is not group
        }
        self.scheduler.remove(group)
        assert all(sequence.status is Status.FINISHED for sequence in group.sequences)
        assert all(sequence.slot is None for sequence in group.sequences)
        assert self.scheduler.find(name) is None
        return True

    def step(self) -> Step:
        before = dict(self.running)
        step = self.scheduler.schedule()
        prefilled = sum(len(chunk.tokens) for chunk in chunks(step))
        assert prefilled <= self.policy.limit(len(before), self.behind)
        self.behind = self.behind + prefilled + len(step.decode) if prefilled else 0
        for work in step.work:
            if isinstance(work, PrefillChunk):
                self.prefill(work)
            else:
                self._place(work)
        assert sorted(step.decode) == sorted(
            {*before, *(placed.slot for placed in placements(step))}
        )
        for slot in step.decode:
            if slot in self.running:
                self._token(slot)
        return step

    def until_idle(self, max_steps: int = 3000) -> None:
        for _ in range(max_steps):
            if self.scheduler.idle:
                return
            self.step()
        raise AssertionError("the load did not end")

    def prefill(self, chunk: PrefillChunk) -> None:
        assert chunk.slot not in self.running, "a running choice would lose its tokens"
        self._keep(chunk.slot, chunk.source, chunk.start)
        contents = self.contents[chunk.slot]
        assert all(how == (chunk.adapter, True) for _, how in contents), "computed otherwise"
        tokens = chunk.tokens.tolist()
        whole = [token for token, _ in contents] + tokens
        is_large = len(tokens) >= self.min_chunk_tokens
        assert is_large or (chunk.is_last and chunk.start == 0)
        contents.extend((token, (chunk.adapter, is_large)) for token in tokens)
        if chunk.group is None:
            return
        name, prompt = chunk.group.request.request_id, chunk.group.tokens.tolist()
        assert whole == prompt[: len(whole)] and chunk.is_last == (whole == prompt)
        if name not in self.computed:
            self.begun.append(name)
            assert chunk.start == chunk.group.num_cached_tokens
        self.computed.setdefault(name, []).append(len(tokens))

    def _place(self, placement: Placement) -> None:
        sequence, slot = placement.sequence, placement.slot
        name, prompt = sequence.group.request.request_id, sequence.group.tokens.tolist()
        assert sequence.status is Status.RUNNING
        assert sequence.slot is not None and sequence.slot.number == slot
        assert slot not in self.running
        self._keep(slot, placement.source, len(prompt))
        assert [token for token, _ in self.contents[slot]] == prompt
        self.running[slot] = sequence
        self.started.append((name, sequence.choice))
        self.outputs[name, sequence.choice] = []
        self._token(slot, decode=False)

    def _keep(self, slot: SlotId, source: SlotId | None, length: int) -> None:
        """Copies a slot if there is a source, and truncates it."""
        if source is not None:
            assert source != slot and slot not in self.running
            self.contents[slot] = list(self.contents[source])
        assert len(self.contents[slot]) >= length
        del self.contents[slot][length:]

    def _token(self, slot: SlotId, decode: bool = True) -> None:
        """Generates a token, after decoding the last one unless the sequence has just started."""
        sequence = self.running[slot]
        name, choice = sequence.group.request.request_id, sequence.choice
        output = self.outputs[name, choice]
        if decode:
            self.contents[slot].append((output[-1], "alone"))
        output.append(OUTPUT + len(output))
        if len(output) == self.lengths[name][choice]:
            del self.running[slot]
            self.ended.append((name, choice))
            self.scheduler.finish(sequence, output)
            assert sequence.status is Status.FINISHED and sequence.slot is None


@dataclass(frozen=True)
class Arrival:
    """Request of a random load.

    Attributes:
        step: Step before which the request arrives.
        prompt: Its prompt.
        lengths: Number of tokens that each choice generates.
        adapter: Its adapter.
        cancel: Step before which the request is cancelled, if ever.
    """

    step: int
    prompt: tuple[int, ...]
    lengths: tuple[int, ...]
    adapter: str | None
    cancel: int | None


def prompts() -> st.SearchStrategy[tuple[int, ...]]:
    """Generates prompts that often share a prefix, sometimes with the output of another one."""
    parts = [tuple(range(30)), tuple(range(12)), (*range(12), *range(50, 60)), (7, 7, 7)]
    output = tuple(range(OUTPUT, OUTPUT + 6))
    tails = st.lists(st.integers(80, 84), min_size=1, max_size=9).map(tuple)
    return st.builds(
        lambda *parts: sum(parts, ()),
        st.sampled_from([(), *parts]),
        st.sampled_from([(), output]),
        tails,
    )


ARRIVALS = st.builds(
    Arrival,
    step=st.integers(0, 12),
    prompt=prompts(),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=6).map(tuple),
    adapter=st.sampled_from([None, None, "a"]),
    cancel=st.none() | st.integers(0, 30),
)
LOADS = st.tuples(
    st.integers(1, 4), st.lists(ARRIVALS, min_size=1, max_size=8), st.sampled_from([1, 2, 4])
)


def simulate(slots: int, arrivals: Sequence[Arrival], scale: int) -> tuple[Simulator, set[str]]:
    """Runs a load to its end; also returns the names of cancelled requests."""
    simulator = Simulator(slots, scale)
    cancelled: set[str] = set()
    for now in range(31):
        for number, arrival in enumerate(arrivals):
            if arrival.step == now:
                adapter = arrival.adapter
                simulator.add(str(number), arrival.prompt, *arrival.lengths, adapter=adapter)
            if arrival.cancel == now and simulator.cancel(str(number)):
                cancelled.add(str(number))
        if simulator.scheduler.idle and (chunk := simulator.scheduler.schedule_idle()):
            simulator.prefill(chunk)
        simulator.step()
    simulator.until_idle()
    return simulator, cancelled


@settings(max_examples=400, deadline=None)
@given(LOADS)
def test_every_choice_finishes_and_every_slot_is_free_again(
    load: tuple[int, list[Arrival], int],
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
    _check_all_slots_are_free(simulator)


def _check_all_slots_are_free(simulator: Simulator) -> None:
    """Checks that a request with as many choices as slots starts all of them at once."""
    simulator.add("last", [99, 98], *[3] * simulator.slots)
    started = placements(simulator.step())
    assert sorted(placed.slot for placed in started) == list(range(simulator.slots))


@settings(max_examples=150, deadline=None)
@given(LOADS)
def test_requests_are_prefilled_in_the_order_of_arrival(
    load: tuple[int, list[Arrival], int],
) -> None:
    simulator, _ = simulate(*load)
    arrivals = [(load[1][int(name)].step, int(name)) for name in simulator.begun]
    assert arrivals == sorted(arrivals)


@settings(max_examples=150, deadline=None)
@given(LOADS)
def test_the_schedule_is_deterministic(
    load: tuple[int, list[Arrival], int],
) -> None:
    first, second = simulate(*load)[0], simulate(*load)[0]
    assert (first.started, first.ended, first.computed) == (
        second.started,
        second.ended,
        second.computed,
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 60), st.booleans())
def test_chunks_are_few_and_never_of_one_token(prompt: int, others: bool) -> None:
    simulator = Simulator(2)
    if others:
        simulator.add("other", [7, 7], 1000)
        simulator.step()
    simulator.add("prompt", range(prompt), 1)
    while not simulator.ended:
        simulator.step()
    sizes = simulator.computed["prompt"]
    assert sum(sizes) == prompt
    # As few chunks as possible: only the one before a single last token is shortened.
    assert len(sizes) <= -(-prompt // ((STEP_TOKENS if others else MAX_CHUNK_TOKENS) - 1))


def chunks_beside(num_running: int, prompt: int) -> list[int]:
    """Returns the chunk sizes of a long prompt that begins while choices are running."""
    simulator = Simulator(num_running + 1, scale=8, min_chunk_tokens=2)
    for number in range(num_running):
        simulator.add(f"running {number}", [number] * 9, 10_000)
    while len(simulator.running) < num_running:
        simulator.step()
    simulator.step()
    simulator.add("prompt", range(prompt), 1)
    sizes = []
    while not simulator.computed.get("prompt") or sum(simulator.computed["prompt"]) < prompt:
        step = simulator.step()
        assert len(step.decode) >= num_running, "no choice waits for more than one chunk"
        sizes.append(sum(len(chunk.tokens) for chunk in chunks(step)))
    return sizes


def test_more_running_choices_make_smaller_chunks() -> None:
    assert [chunks_beside(count, 300)[0] for count in (1, 4, 8, 20)] == [31, 28, 24, 16]


@pytest.mark.parametrize("num_running", [1, 8])
def test_chunks_of_a_prompt_that_takes_long_grow(num_running: int) -> None:
    sizes = chunks_beside(num_running, 5000)[:-2]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (32 - num_running, 64)


def test_chunks_are_small_again_after_a_step_without_prompts() -> None:
    simulator = Simulator(2, scale=8, min_chunk_tokens=2)
    simulator.add("running", [1] * 9, 10_000)
    simulator.step()
    for name, token in (("first", 2), ("second", 3)):
        simulator.add(name, [token] * 5000, 1)
        while (name, 0) not in simulator.ended:
            simulator.step()
        simulator.step()
    first, second = simulator.computed["first"], simulator.computed["second"]
    assert first == second and (first[0], max(first)) == (31, 64)


def test_chunks_do_not_grow_while_prompts_wait_for_a_slot() -> None:
    """They would not start sooner, and the running choices would wait longer."""
    simulator = Simulator(2, scale=8)
    for number in range(60):
        simulator.add(str(number), [number] * 50, 30)
    while not simulator.scheduler.idle:
        num_running = len(simulator.running)
        step = simulator.step()
        if num_running:
            assert sum(len(chunk.tokens) for chunk in chunks(step)) <= simulator.step_tokens


def test_short_prompts_are_prefilled_in_one_step() -> None:
    simulator = Simulator(4)
    scheduler = simulator.scheduler = Scheduler(4, 40, 100)
    for number in range(4):
        simulator.add(str(number), [number] * 30, 5)
    assert [len(chunk.tokens) for chunk in chunks(scheduler.schedule())] == [30, 30, 30]


def test_a_prompt_does_not_begin_with_a_small_remaining_budget() -> None:
    scheduler = Scheduler(4, 40, 40)
    for number in range(2):
        scheduler.add(group(str(number), [number] * 30, 1, None))
    assert [len(chunk.tokens) for chunk in chunks(scheduler.schedule())] == [30]
    assert [len(chunk.tokens) for chunk in chunks(scheduler.schedule())] == [30]


def test_choices_without_a_slot_start_before_later_requests() -> None:
    simulator = Simulator(2)
    simulator.add("0", range(5), 1, 2, 1, 1)
    simulator.add("1", range(5), 1)
    simulator.until_idle()
    assert simulator.started == [("0", 0), ("0", 1), ("0", 2), ("0", 3), ("1", 0)]
    assert simulator.computed["0"] == [5]


def test_choices_copy_the_prompt_from_another_slot() -> None:
    simulator = Simulator(3)
    simulator.add("0", range(5), 9, 9, 9)
    started = placements(simulator.step())
    assert [placed.sequence.choice for placed in started] == [0, 1, 2]
    assert started[0].source is None
    assert all(placed.source is not None for placed in started[1:])


def test_a_prompt_continues_a_cached_prefix_in_place() -> None:
    simulator = Simulator(3)
    simulator.add("first", range(9), 2)
    simulator.until_idle()
    simulator.add("next", [*range(9), 50, 51, 52])
    step = simulator.step()
    assert [(chunk.start, chunk.source) for chunk in chunks(step)] == [(9, None)]
    assert chunks(step)[0].slot == 0, "nothing is lost by continuing in place"


def test_a_prompt_continues_a_copy_of_a_running_sequence() -> None:
    simulator = Simulator(3)
    simulator.add("first", range(20), 100)
    simulator.step()
    simulator.step()
    simulator.add("next", [*range(15), 50, 51])
    step = simulator.step()
    assert [(chunk.start, chunk.source, chunk.slot != 0) for chunk in chunks(step)] == [
        (15, 0, True)
    ]


def test_a_short_prefix_of_a_long_sequence_is_copied() -> None:
    simulator = Simulator(2)
    simulator.add("first", range(30), 1)
    simulator.until_idle()
    simulator.add("next", [*range(12), 50, 51])
    step = simulator.step()
    assert [(chunk.start, chunk.source) for chunk in chunks(step)] == [(12, 0)]


def test_of_a_cached_prompt_two_tokens_are_computed() -> None:
    simulator = Simulator(2)
    for name in ("first", "again"):
        simulator.add(name, range(20), 1)
        simulator.until_idle()
    assert simulator.computed["again"] == [2]


def test_the_least_recently_used_slot_is_reused_first() -> None:
    simulator = Simulator(2)
    for name, token in (("a", 1), ("b", 2), ("a again", 1), ("c", 3), ("a once more", 1), ("b", 2)):
        simulator.add(name + str(len(simulator.begun)), [token] * 10, 1)
        simulator.until_idle()
    assert [sum(sizes) for sizes in simulator.computed.values()] == [10, 10, 2, 10, 2, 10]


def test_a_prefix_below_the_minimum_is_computed_again() -> None:
    simulator = Simulator(2)
    for number in range(2):
        simulator.add(str(number), [*range(MIN_CACHED - 1), *[90 + number] * 3], 1)
        simulator.until_idle()
    assert simulator.computed["1"] == [MIN_CACHED + 2]


def test_a_cached_prefix_is_used_with_its_adapter_only() -> None:
    simulator = Simulator(2)
    for name, adapter in (("0", None), ("1", "a"), ("2", "b"), ("3", "b"), ("4", None)):
        simulator.add(name, range(20), 1, adapter=adapter)
        simulator.until_idle()
    assert [sum(sizes) for sizes in simulator.computed.values()] == [20, 20, 20, 2, 20]
    simulator.scheduler.drop_adapter("b")
    simulator.add("5", range(20), 1, adapter="b")
    simulator.until_idle()
    assert sum(simulator.computed["5"]) == 20


def test_output_becomes_a_cached_prefix_in_idle_time() -> None:
    simulator = Simulator(2)
    simulator.add("first", range(10), 9)
    simulator.until_idle()
    sizes = []
    while chunk := simulator.scheduler.schedule_idle():
        simulator.prefill(chunk)
        sizes.append(len(chunk.tokens))
    assert sum(sizes) == 8 and max(sizes) <= STEP_TOKENS
    simulator.add("next", [*range(10), *range(OUTPUT, OUTPUT + 9), 50, 51], 1)
    simulator.until_idle()
    assert simulator.computed["next"] == [3]


def test_an_output_of_one_token_is_not_prefilled_in_idle_time() -> None:
    simulator = Simulator(2)
    simulator.add("first", range(10), 1)
    simulator.until_idle()
    assert simulator.scheduler.schedule_idle() is None


@given(st.lists(st.booleans(), max_size=8), st.booleans())
def test_resumed_requests_are_served_first_in_the_order_of_their_arrival(
    resumed: list[bool], restarted: bool
) -> None:
    simulator = Simulator(1)
    simulator.add("running", range(5), 3, resumed=True)
    simulator.step()
    for number, is_resumed in enumerate(resumed):
        simulator.add(str(number), range(5), 1, resumed=is_resumed)
    expected = sorted(range(len(resumed)), key=lambda number: not resumed[number])
    queued = [group.request.request_id for group in simulator.scheduler.queued]
    assert queued == [str(number) for number in expected]
    if restarted:
        simulator.cancel("running")
        simulator.scheduler.restart()
    simulator.until_idle()
    assert simulator.begun == ["running", *map(str, expected)]


def test_prompts_are_prefilled_again_after_a_restart() -> None:
    simulator = Simulator(2)
    simulator.add("before", range(20), 1)
    simulator.until_idle()
    simulator.add("prefilling", [*range(20), *range(60, 90)], 1)
    simulator.scheduler.schedule()
    group = simulator.scheduler.find("prefilling")
    assert group is not None and group.num_cached_tokens == 20
    simulator.scheduler.restart()
    assert group.first.status is Status.WAITING and group.first.slot is None
    simulator.until_idle()
    assert (group.num_cached_tokens, group.num_attempts) == (0, 2)
    assert sum(simulator.computed["prefilling"]) == 50


@pytest.fixture(params=[0, 1, 3, 5], ids=["queued", "prefilling", "running", "waiting"])
def cancelled(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """Cancels a request of 25 tokens and three choices for two slots in some stage."""
    simulator = Simulator(2)
    simulator.add("0", range(25), 4, 4, 4)
    for _ in range(request.param):
        simulator.step()
    simulator.cancel("0")
    yield simulator


def test_a_cancel_frees_all_slots(cancelled: Simulator) -> None:
    assert cancelled.scheduler.idle
    _check_all_slots_are_free(cancelled)


def test_a_cancelled_request_is_not_scheduled_again(cancelled: Simulator) -> None:
    started, computed = list(cancelled.started), dict(cancelled.computed)
    assert cancelled.step() == Step((), ())
    assert (cancelled.started, cancelled.computed) == (started, computed)


def test_computed_tokens_of_a_cancelled_prefill_stay_cached() -> None:
    simulator = Simulator(1)
    simulator.add("0", range(25), 1)
    simulator.step()
    simulator.cancel("0")
    assert simulator.scheduler.schedule_idle() is None, "the rest is not prefilled"
    simulator.add("1", range(25), 1)
    simulator.until_idle()
    assert sum(simulator.computed["1"]) == 25 - MAX_CHUNK_TOKENS


@pytest.mark.parametrize(
    ("num_slots", "step_tokens", "max_chunk_tokens"), [(0, 4, 8), (1, 2, 8), (1, 4, 3)]
)
def test_invalid_limits_are_rejected(
    num_slots: int, step_tokens: int, max_chunk_tokens: int
) -> None:
    with pytest.raises(ValueError, match="`num_slots` must be at least 1"):
        Scheduler(num_slots, step_tokens, max_chunk_tokens)


def test_queued_requests_are_those_whose_prefill_has_not_begun() -> None:
    simulator = Simulator(1)
    for number in range(3):
        simulator.add(str(number), range(5), 3)
    assert len(simulator.scheduler.queued) == 3
    simulator.step()
    assert [group.request.request_id for group in simulator.scheduler.queued] == ["1", "2"]
    assert [group.request.request_id for group in simulator.scheduler.groups()] == ["0", "1", "2"]
    assert simulator.scheduler.find("3") is None
    assert np.array_equal(simulator.scheduler.groups()[0].tokens, np.arange(5))


def test_computed_tokens_are_those_in_the_cache() -> None:
    simulator = Simulator(2)
    assert simulator.scheduler.num_computed_tokens == 0
    simulator.add("0", range(9), 1)
    simulator.until_idle()
    assert simulator.scheduler.num_computed_tokens == 9
