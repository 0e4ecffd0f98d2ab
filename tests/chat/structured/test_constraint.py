"""Constraints during generation: EOS tokens, independence of choices, and failures."""

import contextlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from friendli_endpoint.chat.decoding.guide import ChoiceGuide
from friendli_endpoint.chat.structured import Constraint
from friendli_endpoint.chat.structured.native import ConstraintError
from friendli_endpoint.generation import TokenStep
from tests.chat.structured.failing import Failing, Panic
from tests.chat.structured.schemas import SCHEMAS
from tests.chat.structured.walks import COMPILER, ENDS, VOCABULARY, allowed, walk
from tests.support.chat import ConstraintMaker, choice_guide, criteria_of
from tests.support.scripted import ScriptedVocabulary, request, run, serving

OBJECT = {"type": "object"}
BRIEF = {
    "type": "object",
    "properties": {"a": {"type": "boolean"}},
    "required": ["a"],
    "additionalProperties": False,
}


def _guide(
    schema: dict[str, Any], end_ids: frozenset[int] = ENDS, stops: tuple[str, ...] = ()
) -> ChoiceGuide:
    criteria = criteria_of(VOCABULARY, *stops, ends=end_ids)
    constraint = COMPILER.json_schema(schema, end_ids, "s")
    return choice_guide(criteria, VOCABULARY, constraint=constraint)


def _preferring(*preferred: str) -> Callable[[tuple[int, ...]], NDArray[np.float32]]:
    """A model that generates the first allowed one of these tokens, else the lowest id."""

    def rule(tokens: tuple[int, ...]) -> NDArray[np.float32]:
        logits = np.zeros(VOCABULARY.size, np.float32)
        for rank, text in enumerate(preferred):
            logits[VOCABULARY.token(text)] = 100.0 - rank
        return logits

    return rule


def _text(steps: Iterable[TokenStep], ends: frozenset[int] = ENDS) -> str:
    ids = [step.token_id for step in steps]
    return VOCABULARY.text(token for token in ids if token is not None and token not in ends)


def test_a_model_that_prefers_white_space_finishes() -> None:
    with serving(_preferring("\n", " ", "}")) as (engine, _):
        inbox = run(engine, request("r", [5], _guide(OBJECT), max_tokens=100))[0]
    assert inbox.steps[-1].findings.finish == "stop"
    assert json.loads(_text(inbox.steps)) == {}


def test_eos_tokens_are_allowed_only_where_the_schema_is_satisfied() -> None:
    constraint = COMPILER.json_schema({"type": "integer"}, ENDS, "s")
    assert not allowed(constraint) & ENDS
    constraint.accept(VOCABULARY.byte("1"))
    assert allowed(constraint) >= ENDS


def test_eos_ids_of_the_request_replace_those_of_the_model() -> None:
    custom = frozenset({VOCABULARY.token("END")})
    constraint = COMPILER.json_schema({"type": "integer"}, custom, "s")
    constraint.accept(VOCABULARY.byte("1"))
    assert allowed(constraint) & (ENDS | custom) == custom


def test_a_complete_value_finishes_with_stop_without_an_eos_token() -> None:
    custom = frozenset({VOCABULARY.token("END")})
    with serving(_preferring(*'}":t', "<|im_end|>")) as (engine, _):
        inbox = run(engine, request("r", [5], _guide(BRIEF, custom), max_tokens=60))[0]
    assert inbox.steps[-1].findings.finish == "stop"
    assert set(json.loads(_text(inbox.steps, custom))) == {"a"}


def test_a_truncated_output_finishes_with_length_and_a_complete_one_with_stop() -> None:
    with serving(_preferring(*'}":t')) as (engine, _):
        cut, whole = run(
            engine,
            request("r", [5], _guide(BRIEF), max_tokens=3),
            request("q", [5], _guide(BRIEF), max_tokens=60),
        )
    assert cut.steps[-1].findings.finish == "length"
    assert whole.steps[-1].findings.finish == "stop"


def test_without_allowed_tokens_an_unsatisfied_schema_finishes_with_length() -> None:
    assert _guide({"type": "integer"}).exhausted().finish == "length"
    guide = _guide({"type": "integer"})
    guide.accept(VOCABULARY.byte("1"), False)
    assert guide.exhausted().finish == "stop"


def test_a_stop_string_truncates_json() -> None:
    guide = _guide({"type": "string"}, stops=("ab",))
    finishes = [guide.accept(VOCABULARY.byte(character), False).finish for character in '"xab']
    assert finishes == [None, None, None, "stop"]


def test_choices_are_independent() -> None:
    guides = [_guide(SCHEMAS["constants"]) for _ in range(4)]
    with serving(
        lambda tokens: (
            np.random.default_rng(len(tokens)).normal(size=VOCABULARY.size).astype(np.float32)
        )
    ) as (engine, _):
        inbox = run(engine, request("r", [5], *guides, max_tokens=100, temperature=1.0))[0]
    for index in range(4):
        steps = [step for step in inbox.steps if step.choice == index]
        if steps[-1].findings.finish == "stop":
            assert isinstance(json.loads(_text(steps)), list)


@pytest.mark.parametrize("failure", [Panic("index out of bounds"), RuntimeError("poisoned")])
def test_a_failure_of_the_matcher_ends_only_its_own_choice(failure: BaseException) -> None:
    broken, healthy = _guide(BRIEF), _guide(BRIEF)
    constraint = broken._constraint
    assert isinstance(constraint, Constraint)
    constraint._matcher = Failing(failure)  # type: ignore[assignment]
    with serving(_preferring(*'}":t')) as (engine, _):
        bad, good = run(
            engine,
            request("r", [5], broken, max_tokens=60),
            request("q", [5], healthy, max_tokens=60),
        )
    assert [step.findings.finish for step in bad.steps] == ["length"]
    assert good.steps[-1].findings.finish == "stop"
    assert json.loads(_text(good.steps)) in ({"a": True}, {"a": False})


def test_after_a_token_that_is_not_allowed_no_token_is_allowed() -> None:
    constraint = COMPILER.json_schema(BRIEF, ENDS, "s")
    assert not constraint.accept(VOCABULARY.byte("x"))
    assert allowed(constraint) == set() and constraint.fast_forward_tokens() == []
    assert not constraint.satisfied and not constraint.accept(VOCABULARY.byte("{"))


class CountingVocabulary(ScriptedVocabulary):
    """Counts the characters that are tokenized."""

    num_tokenized = 0

    def tokenize(self, text: str, special: bool) -> list[int]:
        self.num_tokenized += len(text)
        return super().tokenize(text, special)


def test_a_text_without_a_choice_is_tokenized_once_and_not_at_each_position() -> None:
    text = "long text " * 800
    vocabulary = CountingVocabulary()
    maker = ConstraintMaker(vocabulary)
    grammar = maker.grammars.json_schema({"const": text}, "s")
    assert vocabulary.num_tokenized < 3 * len(text), "compiling tokenizes it at each of 32 tokens"
    before = vocabulary.num_tokenized
    constraint = maker.of_grammar(grammar, ENDS)
    output = b""
    while forced := constraint.fast_forward_tokens():
        for token in forced[:16]:
            output += vocabulary.token_bytes(token)
            constraint.accept(token)
    assert json.loads(output) == text
    assert vocabulary.num_tokenized - before < 3 * len(text)


def test_fast_forward_tokens_that_are_not_accepted_are_forgotten() -> None:
    constraint = COMPILER.regex("(?:abcd){4}", ENDS, "r")
    copied = constraint.copy()
    expected = constraint.fast_forward_tokens()
    first = VOCABULARY.token_bytes(expected[0])
    for byte in first:
        constraint.accept(VOCABULARY.byte(byte))
    following = b"".join(map(VOCABULARY.token_bytes, constraint.fast_forward_tokens()))
    assert (first + following).startswith(b"abcdabcd")
    assert copied.fast_forward_tokens() == expected


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_prefix_leaves_the_state_that_its_bytes_as_tokens_leave(name: str) -> None:
    """Wherever the prefix ends, and although it is read in other tokens."""
    schema = SCHEMAS[name]
    text = next(filter(None, (walk(COMPILER.json_schema(schema, ENDS, "s"), n) for n in range(9))))
    encoded = text.encode()
    stepwise = COMPILER.json_schema(schema, ENDS, "s")
    for length in range(min(len(encoded), 60)):
        with contextlib.suppress(UnicodeDecodeError):
            prefixed = COMPILER.json_schema(schema, ENDS, "s")
            assert prefixed.read_prefix(encoded[:length].decode()) == ""
            assert allowed(prefixed) == allowed(stepwise)
            assert prefixed.satisfied == stepwise.satisfied
        stepwise.accept(VOCABULARY.byte(encoded[length]))


@pytest.mark.parametrize(
    ("pattern", "prefix", "rest"),
    [
        ("ab*", "", ""),
        ("ab*", "abb", ""),
        ("ab*", "abbc", "c"),
        ("ab*", "xab", "xab"),
        ("(é|日本)+", "é日本é", ""),
        ("(é|日本)+", "é日a", "a"),
        ("ab", "abab", "ab"),
        ("(the )+", "the the the they", "y"),
    ],
)
def test_the_rest_of_a_prefix_begins_at_the_first_token_that_is_not_allowed(
    pattern: str, prefix: str, rest: str
) -> None:
    constraint = COMPILER.regex(pattern, ENDS, "s")
    found = constraint.read_prefix(prefix)
    assert prefix.endswith(found) and found.endswith(rest)
    assert bool(found) == bool(rest)


def test_digits_of_a_prefix_count_towards_the_length_of_a_number() -> None:
    constraint = COMPILER.json_schema({"type": "number"}, ENDS, "s")
    assert constraint.read_prefix("1." + "2" * 39) == ""
    assert VOCABULARY.byte("3") in allowed(constraint)
    constraint.accept(VOCABULARY.byte("3"))
    assert VOCABULARY.byte("3") not in allowed(constraint)


def test_a_long_prefix_is_read_in_chunks() -> None:
    constraint = COMPILER.regex("(ab)*c", ENDS, "s")
    assert constraint.read_prefix("ab" * 5_000) == ""
    assert VOCABULARY.byte("c") in allowed(constraint)
    assert COMPILER.regex("(ab)*c", ENDS, "s").read_prefix("ab" * 5_000 + "d" + "ab" * 600)


@pytest.mark.parametrize("failure", [Panic("index out of bounds"), RuntimeError("poisoned")])
def test_a_failure_of_the_matcher_rejects_a_prefix(failure: BaseException) -> None:
    constraint = COMPILER.json_schema(BRIEF, ENDS, "s")
    constraint._matcher = Failing(failure)  # type: ignore[assignment]
    assert constraint.read_prefix("{") == "{"


def test_a_prefix_that_takes_too_long_is_an_error() -> None:
    constraint = COMPILER.regex("(ab)*c", ENDS, "s")
    with pytest.raises(ConstraintError, match="CPU time"):
        constraint.read_prefix("ab" * 100, max_seconds=-1)
