"""Constraints at work: their ends, white space, independence, faults, and the cache behind them."""

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llguidance
import numpy as np
import pytest

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.decoding.guide import ChoiceGuide, Ending
from friendli_endpoint.chat.stop_strings import StopSet
from friendli_endpoint.chat.structured import Constraint, ConstraintCompiler
from friendli_endpoint.chat.tokens import bitmask_without
from friendli_endpoint.generation import Guide, Refusal
from tests.chat.schemas import SCHEMAS
from tests.chat.walking import COMPILER, ENDS, VOCABULARY, allowed, follows, walk
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
    stop_set = StopSet(stops) if stops else None
    ending = Ending(
        end_ids,
        VOCABULARY.control_ids | end_ids,
        stop_set,
        0,
        bitmask_without(end_ids, VOCABULARY.size),
    )
    return ChoiceGuide(ending, VOCABULARY, COMPILER.json_schema(schema, end_ids, "s"))


def _allowed_by(guide: Guide) -> list[int]:
    mask = guide.mask()
    assert mask is not None
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()


def _liking(*favourites: str) -> Callable[[tuple[int, ...]], Any]:
    """A model that takes the first of these tokens that it may, else the lowest id."""

    def rule(tokens: tuple[int, ...]) -> Any:
        logits = np.zeros(VOCABULARY.size, np.float32)
        for rank, text in enumerate(favourites):
            logits[VOCABULARY.token(text)] = 100.0 - rank
        return logits

    return rule


def _text(steps: Any) -> str:
    return b"".join(step.piece for step in steps if step.token_id not in ENDS).decode()


@pytest.mark.parametrize("favourites", [("\n", " ", "  "), (" ", "\n"), ("\n\n", "\n"), ("  ",)])
@pytest.mark.parametrize("name", ["json_object", "chart", "pydantic", "openapi", "expression"])
def test_white_space_is_bounded(name: str, favourites: tuple[str, ...]) -> None:
    schema = OBJECT if name == "json_object" else SCHEMAS[name]
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    spaces = {VOCABULARY.token(each) for each in ("\n", " ", "  ", "\n\n")}
    liked = [VOCABULARY.token(each) for each in favourites]
    closing = [VOCABULARY.byte(each) for each in '"]},:0']
    longest = run_length = 0
    inside = False
    for _ in range(3000):
        choices = allowed(constraint)
        if choices & ENDS or not choices:
            break
        ranked = [each for each in (*([] if inside else liked), *closing) if each in choices]
        token = ranked[0] if ranked else min(choices)
        inside ^= VOCABULARY.piece(token).count(b'"') % 2 == 1
        run_length = run_length + len(VOCABULARY.piece(token)) if token in spaces else 0
        longest = max(longest, run_length)
        if constraint.accept(token):
            break
    assert longest <= 17
    assert constraint.satisfied


@pytest.mark.parametrize("name", ["json_object", *SCHEMAS])
def test_json_on_one_line_has_a_space_after_commas_and_colons_and_no_other(name: str) -> None:
    schema = OBJECT if name == "json_object" else SCHEMAS[name]
    compiler = ConstraintCompiler(VOCABULARY, layout="line")
    texts = [walk(compiler.json_schema(schema, ENDS, "s"), seed) for seed in range(20)]
    ended = [text for text in texts if text is not None]
    assert ended
    for text in ended:
        json.loads(text)
        bare = re.sub(r'"(\\.|[^"\\])*"', '""', text)
        assert re.sub(r"([,:]) ", "", bare) == re.sub(r"[\s,:]", "", bare)


def test_a_model_in_love_with_white_space_comes_to_an_end() -> None:
    with serving(_liking("\n", " ", "}")) as (engine, _):
        inbox = run(engine, request("r", [5], _guide(OBJECT), max_tokens=100))[0]
    assert inbox.steps[-1].finish == "stop"
    assert json.loads(_text(inbox.steps)) == {}


@pytest.mark.parametrize("schema", [{"type": "integer"}, {"type": "number"}, {"minimum": 0}, {}])
@pytest.mark.parametrize("favourites", ["3", ".3e", "-e9", "0.0"])
def test_a_model_in_love_with_digits_comes_to_an_end(
    schema: dict[str, Any], favourites: str
) -> None:
    constraint = COMPILER.json_schema({"type": "array", "items": schema}, ENDS, "s")
    text = ""
    for character in "[1":
        constraint.accept(VOCABULARY.byte(character))
    for turn in range(200):
        choices = allowed(constraint)
        liked = [*favourites[turn % len(favourites) :], *favourites, *"0]"]
        token = next(VOCABULARY.byte(each) for each in liked if VOCABULARY.byte(each) in choices)
        text += VOCABULARY.piece(token).decode()
        if constraint.accept(token):
            break
    number = json.loads(f"[1{text}")[0]
    assert max(map(len, re.findall(r"\d+", text))) <= 40
    assert abs(number) < float("inf")


def test_digits_in_a_string_are_not_counted() -> None:
    text = json.dumps({"pi": "3" * 100, "e": '"\\' + "7" * 100})
    assert follows(COMPILER.json_schema(OBJECT, ENDS, "s"), text)
    assert not follows(COMPILER.json_schema(OBJECT, ENDS, "s"), '{"a": ' + "1" * 41 + "}")
    assert follows(COMPILER.json_schema(OBJECT, ENDS, "s"), '{"a": ' + "1" * 40 + ".5e-10}")


def test_an_end_is_possible_only_where_the_schema_is_satisfied() -> None:
    constraint = COMPILER.json_schema({"type": "integer"}, ENDS, "s")
    assert not allowed(constraint) & ENDS
    constraint.accept(VOCABULARY.byte("1"))
    assert allowed(constraint) >= ENDS


def test_ends_that_replace_the_models_own() -> None:
    other = frozenset({VOCABULARY.token("END")})
    constraint = COMPILER.json_schema({"type": "integer"}, other, "s")
    constraint.accept(VOCABULARY.byte("1"))
    assert allowed(constraint) & (ENDS | other) == other


def test_a_finished_schema_ends_with_stop_though_no_end_is_wanted() -> None:
    other = frozenset({VOCABULARY.token("END")})
    with serving(_liking(*'}":t', "<|im_end|>")) as (engine, _):
        inbox = run(engine, request("r", [5], _guide(BRIEF, other), max_tokens=60))[0]
    assert inbox.steps[-1].finish == "stop"
    text = b"".join(step.piece for step in inbox.steps if step.token_id not in other)
    assert set(json.loads(text)) == {"a"}


def test_cut_off_is_length_and_finished_is_stop() -> None:
    with serving(_liking(*'}":t')) as (engine, _):
        cut, whole = run(
            engine,
            request("r", [5], _guide(BRIEF), max_tokens=3),
            request("q", [5], _guide(BRIEF), max_tokens=60),
        )
    assert cut.steps[-1].finish == "length"
    assert whole.steps[-1].finish == "stop"


def test_nothing_allowed_is_the_length_until_the_schema_is_satisfied() -> None:
    guide = _guide({"type": "integer"})
    assert guide.exhausted() == "length"
    guide.accept(VOCABULARY.byte("1"))
    assert guide.exhausted() == "stop"


def test_a_stop_string_cuts_json() -> None:
    guide = _guide({"type": "string"}, stops=("ab",))
    finishes = [guide.accept(VOCABULARY.byte(each)) for each in '"xab']
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
        if steps[-1].finish == "stop":
            assert isinstance(json.loads(_text(steps)), list)


@pytest.mark.parametrize(
    ("maker", "asked"),
    [
        ("regex", {"response_format": {"type": "regex", "schema": "ab"}}),
        (
            "json_schema",
            {"response_format": {"type": "json_schema", "json_schema": {"schema": BRIEF}}},
        ),
        ("json_schema", {"response_format": {"type": "json_object"}}),
        (
            "lark",
            {
                "tools": [{"type": "function", "function": {"name": "f", "parameters": BRIEF}}],
                "tool_choice": "required",
            },
        ),
    ],
)
def test_what_choices_share_is_made_once_a_request(
    monkeypatch: pytest.MonkeyPatch, maker: str, asked: dict[str, Any]
) -> None:
    made: list[str] = []
    for name in ("json_schema", "regex", "lark"):
        original = getattr(ConstraintCompiler, name)

        def counted(*given: Any, _name: str = name, _original: Any = original) -> Constraint:
            made.append(_name)
            constraint: Constraint = _original(*given)
            return constraint

        monkeypatch.setattr(ConstraintCompiler, name, counted)
    model = ChatModel(ScriptedVocabulary(context=4096), "{{ messages[0].content }}{{ tools }}")
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "n": 3, **asked}
    exchange = model.accept(DedicatedChatCompletionBody.model_validate(body))
    assert made == [maker]
    first, second, _ = (choice.guide for choice in exchange.request.choices)
    beginning = _allowed_by(second)
    first.accept(beginning[0])
    assert _allowed_by(first) != beginning
    assert _allowed_by(second) == beginning


def test_what_is_cached_keeps_no_state() -> None:
    first = COMPILER.json_schema(BRIEF, ENDS, "s")
    second = COMPILER.json_schema(BRIEF, ENDS, "s")
    assert follows(first, '{"a":true}')
    assert follows(second, '{"a":false}')
    assert follows(COMPILER.json_schema(BRIEF, ENDS, "s"), '{"a": true}')


def test_the_cache_is_bounded_and_keeps_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = ConstraintCompiler(VOCABULARY)
    compiled: list[str] = []
    grammar = llguidance.LLMatcher.grammar_from_json_schema

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(llguidance.LLMatcher, name)

        def __call__(self, *given: Any, **named: Any) -> Any:
            return llguidance.LLMatcher(*given, **named)

        def grammar_from_json_schema(self, text: str) -> str:
            compiled.append(text)
            return grammar(text)

    monkeypatch.setattr("friendli_endpoint.chat.structured.compiler.LLMatcher", Counted())
    for number in range(200):
        compiler.json_schema({"const": number}, ENDS, "s")
        compiler.json_schema({"const": "kept"}, ENDS, "s")
    assert len(compiled) == 201
    compiler.json_schema({"const": 199}, ENDS, "s")
    assert len(compiled) == 201
    compiler.json_schema({"const": 0}, ENDS, "s")
    assert len(compiled) == 202


def test_many_threads_compile_and_follow_at_once() -> None:
    compiler = ConstraintCompiler(VOCABULARY)
    gate = threading.Barrier(8)

    def work(number: int) -> list[str | None]:
        gate.wait()
        out = []
        for seed, (name, schema) in enumerate(sorted(SCHEMAS.items())):
            with pytest.raises(Refusal):
                compiler.json_schema({"$dynamicRef": name}, ENDS, "s")
            out.append(walk(compiler.json_schema(schema, ENDS, "s"), seed, most=60))
        return out

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert all(each == results[0] for each in results)


class _Failing:
    """A matcher of native code that fails in its own way."""

    def __init__(self, how: BaseException) -> None:
        self._how = how

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any) -> Any:
            raise self._how

        return fail


class Panic(BaseException):
    """As native code raises it."""


@pytest.mark.parametrize("how", [Panic("index out of bounds"), RuntimeError("poisoned")])
def test_a_fault_of_the_compiler_cuts_short_its_own_choice(how: BaseException) -> None:
    broken, healthy = _guide(BRIEF), _guide(BRIEF)
    constraint = broken._constraint
    assert isinstance(constraint, Constraint)
    constraint._matcher = _Failing(how)  # type: ignore[assignment]
    with serving(_liking(*'}":t')) as (engine, _):
        bad, good = run(
            engine,
            request("r", [5], broken, max_tokens=60),
            request("q", [5], healthy, max_tokens=60),
        )
    assert [step.finish for step in bad.steps] == ["length"]
    assert good.steps[-1].finish == "stop"
    assert json.loads(_text(good.steps)) in ({"a": True}, {"a": False})


def test_a_panic_while_compiling_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "friendli_endpoint.chat.structured.compiler.LLMatcher", _Failing(Panic("no"))
    )
    with pytest.raises(Refusal, match="cannot be enforced") as caught:
        ConstraintCompiler(VOCABULARY).json_schema(OBJECT, ENDS, "s")
    assert caught.value.status == 400


def test_a_token_that_is_not_allowed_cuts_the_choice_short() -> None:
    constraint = COMPILER.json_schema(BRIEF, ENDS, "s")
    assert not constraint.accept(VOCABULARY.byte("x"))
    assert allowed(constraint) == set() and constraint.forced() == []
    assert not constraint.satisfied and not constraint.accept(VOCABULARY.byte("{"))
