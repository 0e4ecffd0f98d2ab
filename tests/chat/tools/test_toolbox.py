"""The tools of a request: caching, grammars, and errors that name the schema."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from friendli_endpoint.chat.request.validation import ModelFacts, validate
from friendli_endpoint.chat.structured import GrammarMaker, MatcherCompiler
from friendli_endpoint.chat.structured.json_schema import RewrittenSchema, rewrite_schema
from friendli_endpoint.chat.tools import Family, Marker, ToolSpec, family_named
from friendli_endpoint.chat.tools import toolbox as toolbox_module
from friendli_endpoint.chat.tools.toolbox import ToolCompiler, control_markers, marker_of
from friendli_endpoint.generation import Grammar, RequestError
from tests.support.chat import CHOICES, body_of, toolbox_of
from tests.support.scripted import ScriptedVocabulary

HERMES = family_named("hermes")
VOCABULARY = ScriptedVocabulary()


def tool(name: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters or {}}}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


TWO = [tool("look"), tool("ask")]
BAD = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
EMPTY = {
    "type": "object",
    "properties": {"a": {"allOf": [{"type": "null"}, {"type": "string"}]}},
    "required": ["a"],
}


@pytest.mark.parametrize(
    "asked", [{}, {"tool_choice": "auto"}, {"tools": TWO, "tool_choice": "none"}]
)
def test_there_is_no_toolbox_if_no_tool_may_be_called(asked: dict[str, Any]) -> None:
    assert toolbox_of(body_of(**asked), VOCABULARY, HERMES) is None


@pytest.mark.parametrize(
    ("asked", "required", "parallel", "names"),
    CHOICES,
)
def test_tool_choice_decides_which_tools_may_and_must_be_called(
    asked: dict[str, Any], required: bool, parallel: bool, names: list[str]
) -> None:
    box = toolbox_of(body_of(tools=TWO, **asked), VOCABULARY, HERMES)
    assert box is not None
    assert (box.required, box.parallel) == (required, parallel)
    assert [spec.name for spec in box.specs] == names
    assert [definition["function"]["name"] for definition in box.definitions] == names


class Compiler:
    """A tool compiler with its matcher compiler."""

    def __init__(self, family: Family = HERMES) -> None:
        self.matchers = MatcherCompiler(VOCABULARY)
        self._tools = ToolCompiler(family, VOCABULARY, GrammarMaker(self.matchers))

    def grammar(self, **asked: Any) -> Grammar:
        """Returns the grammar of a request, as a chat model does."""
        box = self._tools.toolbox(validate(body_of(**asked), ModelFacts(VOCABULARY)))
        assert box is not None
        return self._tools.grammar(box)

    def error_of(self, **asked: Any) -> RequestError:
        with pytest.raises(RequestError) as caught:
            self.grammar(**asked)
        assert caught.value.status == 400
        return caught.value


@pytest.mark.parametrize("num_others", [0, 1, 5])
@pytest.mark.parametrize("keyword", ["uniqueItems", "extends"])
def test_a_schema_that_cannot_be_rewritten_is_named_by_its_path(
    keyword: str, num_others: int
) -> None:
    value: object = True if keyword == "uniqueItems" else {}
    bad = {"type": "object", "properties": {"a": {"type": "array", keyword: value}}}
    tools = [*(tool(f"f{number}") for number in range(num_others)), tool("ask", bad)]
    error = Compiler().error_of(tools=tools)
    assert error.param == f"tools[{num_others}].function.parameters.properties.a.{keyword}"
    assert keyword in error.message


def test_a_schema_that_cannot_be_enforced_is_named_by_its_path() -> None:
    error = Compiler().error_of(tools=[tool("look"), tool("ask", BAD)])
    assert error.param is not None
    assert error.param.startswith("tools[1].function.parameters")
    assert "uniqueItems" in error.message


UNENFORCEABLE = [
    EMPTY,
    {"type": "object", "properties": {"a": {"minItems": 10**9, "type": "array"}}},
    {"type": "object", "properties": {"a": {"minimum": 5, "maximum": 1, "type": "number"}}},
]


@pytest.mark.parametrize("schema", UNENFORCEABLE, ids=["empty", "minItems", "minimum"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_tool_that_makes_the_joint_grammar_fail_is_named_by_its_path(
    schema: dict[str, Any], after: int
) -> None:
    tools = [tool("look"), tool("bad", {**schema, "required": ["a"]}), tool("ask")][: 2 + after]
    error = Compiler().error_of(tools=tools)
    assert error.param is not None
    assert error.param.startswith("tools[1].function.parameters")


def test_a_tool_that_exceeds_the_limits_of_the_compiler_is_named_by_its_path() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "^(a?){500}a{500}$"}},
        "required": ["a"],
    }
    error = Compiler().error_of(tools=[tool("look"), tool("bad", schema)])
    assert error.param is not None
    assert error.param.startswith("tools[1].function.parameters")


def test_a_tool_that_may_not_be_called_is_checked_as_well() -> None:
    with pytest.raises(RequestError) as caught:
        toolbox_of(body_of(tools=[tool("ask", BAD)], tool_choice="none"), VOCABULARY, HERMES)
    assert caught.value.param == "tools[0].function.parameters.properties.a.uniqueItems"
    chosen = Compiler().error_of(tools=[tool("look"), tool("ask", BAD)], tool_choice=named("look"))
    assert chosen.param == "tools[1].function.parameters.properties.a.uniqueItems"


def test_a_chosen_tool_is_named_by_its_index_in_the_request() -> None:
    error = Compiler().error_of(tools=[tool("look"), tool("ask", EMPTY)], tool_choice=named("ask"))
    assert error.param is not None
    assert error.param.startswith("tools[1].function.parameters")


def test_the_grammar_of_a_required_call_begins_with_the_marker() -> None:
    compiler = Compiler()
    grammar = compiler.grammar(tools=TWO, tool_choice=named("ask"))
    compiled = compiler.matchers.compile(grammar)
    constraint = compiler.matchers.constraint(compiled, VOCABULARY.end_ids)
    assert VOCABULARY.text(constraint.fast_forward_tokens()).startswith("<tool_call>")


@dataclass
class Counts:
    """Numbers of the expensive steps."""

    rewritten: list[str] = field(default_factory=list)
    """The path of each rewritten schema."""
    written: int = 0
    compiled: list[str] = field(default_factory=list)
    """The kind of each compiled grammar."""


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Counts, Family]]:
    """Counts the expensive steps of all tool compilers of the returned family."""
    counts = Counts()

    class Counted:
        """Hermes with a counter of its grammars."""

        name, markers, parser = HERMES.name, HERMES.markers, HERMES.parser
        recognises, fallback_prompt = HERMES.recognises, HERMES.fallback_prompt
        call_text = HERMES.call_text

        def grammar(
            self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
        ) -> str:
            counts.written += 1
            return HERMES.grammar(tools, required=required, parallel=parallel, marker=marker)

    def counted_fit(schema: object, param: str, **options: bool) -> RewrittenSchema:
        counts.rewritten.append(param)
        return rewrite_schema(schema, param, **options)

    compile_grammar = MatcherCompiler._compile

    def counted_compile(self: MatcherCompiler, grammar: Grammar, max_symbols: int) -> Any:
        counts.compiled.append(grammar.kind)
        return compile_grammar(self, grammar, max_symbols)

    with monkeypatch.context() as patched:
        patched.setattr(toolbox_module, "rewrite_schema", counted_fit)
        patched.setattr("friendli_endpoint.chat.structured.grammars.rewrite_schema", counted_fit)
        patched.setattr(MatcherCompiler, "_compile", counted_compile)
        yield counts, Counted()


THREE = [
    tool(name, {"type": "object", "properties": {name: {"type": "string"}}})
    for name in ("look", "ask", "go")
]
ALL_PATHS = [f"tools[{index}].function.parameters" for index in range(3)]


def test_the_first_request_rewrites_each_schema_once_and_compiles_one_grammar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with counting(monkeypatch) as (counts, family):
        Compiler(family).grammar(tools=THREE)
    assert counts == Counts(ALL_PATHS, 1, ["lark"])


def test_a_repeated_request_uses_the_caches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with counting(monkeypatch) as (counts, family):
        compiler = Compiler(family)
        first = compiler.grammar(tools=THREE)
        after_first = Counts([*counts.rewritten], counts.written, [*counts.compiled])
        assert compiler.grammar(tools=THREE) == first
        assert counts == after_first


def test_a_tool_is_rewritten_once_for_all_requests_and_positions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with counting(monkeypatch) as (counts, family):
        compiler = Compiler(family)
        compiler.grammar(tools=THREE[:2])
        compiler.grammar(tools=[THREE[2], THREE[0]])
        compiler.grammar(tools=THREE, tool_choice=named("go"))
        compiler.grammar(tools=THREE, tool_choice="required")
        compiler.grammar(tools=THREE, parallel_tool_calls=False)
    assert counts == Counts([ALL_PATHS[0], ALL_PATHS[1], ALL_PATHS[0]], 5, ["lark"] * 5)


def test_tools_with_any_difference_are_cached_separately(monkeypatch: pytest.MonkeyPatch) -> None:
    with counting(monkeypatch) as (counts, family):
        compiler = Compiler(family)
        described = tool("look")
        described["function"]["description"] = "Looks."
        for variant in (tool("look"), tool("see"), described, tool("look", {"title": "a"})):
            compiler.grammar(tools=[variant])
        assert len(counts.rewritten) == 4
        similar = tool('look", "Looks.')
        compiler.error_of(tools=[similar])


def test_the_grammar_depends_on_tool_choice_and_parallel_tool_calls() -> None:
    compiler = Compiler()
    options = [
        {"tool_choice": choice, "parallel_tool_calls": parallel}
        for choice in ("auto", "required", named("ask"))
        for parallel in (True, False)
    ]
    texts = [compiler.grammar(tools=TWO, **option).text for option in options]
    assert [compiler.grammar(tools=TWO, **option).text for option in options] == texts
    assert len(set(texts)) == 5  # a tool chosen by name is called only once


def test_a_large_schema_is_compiled_alone_first(monkeypatch: pytest.MonkeyPatch) -> None:
    large = tool("large", {"properties": {f"p{n}": {"type": "string"} for n in range(600)}})
    with counting(monkeypatch) as (counts, family):
        compiler = Compiler(family)
        for _ in range(2):
            compiler.grammar(tools=[THREE[0], large])
    assert counts.compiled == ["json_schema", "lark"]
    assert counts.written == 1


class Marked(ScriptedVocabulary):
    def token_bytes(self, token_id: int) -> bytes:
        return b"<tool_call>" if token_id == 3 else super().token_bytes(token_id)


def test_markers_that_are_control_tokens_have_the_lark_form_of_a_token() -> None:
    assert control_markers(HERMES, VOCABULARY) == frozenset()
    assert control_markers(HERMES, Marked()) == {3}
    marker = marker_of(HERMES, Marked())
    assert marker("<tool_call>") == "<[3]>"
    assert marker('a"\\\n') == '"a\\"\\\\\\n"'
