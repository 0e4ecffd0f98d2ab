"""Compiled grammars: caching, lifetime, threads, and panics of the compiler."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llguidance
import pytest

from friendli_endpoint.chat.structured import MatcherCompiler, memory_for
from friendli_endpoint.chat.structured.native import ConstraintError
from friendli_endpoint.generation import Grammar, RequestError
from tests.chat.structured.failing import Failing, Panic
from tests.chat.structured.schemas import SCHEMAS
from tests.chat.structured.walks import COMPILER, ENDS, VOCABULARY, allows_text, walk
from tests.support.chat import ConstraintMaker

OBJECT = {"type": "object"}
BRIEF = {
    "type": "object",
    "properties": {"a": {"type": "boolean"}},
    "required": ["a"],
    "additionalProperties": False,
}


def test_constraints_of_the_same_schema_do_not_share_state() -> None:
    first = COMPILER.json_schema(BRIEF, ENDS, "s")
    second = COMPILER.json_schema(BRIEF, ENDS, "s")
    assert allows_text(first, '{"a":true}')
    assert allows_text(second, '{"a":false}')
    assert allows_text(COMPILER.json_schema(BRIEF, ENDS, "s"), '{"a": true}')


def test_the_cache_is_bounded_and_evicts_the_least_recently_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiler = ConstraintMaker(VOCABULARY)
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

    monkeypatch.setattr("friendli_endpoint.chat.structured.matchers.LLMatcher", Counted())
    for number in range(200):
        compiler.json_schema({"const": number}, ENDS, "s")
        compiler.json_schema({"const": "kept"}, ENDS, "s")
    assert len(compiled) == 201
    compiler.json_schema({"const": 199}, ENDS, "s")
    assert len(compiled) == 201
    compiler.json_schema({"const": 0}, ENDS, "s")
    assert len(compiled) == 202


def number_of(value: int) -> Grammar:
    return Grammar("regex", f"{value}")


def test_a_grammar_in_use_is_never_evicted() -> None:
    matchers = MatcherCompiler(VOCABULARY)
    used = matchers.compile(number_of(0))
    for value in range(1, 300):
        matchers.compile(number_of(value))
    assert number_of(0) in matchers
    assert matchers.compile(number_of(0)) is used


def test_an_unused_grammar_is_evicted_after_128_others() -> None:
    matchers = MatcherCompiler(VOCABULARY)
    matchers.compile(number_of(0))
    for value in range(1, 128):
        matchers.compile(number_of(value))
    assert number_of(0) in matchers
    matchers.compile(number_of(0))
    for value in range(1, 128):
        matchers.compile(number_of(value))
        assert number_of(0) in matchers
    matchers.compile(number_of(128))
    assert number_of(0) not in matchers


def test_fewer_large_grammars_stay_in_memory() -> None:
    matchers = MatcherCompiler(VOCABULARY)
    comments = "// a comment\n" * 20_000
    large = [Grammar("lark", f'start: "{number}"\n{comments}') for number in range(10)]
    for grammar in large:
        matchers.compile(grammar)
    kept = [grammar for grammar in large if grammar in matchers]
    assert kept == large[-len(kept) :]
    assert 1 <= len(kept) < len(large)
    assert sum(grammar.num_bytes for grammar in kept) <= 256 << 20


def test_a_cache_hit_on_a_grammar_in_use_makes_it_the_most_recent() -> None:
    matchers = MatcherCompiler(VOCABULARY)
    used = matchers.compile(number_of(0))
    for value in range(1, 300):
        matchers.compile(number_of(value))
    assert matchers.compile(number_of(0)) is used
    del used
    for value in range(300, 427):
        matchers.compile(number_of(value))
    assert number_of(0) in matchers


def test_a_grammar_that_cannot_be_compiled_is_not_cached() -> None:
    matchers = MatcherCompiler(VOCABULARY)
    for _ in range(2):
        with pytest.raises(ConstraintError):
            matchers.compile(Grammar("regex", "("))
    assert Grammar("regex", "(") not in matchers


def test_threads_compile_and_generate_concurrently() -> None:
    compiler = ConstraintMaker(VOCABULARY)
    gate = threading.Barrier(8)

    def work(number: int) -> list[str | None]:
        gate.wait()
        out = []
        for seed, (name, schema) in enumerate(sorted(SCHEMAS.items())):
            with pytest.raises(RequestError):
                compiler.json_schema({"$dynamicRef": name}, ENDS, "s")
            out.append(walk(compiler.json_schema(schema, ENDS, "s"), seed, max_tokens=60))
        return out

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert all(result == results[0] for result in results)


def test_a_panic_during_compilation_is_a_request_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "friendli_endpoint.chat.structured.matchers.LLMatcher", Failing(Panic("no"))
    )
    with pytest.raises(RequestError, match="cannot be enforced") as caught:
        ConstraintMaker(VOCABULARY).json_schema(OBJECT, ENDS, "s")
    assert caught.value.status == 400


def test_a_grammar_may_take_memory_in_proportion_to_its_field() -> None:
    names = [f"p{number}" for number in range(600)]
    short = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    described = {"type": "string", "description": "What this property is good for, in a sentence."}
    long = {"type": "object", "properties": dict.fromkeys(names * 3, described)}
    compiler = ConstraintMaker(VOCABULARY)
    compiler.json_schema(long, ENDS, "s")
    compiler.json_schema(short, ENDS, "s")
    wide = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(2_000)}}
    with pytest.raises(RequestError, match="too complex") as caught:
        compiler.json_schema(wide, ENDS, "s")
    assert (caught.value.status, caught.value.param) == (400, "s")
    assert memory_for(1_000) > memory_for(0) > memory_for(0, num_tools=1)
