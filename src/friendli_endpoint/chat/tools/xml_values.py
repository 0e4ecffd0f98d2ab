"""Grammar of values in XML-like parameters.

A parameter whose schema is a string (any text, or texts from a list) is written without quotes;
every other value is JSON. Text must not contain the text that ends it; JSON strings may.
"""

from friendli_endpoint.chat.tools.family import Marker
from friendli_endpoint.chat.tools.fields import Field, raw_of
from friendli_endpoint.chat.tools.lark import choice, is_token, json_value, quoted, without
from friendli_endpoint.generation import RequestError

__all__ = ["ValueGrammar"]


class ValueGrammar:
    """Builds Lark expressions of values with their endings.

    Args:
        ending: Text that ends a value.
        marker: Returns the Lark form of a marker.
        lines: Whether a new line precedes the ending.
    """

    def __init__(self, ending: str, marker: Marker, *, lines: bool) -> None:
        self._ending = ending
        self._newline = "\n" if lines else ""
        self._mark = marker(ending)
        self._terminals: dict[str, str] = {}

    @property
    def terminals(self) -> str:
        """Definitions of the terminals used by the values so far."""
        return "".join(f"{name}: {body}\n" for name, body in self._terminals.items())

    def of(self, field: Field) -> str:
        """Returns an expression of a field's value and its ending.

        Raises:
            RequestError: An allowed text contains the ending.
        """
        raw = raw_of(field.schema)
        if raw is None:
            return f"{json_value(field.schema)} {self._closed('')}"
        if raw.texts:
            if any(self._ending in text for text in raw.texts):
                raise RequestError(
                    f"the values of {field.name} must not contain {self._ending}, the end tag",
                    param="tools",
                    code="unsupported_schema",
                )
            return choice(self._closed(text) for text in raw.texts)
        upper = "" if raw.max_length is None else str(raw.max_length)
        name = f"VALUE_{raw.min_length}_{upper}"
        bounds = f" & /(?s:.){{{raw.min_length},{upper}}}/" if raw.min_length or upper else ""
        text = f"({without([self._ending])}{bounds})"
        if is_token(self._mark):
            self._terminals[name] = f"{text} {quoted(self._newline)}" if self._newline else text
            return f"{name} {self._mark}"
        # One terminal: with two, a greedy lexer would consume the ending as text.
        self._terminals[name] = f"{text} {quoted(self._newline + self._ending)}"
        return name

    def _closed(self, text: str) -> str:
        if is_token(self._mark):
            value = text + self._newline
            return f"{quoted(value)} {self._mark}" if value else self._mark
        return quoted(text + self._newline + self._ending)
