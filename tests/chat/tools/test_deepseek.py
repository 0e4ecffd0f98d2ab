"""DeepSeek: markers around name and JSON arguments; V3 and R1 fence the JSON, V3.1 does not."""

from collections.abc import Callable

import pytest

from friendli_endpoint.chat.tools.deepseek import DeepSeek

from .cases import Reading, called, parsed

FENCED, BARE = DeepSeek("v3", fenced=True), DeepSeek("v31", fenced=False)
BEGIN, END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"  # noqa: RUF001
CALL, CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"  # noqa: RUF001
SEP = "<｜tool▁sep｜>"  # noqa: RUF001


def fenced(name: str, arguments: str) -> str:
    return f"{CALL}function{SEP}{name}\n```json\n{arguments}\n```{CALL_END}"


def bare(name: str, arguments: str) -> str:
    return f"{CALL}{name}{SEP}{arguments}{CALL_END}"


Call = Callable[[str, str], str]
FORMS: list[tuple[DeepSeek, Call]] = [(FENCED, fenced), (BARE, bare)]
both = pytest.mark.parametrize(("family", "call"), FORMS, ids=["fenced", "bare"])
READ = called("get", '{"city": "x"}')


@both
def test_text_may_be_around_blocks_of_calls(family: DeepSeek, call: Call) -> None:
    single = call("get", '{"city": "x"}')
    text = f"A {BEGIN}{single}{single}{END} B {BEGIN}{single}{END}\nC"
    assert parsed(family, text) == Reading("A  B \nC", [READ] * 3)


@both
def test_a_call_outside_a_block_is_text(family: DeepSeek, call: Call) -> None:
    text = call("get", "{}") + f" and {END}"
    assert parsed(family, text) == Reading(text, [])


@both
def test_white_space_between_markers_is_ignored(family: DeepSeek, call: Call) -> None:
    single = (
        call("get", '\n{"city": "x"}').replace(SEP, f" {SEP}").replace(CALL_END, f"\n{CALL_END}")
    )
    text = f"\n{BEGIN}\n{single}\n\n{single}\n{END}\n"
    assert parsed(family, text) == Reading("", [READ, READ])


@both
def test_arguments_may_contain_markers_and_fences(family: DeepSeek, call: Call) -> None:
    arguments = f'{{"city": "```{CALL_END}{END}\\"}}"}}'
    text = BEGIN + call("get", arguments) + END
    assert parsed(family, text) == Reading("", [called("get", arguments)])


@both
def test_a_block_truncated_between_calls_leaves_no_text(family: DeepSeek, call: Call) -> None:
    text = BEGIN + call("get", '{"city": "x"}')
    for end in range(text.index("}") + 1, len(text) + 1):
        assert parsed(family, text[:end]) == Reading("", [READ])
    assert parsed(family, text + END[:4]) == Reading("", [READ])


@both
def test_a_call_of_an_unknown_tool_in_a_block_is_text(family: DeepSeek, call: Call) -> None:
    unknown = call("put", "{}")
    text = BEGIN + call("get", '{"city": "x"}') + unknown + END
    assert parsed(family, text) == Reading(unknown + END, [READ])


def test_the_formats_do_not_parse_each_other() -> None:
    for family, call in ((FENCED, bare), (BARE, fenced)):
        text = BEGIN + call("get", "{}") + END
        assert parsed(family, text) == Reading(text, [])


def test_a_fence_in_another_language_is_text() -> None:
    text = BEGIN + fenced("get", "{}").replace("json", "python") + END
    assert parsed(FENCED, text) == Reading(text, [])


def test_the_fenced_family_is_recognised_only_with_a_fence() -> None:
    assert [family.recognises(BEGIN + "```json") for family in (FENCED, BARE)] == [True, True]
    assert [family.recognises(BEGIN) for family in (FENCED, BARE)] == [False, True]
    assert not FENCED.recognises("```json") and not BARE.recognises(CALL)
