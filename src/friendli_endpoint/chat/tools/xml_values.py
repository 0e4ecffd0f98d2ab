"""Arguments as XML-like parameters: the grammar of their values.

A parameter whose schema is that of a string (any text, or texts from a list) is written as it is;
every other value is JSON. Text must not hold what ends it; in the strings of JSON it may stand.
"""

from friendli_endpoint.chat.tools.family import Marker
from friendli_endpoint.chat.tools.fields import Field, raw_of
from friendli_endpoint.chat.tools.lark import choice, is_token, json_value, quoted, without
from friendli_endpoint.generation import RequestError

__all__ = ["ValueGrammar"]


class ValueGrammar:
    """Makes the Lark of parameters' values, each with what ends it.

    Args:
        ending: What ends a value.
        marker: The Lark form of markers.
        lines: Whether a new line stands before the ending.
    """

    def __init__(self, ending: str, marker: Marker, *, lines: bool) -> None:
        self._ending = ending
        self._newline = "\n" if lines else ""
        self._mark = marker(ending)
        self._terminals: dict[str, str] = {}

    @property
    def terminals(self) -> str:
        """The definitions that values need."""
        return "".join(f"{name}: {body}\n" for name, body in self._terminals.items())

    def of(self, field: Field) -> str:
        """A value and its ending, as an expression."""
        raw = raw_of(field.schema)
        if raw is None:
            return f"{json_value(field.schema)} {self._closed('')}"
        if raw.texts:
            if any(self._ending in each for each in raw.texts):
                raise RequestError(
                    f"the values of {field.name} must not contain {self._ending}, which ends them",
                    param="tools",
                    code="unsupported_schema",
                )
            return choice(self._closed(text) for text in raw.texts)
        most = "" if raw.most is None else str(raw.most)
        name = f"VALUE_{raw.least}_{most}"
        bounds = f" & /(?s:.){{{raw.least},{most}}}/" if raw.least or most else ""
        text = f"({without([self._ending])}{bounds})"
        if is_token(self._mark):
            self._terminals[name] = f"{text} {quoted(self._newline)}" if self._newline else text
            return f"{name} {self._mark}"
        # One terminal, for a lexer that takes as much as it can would run over the ending.
        self._terminals[name] = f"{text} {quoted(self._newline + self._ending)}"
        return name

    def _closed(self, text: str) -> str:
        if is_token(self._mark):
            shown = text + self._newline
            return f"{quoted(shown)} {self._mark}" if shown else self._mark
        return quoted(text + self._newline + self._ending)
