"""Grammars of requests: caching, and measurement of compilation time."""

from collections.abc import Callable
from typing import Any

import pytest

from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.structured import GrammarMaker, MatcherCompiler
from friendli_endpoint.chat.structured.json_schema import JsonLayout
from friendli_endpoint.generation import Grammar, Guide, RequestError
from tests.chat.structured.walks import VOCABULARY
from tests.support.chat import body_of, set_bits
from tests.support.scripted import ScriptedVocabulary

BRIEF = {
    "type": "object",
    "properties": {"a": {"type": "boolean"}},
    "required": ["a"],
    "additionalProperties": False,
}


def _allowed_by(guide: Guide) -> list[int]:
    mask = guide.mask()
    assert mask is not None
    return sorted(set_bits(mask, VOCABULARY))


@pytest.mark.parametrize(
    ("method", "fields"),
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
def test_a_grammar_is_built_and_compiled_once_for_all_choices(
    monkeypatch: pytest.MonkeyPatch, method: str, fields: dict[str, Any]
) -> None:
    built: list[str] = []
    for name in ("json_schema", "regex", "lark"):
        original = getattr(GrammarMaker, name)

        def counted(*given: Any, _name: str = name, _original: Any = original) -> Grammar:
            built.append(_name)
            grammar: Grammar = _original(*given)
            return grammar

        monkeypatch.setattr(GrammarMaker, name, counted)
    compiled: list[str] = []
    compile_grammar = MatcherCompiler._compile

    def counted_compile(self: MatcherCompiler, grammar: Grammar, max_symbols: int) -> Any:
        compiled.append(grammar.kind)
        return compile_grammar(self, grammar, max_symbols)

    monkeypatch.setattr(MatcherCompiler, "_compile", counted_compile)
    rules = RuleCompiler(ScriptedVocabulary(context=4096))
    model = ChatModel(rules, "{{ messages[0].content }}", 4096)
    prepared = model.respond(model.prepare(body_of(n=3, **fields)))
    first, second, _ = (rules.guide(prepared.request.rules) for _ in prepared.request.choices)
    assert built == compiled == [method]
    beginning = _allowed_by(second)
    first.accept(beginning[0], False)
    assert _allowed_by(first) != beginning
    assert _allowed_by(second) == beginning


@pytest.mark.parametrize("layout", ["free", "line"])
def test_a_schema_is_rewritten_and_compiled_once(layout: JsonLayout) -> None:
    seconds: list[float] = []
    matchers = MatcherCompiler(VOCABULARY)
    grammars = GrammarMaker(matchers, seconds.append, layout)
    first = grammars.json_schema(BRIEF, "s")
    assert grammars.json_schema({**BRIEF}, "other") == first
    assert len(seconds) == 1
    assert first in matchers


def test_recompilation_of_an_evicted_schema_is_timed() -> None:
    seconds: list[float] = []
    matchers = MatcherCompiler(VOCABULARY)
    grammars = GrammarMaker(matchers, seconds.append)
    grammar = grammars.json_schema(BRIEF, "s")
    for number in range(128):
        matchers.compile(Grammar("regex", f"a{number}"))
    assert grammar not in matchers
    grammars.json_schema(BRIEF, "s")
    assert len(seconds) == 2


def test_an_evicted_grammar_is_compiled_again_on_request() -> None:
    matchers = MatcherCompiler(VOCABULARY)
    grammars = GrammarMaker(matchers)
    grammar = grammars.json_schema(BRIEF, "s")
    for number in range(128):
        matchers.compile(Grammar("regex", f"a{number}"))
    assert grammar not in matchers
    assert grammars.json_schema(BRIEF, "s") == grammar
    assert grammar in matchers


@pytest.mark.parametrize(
    ("build", "param", "num_timings"),
    [
        (lambda maker: maker.json_schema({"extends": {"type": "null"}}, "p"), "p.extends", 2),
        (lambda maker: maker.regex("(?<=a)", "p"), "p", 0),  # rejected before compilation
        (lambda maker: maker.regex("(a?){500}a{500}", "p"), "p", 2),
        (lambda maker: maker.lark("start: nowhere", "p", 1 << 20), "p", 2),
    ],
    ids=["schema", "pattern", "work", "lark"],
)
def test_failed_compilations_are_timed(
    build: Callable[[GrammarMaker], Grammar], param: str, num_timings: int
) -> None:
    seconds: list[float] = []
    grammars = GrammarMaker(MatcherCompiler(VOCABULARY), seconds.append)
    for _ in range(2):
        with pytest.raises(RequestError) as caught:
            build(grammars)
        assert caught.value.param == param
    assert len(seconds) == num_timings
