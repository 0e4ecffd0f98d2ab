"""Sequence groups: the first sequence, the next waiting one, and when all have finished."""

import numpy as np
import pytest

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.core.prefix_cache import Slot
from friendli_endpoint.engine.core.sequence import SequenceGroup, Status
from tests.engine.core.scripted_loop import PROMPT
from tests.support.scripted import ScriptedGuide, request


@pytest.fixture
def group() -> SequenceGroup:
    guides = [ScriptedGuide() for _ in range(3)]
    return SequenceGroup(request("r", PROMPT, *guides), np.array(PROMPT, np.int32), None)


def test_a_group_has_a_waiting_sequence_for_each_choice(group: SequenceGroup) -> None:
    assert [sequence.choice for sequence in group.sequences] == [0, 1, 2]
    assert all(sequence.group is group for sequence in group.sequences)
    assert all(sequence.status is Status.WAITING for sequence in group.sequences)
    assert all(sequence.slot is None for sequence in group.sequences)
    assert (group.num_cached_tokens, group.num_attempts, group.has_output) == (0, 0, False)


def test_the_first_sequence_is_the_same_in_every_status(group: SequenceGroup) -> None:
    first = group.first
    assert first.choice == 0
    first.status, first.slot = Status.PREFILLING, Slot(SlotId(2))
    assert group.first is first
    first.status, first.slot = Status.FINISHED, None
    assert group.first is first


@pytest.mark.parametrize("status", [Status.PREFILLING, Status.RUNNING, Status.FINISHED])
def test_the_next_waiting_sequence_is_the_first_with_that_status(
    group: SequenceGroup, status: Status
) -> None:
    for choice in range(3):
        waiting = group.next_waiting
        assert waiting is group.sequences[choice]
        waiting.status = status
    assert group.next_waiting is None


@pytest.mark.parametrize("last", range(3))
def test_a_group_is_finished_when_all_its_sequences_are(group: SequenceGroup, last: int) -> None:
    for sequence in group.sequences:
        if sequence.choice != last:
            sequence.status = Status.FINISHED
    for status in (Status.WAITING, Status.PREFILLING, Status.RUNNING):
        group.sequences[last].status = status
        assert not group.is_finished
    group.sequences[last].status = Status.FINISHED
    assert group.is_finished


def test_groups_of_equal_requests_are_not_equal(group: SequenceGroup) -> None:
    second = SequenceGroup(group.request, group.tokens, group.adapter)
    assert group != second
    assert group.first != second.first
    assert len({group, second}) == 2
