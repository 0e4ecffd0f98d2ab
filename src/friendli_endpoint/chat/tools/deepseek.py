"""DeepSeek: markers around name and JSON; V3 and R1 fence the JSON, V3.1 does not."""

from collections.abc import Sequence

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, Part, Space
from friendli_endpoint.chat.tools.lark import arguments, choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule

__all__ = ["DeepSeek"]

_CALLS = "<｜tool▁calls▁begin｜>"  # noqa: RUF001
_CALLS_END = "<｜tool▁calls▁end｜>"  # noqa: RUF001
_CALL = "<｜tool▁call▁begin｜>"  # noqa: RUF001
_CALL_END = "<｜tool▁call▁end｜>"  # noqa: RUF001
_BETWEEN = "<｜tool▁sep｜>"  # noqa: RUF001
_FENCE = "```json"
_FENCED = f"\n{_FENCE}\n"
_NEXT = "next"


class DeepSeek:
    """The families of DeepSeek.

    Args:
        name: What the family is called.
        fenced: Whether the kind of call is named and the arguments stand in a fence.
    """

    markers = (_CALLS, _CALL, _BETWEEN, _CALL_END, _CALLS_END)

    def __init__(self, name: str, *, fenced: bool) -> None:
        self.name = name
        self._fenced = fenced

    def recognises(self, template: str) -> bool:
        """By the first marker; the older form also by its fence."""
        return _CALLS in template and (not self._fenced or _FENCE in template)

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """All calls between one pair of markers, each between another."""
        between = '"\\n" ' if self._fenced else ""
        more = f" ({between}item)*" if parallel else ""
        body = f"item{more} {marker(_CALLS_END)}"
        rules = marked(_CALLS, body, "", marker, required=required, parallel=False)
        calls = choice(self._call(tool, marker) for tool in tools)
        kind = f'"function" {marker(_BETWEEN)} ' if self._fenced else ""
        return f"{rules}item: {marker(_CALL)} {kind}{calls} {marker(_CALL_END)}\n"

    def _call(self, tool: ToolSpec, marker: Marker) -> str:
        inside = arguments(tool.parameters)
        if self._fenced:
            return f'{quoted(tool.name + _FENCED)} {inside} "\\n```"'
        return f"{quoted(tool.name)} {marker(_BETWEEN)} {inside}"

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """A parser of one output."""
        names = Name.of(tool.name for tool in tools)
        fence: tuple[Part, ...] = (Space(), "```") if self._fenced else ()
        head: tuple[Part, ...] = (names, Space(), _BETWEEN)
        if self._fenced:
            head = ("function", Space(), _BETWEEN, names, Space(), _FENCE)

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

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """What the models are trained to write."""
        call = f'NAME{_BETWEEN}{{"ARGUMENT": VALUE}}'
        if self._fenced:
            call = f'function{_BETWEEN}NAME\n{_FENCE}\n{{"ARGUMENT": VALUE}}\n```'
        return prompt(tools, f"{_CALLS}{_CALL}{call}{_CALL_END}{_CALLS_END}")
