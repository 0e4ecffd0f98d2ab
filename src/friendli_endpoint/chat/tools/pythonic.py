"""Calls as a Python list: Llama 4 writes it bare, LFM2 between markers.

Values are written as JSON, which is valid Python for most literals; a value whose schema is only
boolean or null is written as in Python. The parser reads both.
"""

from collections.abc import Sequence

from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Form, Name, Part, Space
from friendli_endpoint.chat.tools.keywords import KeywordArguments, keyword_rules
from friendli_endpoint.chat.tools.lark import (
    SPACES,
    any_but,
    choice,
    escaped,
    is_token,
    marked,
    names_pattern,
    quoted,
)
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule

__all__ = ["BarePythonic", "MarkedPythonic"]

_CLOSED = "closed"


class MarkedPythonic:
    """LFM2: a list between two markers, anywhere in the answer."""

    name = "lfm2"
    _opening = "<|tool_call_start|>"
    _closing = "<|tool_call_end|>"
    markers = (_opening, _closing)

    def recognises(self, template: str) -> bool:
        """Recognises the opening marker, or that of the list of tools."""
        return self._opening in template or "<|tool_list_start|>" in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one list of calls."""
        body = f'"[" item {_rest(parallel=parallel)} {marker(self._closing)}'
        rules = marked(self._opening, body, "", marker, required=required, parallel=False)
        return rules + _items(tools)

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        first = (_call(tools, Space(), self._opening, Space(), "["),)
        return FormParser(
            {
                START: first,
                TEXT: (_call(tools, self._opening, Space(), "["),),
                TAIL: (_call(tools, Space(), ","), Rule(Form(Space(), "]"), _CLOSED)),
                _CLOSED: (Rule(Form(Space(), self._closing), AFTER),),
                AFTER: first,
            }
        )

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(tools, f"{self._opening}[NAME(ARGUMENT=VALUE)]{self._closing}")


class BarePythonic:
    """Llama 4: an answer that begins with a call of a known tool is a list of calls."""

    name = "pythonic"
    _opening = "<|python_start|>"
    _closing = "<|python_end|>"
    markers = (_opening, _closing)

    def recognises(self, template: str) -> bool:
        """Recognises the list in the instructions, or Llama 4's headers without JSON calls."""
        headers = "<|header_start|>" in template and '"parameters"' not in template
        return headers or "[func_name" in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one list; text may not begin like one or contain the marker."""
        rest = f"rest: {_rest(parallel=parallel)}\n"
        if required:
            return f'start: "[" item rest\n{rest}{_items(tools)}'
        opening, closing = marker(self._opening), marker(self._closing)
        between = f' | TEXT {opening} "[" item rest {closing}' if is_token(opening) else ""
        item = "" if not (parallel or between) else _item(tools)
        bare = choice(f"/{_bare(tool.name)}/ args_{i}_0" for i, tool in enumerate(tools))
        beginning = f"{SPACES}\\[{names_pattern(tools)}\\((?s:.*)"
        text = any_but(f"({beginning}|(?s:.*){escaped(self._opening)}(?s:.*))")
        return f"start: TEXT | {bare} rest{between}\nTEXT: {text}\n{rest}{item}{_arguments(tools)}"

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        between = _call(tools, Space(), self._opening, Space(), "[")
        return FormParser(
            {
                START: (_call(tools, Space(), "["), between),
                TEXT: (_call(tools, self._opening, Space(), "["),),
                TAIL: (_call(tools, Space(), ","), Rule(Form(Space(), "]"), AFTER)),
                AFTER: (Rule(Form(Space(), self._closing), AFTER), between),
            }
        )

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(tools, "[NAME(ARGUMENT=VALUE)]")


def _call(tools: Sequence[ToolSpec], *before: Part) -> Rule:
    spaces = () if before[-1] == "[" else (Space(),)
    form = Form(*before, *spaces, Name.of(tool.name for tool in tools), "(")
    return Rule(form, TAIL, KeywordArguments)


def _bare(name: str) -> str:
    """Returns a regular expression for the beginning of a list, up to the first name."""
    return f"{SPACES}\\[{escaped(name)}\\("


def _rest(*, parallel: bool) -> str:
    """Returns the part of a list after its first call."""
    return '(", " item)* "]"' if parallel else '"]"'


def _items(tools: Sequence[ToolSpec]) -> str:
    """Returns the rules of a call."""
    return _item(tools) + _arguments(tools)


def _item(tools: Sequence[ToolSpec]) -> str:
    calls = choice(f"{quoted(tool.name + '(')} args_{i}_0" for i, tool in enumerate(tools))
    return f"item: {calls}\n"


def _arguments(tools: Sequence[ToolSpec]) -> str:
    return "".join(keyword_rules(tool, str(index)) for index, tool in enumerate(tools))
