"""The overlap of two attempts at an answer, for all answers and all cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.remote.overlap import Overlap
from friendli_endpoint.generation import EngineError, TokenFindings, TokenLogprob, TokenStep


def answer_of(choice: int, token_ids: list[int | None]) -> list[TokenStep]:
    """Returns the steps of a choice; the last one ends it."""
    last = len(token_ids) - 1
    return [
        TokenStep(choice, token, TokenFindings(1, finish="stop" if index == last else None))
        for index, token in enumerate(token_ids)
    ]


TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(list[int | None])
ANSWERS = st.lists(TOKENS | TOKENS.map(lambda ids: [*ids, None]), min_size=1, max_size=3)


def interleaved(answers: list[list[TokenStep]], data: st.DataObject) -> list[TokenStep]:
    """Returns the steps of all choices in some order, those of each choice in theirs."""
    order = [choice for choice, steps in enumerate(answers) for _ in steps]
    remaining = [iter(steps) for steps in answers]
    return [next(remaining[choice]) for choice in data.draw(st.permutations(order))]


@given(ANSWERS, st.booleans(), st.data())
def test_all_attempts_together_tell_each_step_once(
    token_ids: list[list[int | None]], is_held: bool, data: st.DataObject
) -> None:
    answers = [answer_of(choice, ids) for choice, ids in enumerate(token_ids)]
    overlap = Overlap(len(answers), is_held)
    told: list[TokenStep] = []
    for _ in range(data.draw(st.integers(0, 3))):
        overlap.begin()
        steps = interleaved(answers, data)
        told += overlap.add(steps[: data.draw(st.integers(0, len(steps) - 1))])
        assert not (is_held and told)
    overlap.begin()
    for step in interleaved(answers, data):
        assert not overlap.is_complete or not is_held
        told += overlap.add([step])
    assert overlap.is_complete
    for choice, steps in enumerate(answers):
        assert [step for step in told if step.choice == choice] == steps


@given(ANSWERS, st.data())
def test_another_step_than_the_one_that_was_told_is_an_error(
    token_ids: list[list[int | None]], data: st.DataObject
) -> None:
    answers = [answer_of(choice, ids) for choice, ids in enumerate(token_ids)]
    steps = interleaved(answers, data)
    overlap = Overlap(len(answers), is_held=False)
    overlap.begin()
    num_told = data.draw(st.integers(1, len(steps)))
    assert overlap.add(steps[:num_told]) == tuple(steps[:num_told])
    overlap.begin()
    index = data.draw(st.integers(0, num_told - 1))
    expected = steps[index]
    finish = expected.findings.finish
    different = data.draw(
        st.sampled_from(
            [
                TokenStep(expected.choice, 9, expected.findings),
                TokenStep(
                    expected.choice,
                    expected.token_id,
                    TokenFindings(1, finish="length" if finish is None else None),
                ),
                TokenStep(expected.choice, expected.token_id, TokenFindings(1, finish="length")),
            ]
        )
    )
    assert overlap.add(steps[:index]) == ()
    with pytest.raises(EngineError, match="another answer") as caught:
        overlap.add([different])
    assert not caught.value.retryable


def test_log_probabilities_and_spans_need_not_be_equal() -> None:
    first, second = answer_of(0, [1, 2])
    overlap = Overlap(1, is_held=False)
    overlap.begin()
    overlap.add([first])
    overlap.begin()
    own = TokenLogprob(1, -0.5)
    assert overlap.add([TokenStep(0, 1, TokenFindings(3), own), second]) == (second,)


@pytest.mark.parametrize("is_held", [True, False])
@pytest.mark.parametrize("choice", [-1, 2])
def test_a_choice_that_was_not_asked_for_is_an_error(choice: int, is_held: bool) -> None:
    overlap = Overlap(2, is_held)
    overlap.begin()
    with pytest.raises(EngineError, match="not asked for"):
        overlap.add([TokenStep(choice, 1, TokenFindings(1))])


@pytest.mark.parametrize("is_held", [True, False])
def test_a_step_after_the_end_of_its_choice_is_an_error(is_held: bool) -> None:
    overlap = Overlap(2, is_held)
    overlap.begin()
    overlap.add(answer_of(0, [1, 2]))
    with pytest.raises(EngineError):
        overlap.add([TokenStep(0, 3, TokenFindings(1))])
