"""The state of the reasoning of a choice."""

from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter
from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.reasoning.splitter import Phase, ReasoningSplitter
from friendli_endpoint.chat.reasoning.styles import STYLES
from tests.support.chat import OpenVocabulary, criteria_of, tag_masks_of

VOCABULARY = OpenVocabulary()


def state_of(
    prompt: str = "", budget: int | None = None
) -> tuple[ReasoningState, OutputInterpreter]:
    rule = STYLES[0].rule(prompt)
    splitter = ReasoningSplitter(rule)
    interpreter = OutputInterpreter(criteria_of(VOCABULARY), VOCABULARY, splitter)
    return ReasoningState(
        splitter, interpreter, tag_masks_of(rule, VOCABULARY), budget
    ), interpreter


def test_the_phase_follows_the_output() -> None:
    reasoning_state, interpreter = state_of()
    phases = [reasoning_state.phase]
    for text in ("<think>", "a", "</think>", "b"):
        token = VOCABULARY.token_of(text.encode())
        reasoning_state.accept(token)
        interpreter.read(token)
        phases.append(reasoning_state.phase)
    assert phases == [
        Phase.START,
        Phase.REASONING,
        Phase.REASONING,
        Phase.ANSWER,
        Phase.ANSWER,
    ]


def test_the_answer_of_a_token_includes_bytes_held_back_before_it() -> None:
    reasoning_state, interpreter = state_of("<think>")
    answers = []
    for text in ("a</th", "ink", ">4", "2 "):
        token = VOCABULARY.token_of(text.encode())
        reasoning_state.accept(token)
        interpreter.read(token)
        answers.append(reasoning_state.answer)
    assert answers == [b"", b"", b"4", b"2 "]
    reasoning_state, interpreter = state_of()
    for text, answer in (("<th", b""), ("is", b"<this")):
        token = VOCABULARY.token_of(text.encode())
        reasoning_state.accept(token)
        interpreter.read(token)
        assert reasoning_state.answer == answer


def test_the_budget_counts_only_tokens_of_reasoning() -> None:
    reasoning_state, interpreter = state_of(budget=2)
    for text, is_spent in (("<think>", False), ("a", False), ("b", True)):
        token = VOCABULARY.token_of(text.encode())
        reasoning_state.accept(token)
        interpreter.read(token)
        assert bool(reasoning_state.fast_forward_tokens()) == is_spent
    assert VOCABULARY.text(reasoning_state.fast_forward_tokens()) == "</think>"
