"""MiniMax M2 and DeepSeek V3.2: tags that invoke a function."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.tools import Family, ToolSpec, family_named
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.generation import RequestError

from .cases import TOOLS, Reading, called, parsed
from .walk import Walk, as_text, constraint

MINIMAX, DEEPSEEK = family_named("minimax_m2"), family_named("deepseek_v32")
_P = "｜DSML｜"  # noqa: RUF001


def minimax(name: str, *pairs: tuple[str, str], line: str = "\n") -> str:
    written = "".join(f'<parameter name="{k}">{v}</parameter>{line}' for k, v in pairs)
    return f'<minimax:tool_call>{line}<invoke name="{name}">{line}{written}</invoke>{line}' + (
        "</minimax:tool_call>"
    )


def deepseek(name: str, *pairs: tuple[str, str, str]) -> str:
    written = "".join(
        f'<{_P}parameter name="{k}" string="{kind}">{v}</{_P}parameter>\n' for k, kind, v in pairs
    )
    call = f'<{_P}invoke name="{name}">\n{written}</{_P}invoke>\n'
    return f"<{_P}function_calls>\n{call}</{_P}function_calls>"


@pytest.mark.parametrize("line", ["", "\n", "\n\n  "])
def test_tags_may_be_on_separate_lines(line: str) -> None:
    text = minimax("get", ("city", "x"), ("days", "3"), line=line)
    assert parsed(MINIMAX, text) == Reading("", [called("get", '{"city":"x","days":3}')])


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("city", '<invoke name="get"> "x" \n', '<invoke name="get"> "x" \n'),
        ("city", "12", "12"),
        ("days", " 12\n", 12),
        ("unit", "C or F", "C or F"),
        ("unheard of", '["</parameter>"]', ["</parameter>"]),
        ("unheard of", "plain text", "plain text"),
    ],
)
def test_the_schema_decides_whether_a_value_is_text_or_json(
    key: str, written: str, value: Any
) -> None:
    (found,) = parsed(MINIMAX, minimax("get", (key, written))).calls
    assert json.loads(found.arguments) == {key: value}
    if "</parameter>" not in written:
        (found,) = parsed(DEEPSEEK, deepseek("get", (key, "false", written))).calls
        assert json.loads(found.arguments) == {key: value}


@pytest.mark.parametrize("lines", ["", "\n"])
def test_a_call_may_have_no_parameters_and_an_empty_line(lines: str) -> None:
    text = deepseek("now.utc").replace(f"</{_P}invoke>", f"{lines}</{_P}invoke>")
    assert parsed(DEEPSEEK, text) == Reading("", [called("now.utc", "{}")])
    walk = Walk(constraint(DEEPSEEK, TOOLS, as_text, required=True, parallel=False))
    walk.write(text)


def test_a_parameter_of_deepseek_says_whether_it_is_text() -> None:
    text = deepseek("get", ("city", "true", "x"), ("days", "false", "3"))
    assert parsed(DEEPSEEK, text) == Reading("", [called("get", '{"city":"x","days":3}')])
    walk = Walk(constraint(DEEPSEEK, TOOLS, as_text, required=True, parallel=False))
    walk.write(text)
    untyped = text.replace(' string="true"', "")
    assert not any(call.ended for call in parsed(DEEPSEEK, untyped).calls)


@pytest.mark.parametrize("family", [MINIMAX, DEEPSEEK])
@pytest.mark.parametrize("name", ["", "a<b", 'a"b', "a\nb", "x" * 257])
def test_an_argument_name_that_a_tag_cannot_contain_is_unsupported(
    family: Family, name: str
) -> None:
    tool = ToolSpec("f", None, {"type": "object", "properties": {name: {}}})
    with pytest.raises(RequestError, match="is not supported in this model's tool-call format"):
        family.grammar([tool], required=True, parallel=False, marker=quoted)


def test_a_template_is_recognised_by_the_tag_of_its_block() -> None:
    assert MINIMAX.recognises("<minimax:tool_call>") and not MINIMAX.recognises("<invoke name=")
    assert DEEPSEEK.recognises(f"<{_P}function_calls>")
    assert not DEEPSEEK.recognises(f"<{_P}tool_calls>")
    assert family_named("deepseek_v4").recognises(f"<{_P}tool_calls>")
