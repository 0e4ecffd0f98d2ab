"""MiniCPM 5: `<function name="NAME">` with a `<param name="KEY">` for each argument.

Text with `<`, `&` or a new line is in a CDATA block.
"""

from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.fields import Field, check_name, fields_of, raw_of
from friendli_endpoint.chat.tools.form import Form, Name, Part, Space, Word
from friendli_endpoint.chat.tools.lark import choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text, parameter_texts
from friendli_endpoint.chat.tools.xml import XmlArguments, XmlSyntax, raw_names
from friendli_endpoint.chat.tools.xml_values import ValueGrammar

__all__ = ["MiniCpm"]

_OPENING = '<function name="'
_CLOSING = "</function>"
_PARAMETER = '<param name="'
_PARAMETER_END = "</param>"
_BLOCK = "<![CDATA["
_BLOCK_END = f"]]>{_PARAMETER_END}"
_NOT_IN_NAMES = frozenset('<>"\n')
_NOT_IN_TEXT = frozenset("<&\n")
_KEY: tuple[Part, ...] = (Space(), _PARAMETER, Word(_NOT_IN_NAMES), '">')
_SYNTAX = XmlSyntax(
    opening=Form(*_KEY),
    ending=_PARAMETER_END,
    closing=Form(Space(), _CLOSING),
    lines=False,
    block=Form(*_KEY, _BLOCK),
    block_ending=_BLOCK_END,
)


class MiniCpm:
    """The family of MiniCPM 5."""

    name: ClassVar[str] = "minicpm"
    markers: ClassVar[tuple[str, ...]] = (_OPENING,)

    def recognises(self, template: str) -> bool:
        """Recognises the tags of functions and parameters."""
        return _OPENING in template and _PARAMETER in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of calls on separate lines, each on one line but for its text."""
        plain = ValueGrammar(_PARAMETER_END, quoted, lines=False)
        block = ValueGrammar(_BLOCK_END, quoted, lines=False)
        calls = choice(_call(tool, plain, block) for tool in tools)
        body = f"{calls} {quoted(_CLOSING)}"
        rules = marked(_OPENING, body, '"\\n"', marker, required=required, parallel=parallel)
        return f"{rules}SHORT: /[^<&\\n]*/ {quoted(_PARAMETER_END)}\n{block.terminals}"

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        raw = {tool.name: raw_names(tool) for tool in tools}

        def call(*before: Part) -> Rule:
            form = Form(*before, _OPENING, names, '">')
            return Rule(form, AFTER, lambda name: XmlArguments(_SYNTAX, raw[name]))

        first = (call(Space()),)
        return FormParser({START: first, TEXT: (call(),), AFTER: first})

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "\n".join(map(_written, calls))

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        argument = f'{_PARAMETER}ARGUMENT">VALUE{_PARAMETER_END}'
        return prompt(tools, f'{_OPENING}NAME">{argument}{_CLOSING}')


def _call(tool: ToolSpec, plain: ValueGrammar, block: ValueGrammar) -> str:
    parameters = " ".join(_parameter(field, plain, block) for field in fields_of(tool))
    return f"{quoted(tool.name + chr(34) + '>')} {parameters}"


def _parameter(field: Field, plain: ValueGrammar, block: ValueGrammar) -> str:
    check_name(field, _NOT_IN_NAMES)
    value = f"{quoted(f'{_PARAMETER}{field.name}{chr(34)}>')} {_value(field, plain, block)}"
    return f"({value})" + ("" if field.required else "?")


def _value(field: Field, plain: ValueGrammar, block: ValueGrammar) -> str:
    raw = raw_of(field.schema)
    if raw is None:
        return plain.of(field)
    blocked = f"{quoted(_BLOCK)} {block.of(field)}"
    if not raw.texts:
        # Short text may be without a block; a bound of its length only holds in a block.
        is_bounded = raw.min_length or raw.max_length is not None
        return blocked if is_bounded else f"(SHORT | {blocked})"
    is_plain = all(_NOT_IN_TEXT.isdisjoint(text) for text in raw.texts)
    return plain.of(field) if is_plain else blocked


def _written(call: WrittenCall) -> str:
    parameters = parameter_texts(call)
    body = arguments_text(call)
    if parameters is not None:
        body = "".join(_written_parameter(call, name, text) for name, text in parameters)
    return f'{_OPENING}{call.name}">{body}{_CLOSING}'


def _written_parameter(call: WrittenCall, name: str, text: str) -> str:
    is_text = isinstance(call.arguments, dict) and isinstance(call.arguments[name], str)
    if is_text and not _NOT_IN_TEXT.isdisjoint(text):
        return f'{_PARAMETER}{name}">{_BLOCK}{text}{_BLOCK_END}'
    return f'{_PARAMETER}{name}">{text}{_PARAMETER_END}'
