"""DeepSeek: markers around name and JSON arguments; V3 and R1 fence the JSON, V3.1 does not."""

from collections.abc import Sequence

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, Part, Space
from friendli_endpoint.chat.tools.lark import arguments, choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text

__all__ = ["DeepSeek"]

_CALLS = "<｜tool▁calls▁begin｜>"  # noqa: RUF001
_CALLS_END = "<｜tool▁calls▁end｜>"  # noqa: RUF001
_CALL = "<｜tool▁call▁begin｜>"  # noqa: RUF001
_CALL_END = "<｜tool▁call▁end｜>"  # noqa: RUF001
_SEPARATOR = "<｜tool▁sep｜>"  # noqa: RUF001
_FENCE = "```json"
_FENCED = f"\n{_FENCE}\n"
_NEXT = "next"


class DeepSeek:
    """The families of DeepSeek.

    Args:
        name: Name of the family.
        fenced: Whether the kind of call is written and the arguments are in a code fence.
    """

    markers = (_CALLS, _CALL, _SEPARATOR, _CALL_END, _CALLS_END)

    def __init__(self, name: str, *, fenced: bool) -> None:
        self.name = name
        self._fenced = fenced

    def recognises(self, template: str) -> bool:
        """Recognises the first marker; for the older format also its fence."""
        return _CALLS in template and (not self._fenced or _FENCE in template)

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar with an outer pair of markers around all calls, an inner around one."""
        between = '"\\n" ' if self._fenced else ""
        more = f" ({between}item)*" if parallel else ""
        body = f"item{more} {marker(_CALLS_END)}"
        rules = marked(_CALLS, body, "", marker, required=required, parallel=False)
        calls = choice(self._call(tool, marker) for tool in tools)
        kind = f'"function" {marker(_SEPARATOR)} ' if self._fenced else ""
        return f"{rules}item: {marker(_CALL)} {kind}{calls} {marker(_CALL_END)}\n"

    def _call(self, tool: ToolSpec, marker: Marker) -> str:
        inside = arguments(tool.parameters)
        if self._fenced:
            return f'{quoted(tool.name + _FENCED)} {inside} "\\n```"'
        return f"{quoted(tool.name)} {marker(_SEPARATOR)} {inside}"

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        fence: tuple[Part, ...] = (Space(), "```") if self._fenced else ()
        head: tuple[Part, ...] = (names, Space(), _SEPARATOR)
        if self._fenced:
            head = ("function", Space(), _SEPARATOR, names, Space(), _FENCE)

        def call(*before: Part) -> Rule:
            form = Form(*before, Space(), _CALL, *head, Space(), Ahead("{"))
            return Rule(form, TAIL, JsonArguments)

        return FormParser(
            {
                START: (call(Space(), _CALLS),),
                TEXT: (call(_CALLS),),
                TAIL: (Rule(Form(*fence, Space(), _CALL_END), _NEXT),),
                _NEXT: (call(), Rule(Form(Space(), _CALLS_END), AFTER)),
                AFTER: (call(Space(), _CALLS),),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        separator = "\n" if self._fenced else ""
        return f"{_CALLS}{separator.join(map(self._written, calls))}{_CALLS_END}"

    def _written(self, call: WrittenCall) -> str:
        if self._fenced:
            fenced = f"{_FENCED}{arguments_text(call)}\n```"
            return f"{_CALL}function{_SEPARATOR}{call.name}{fenced}{_CALL_END}"
        return f"{_CALL}{call.name}{_SEPARATOR}{arguments_text(call)}{_CALL_END}"

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        call = f'NAME{_SEPARATOR}{{"ARGUMENT": VALUE}}'
        if self._fenced:
            call = f'function{_SEPARATOR}NAME\n{_FENCE}\n{{"ARGUMENT": VALUE}}\n```'
        return prompt(tools, f"{_CALLS}{_CALL}{call}{_CALL_END}{_CALLS_END}")
