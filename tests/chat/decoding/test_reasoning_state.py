"""The reasoning of a choice, as its guide knows it."""

from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter
from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.reasoning.splitter import Place, Splitter
from friendli_endpoint.chat.reasoning.styles import STYLES
from tests.support.chat import OpenVocabulary, borders_of, criteria_of

VOCABULARY = OpenVocabulary()


def thinking_of(
    prompt: str = "", budget: int | None = None
) -> tuple[ReasoningState, OutputInterpreter]:
    rule = STYLES[0].rule(prompt)
    splitter = Splitter(rule)
    interpreter = OutputInterpreter(criteria_of(VOCABULARY), VOCABULARY, splitter)
    return ReasoningState(splitter, interpreter, borders_of(rule, VOCABULARY), budget), interpreter


def test_places_follow_the_output() -> None:
    thinking, interpreter = thinking_of()
    places = [thinking.place]
    for text in ("<think>", "a", "</think>", "b"):
        token = VOCABULARY.token_of(text.encode())
        thinking.accept(token)
        interpreter.read(token)
        places.append(thinking.place)
    assert places == [
        Place.START,
        Place.REASONING,
        Place.REASONING,
        Place.ANSWER,
        Place.ANSWER,
    ]


def test_the_answer_of_a_token_holds_what_was_held_back_before_it() -> None:
    thinking, interpreter = thinking_of("<think>")
    answers = []
    for text in ("a</th", "ink", ">4", "2 "):
        token = VOCABULARY.token_of(text.encode())
        thinking.accept(token)
        interpreter.read(token)
        answers.append(thinking.answer)
    assert answers == [b"", b"", b"4", b"2 "]
    thinking, interpreter = thinking_of()
    for text, answer in (("<th", b""), ("is", b"<this")):
        token = VOCABULARY.token_of(text.encode())
        thinking.accept(token)
        interpreter.read(token)
        assert thinking.answer == answer


def test_the_budget_counts_tokens_of_reasoning_alone() -> None:
    thinking, interpreter = thinking_of(budget=2)
    for text, forced in (("<think>", False), ("a", False), ("b", True)):
        token = VOCABULARY.token_of(text.encode())
        thinking.accept(token)
        interpreter.read(token)
        assert bool(thinking.fast_forward_tokens()) == forced
    assert VOCABULARY.text(thinking.fast_forward_tokens()) == "</think>"
