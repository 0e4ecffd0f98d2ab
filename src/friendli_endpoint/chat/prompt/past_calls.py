"""Tool calls of the history: their arguments, and their ids in the style of a chat template."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic_core import from_json

from friendli_endpoint.chat.prompt.history_form import HistoryForm, IdStyle
from friendli_endpoint.chat.tools.written import WrittenCall
from friendli_endpoint.generation import RequestError

__all__ = ["CallIds", "PastCall", "WrittenCalls"]

_SHORT_LENGTH = 9


@dataclass(frozen=True, slots=True)
class PastCall:
    """A tool call of an earlier answer.

    Attributes:
        fields: The call as it was sent.
        identity: The call's id for the template.
        path: The call's path in the request.
        arguments: The arguments: an object, or another JSON value, or text that is not JSON.
    """

    fields: Mapping[str, Any]
    identity: str
    path: str
    arguments: Any

    @classmethod
    def of(cls, fields: Mapping[str, Any], path: str) -> Self:
        """Returns a call of a request.

        Args:
            fields: The call.
            path: Its path in the request.
        """
        arguments = _arguments(fields["function"].get("arguments") or "")
        return cls(fields, fields["id"], path, arguments)

    @property
    def name(self) -> str:
        """Name of the tool."""
        return str(self.fields["function"]["name"])

    @property
    def written(self) -> WrittenCall:
        """The call, as families write it."""
        is_object = isinstance(self.arguments, dict)
        return WrittenCall(self.name, self.arguments if is_object else self._sent)

    def is_free(self, form: HistoryForm) -> bool:
        """Whether the template takes objects, and the arguments are not one."""
        return form.arguments == "object" and not isinstance(self._for_objects, dict)

    def for_template(self, form: HistoryForm) -> dict[str, Any]:
        """Returns the call as a template takes it, without other fields of it (`index`).

        Raises:
            RequestError: The arguments are not an object, and the template cannot take others.
        """
        if form.free_arguments is None and self.is_free(form):
            param = f"{self.path}.function.arguments"
            raise RequestError(
                f"{param} must be the JSON text of an object: the model's chat template cannot "
                "write anything else",
                param=param,
                code="template_error",
            )
        arguments = self._for_objects
        if form.arguments == "text":
            arguments = "{}" if self.arguments == {} else self._sent
        function = {"name": self.name, "arguments": arguments}
        return {"id": self.identity, "type": "function", "function": function}

    @property
    def _sent(self) -> str:
        return str(self.fields["function"]["arguments"])

    @property
    def _for_objects(self) -> Any:
        """The arguments; if they were cut off, as at `max_tokens`, the part that is there."""
        part = _cut_object(self._sent) if isinstance(self.arguments, str) else None
        return self.arguments if part is None else part


class WrittenCalls(str):
    """Text of an answer and its calls, written out in the format of a family.

    The markers of the format may become control tokens, as if the template had written them; the
    strings of the answer may not, so they can be changed before the text is composed.

    Args:
        text: Text before the calls, or an empty string.
        calls: The calls, at least one.
        write: Returns calls in the format of the family.
    """

    __slots__ = ("_calls", "_text", "_write")
    _text: str
    _calls: Sequence[WrittenCall]
    _write: Callable[[Sequence[WrittenCall]], str]

    def __new__(
        cls,
        text: str,
        calls: Sequence[WrittenCall],
        write: Callable[[Sequence[WrittenCall]], str],
    ) -> Self:
        """Composes the text."""
        whole = super().__new__(cls, "\n".join(filter(None, (text, write(calls)))))
        whole._text, whole._calls, whole._write = text, calls, write
        return whole

    def changed(self, change: Callable[[Any], Any]) -> str:
        """Returns the text with the strings of the answer changed.

        Args:
            change: Returns a changed string, or an object with its strings changed.
        """
        calls = [WrittenCall(change(call.name), change(call.arguments)) for call in self._calls]
        return "\n".join(filter(None, (change(self._text), self._write(calls))))


class CallIds:
    """Ids of the calls of a conversation in one style; equal ids stay equal, others different.

    Args:
        style: The style.
        sent: All ids of calls in the conversation.
    """

    def __init__(self, style: IdStyle, sent: Sequence[str]) -> None:
        self._style = style
        self._ids = {identity: identity for identity in sent if _is_short(identity)}
        self._taken = set(self._ids)
        self._count = 0

    def of_call(self, identity: str, name: str, position: int) -> str:
        """Returns the id of the next call.

        Args:
            identity: Its id in the request.
            name: Name of its tool.
            position: Its index in its message.
        """
        if self._style == "kept":
            return identity
        if self._style != "short":
            index = self._count if self._style == "numbered" else position
            self._ids[identity] = f"functions.{name}:{index}"
            self._count += 1
        elif identity not in self._ids:
            self._ids[identity] = self._short(identity)
        return self._ids[identity]

    def of_result(self, identity: str) -> str:
        """Returns the id of the latest call that was sent with this id."""
        return identity if self._style == "kept" else self._ids.get(identity, identity)

    def _short(self, identity: str) -> str:
        short, text = "", identity
        while not short or short in self._taken:
            text += "\0"
            short = hashlib.blake2b(text.encode()).hexdigest()[:_SHORT_LENGTH]
        self._taken.add(short)
        return short


def _is_short(identity: str) -> bool:
    return len(identity) == _SHORT_LENGTH and identity.isascii() and identity.isalnum()


def _arguments(text: str) -> Any:
    """Returns arguments as a JSON value, or the text if it is not JSON.

    Clients write a call without arguments as `{}`, `null`, an empty list (PHP's empty object), an
    empty string, or blanks.
    """
    if not text.strip():
        return {}
    try:
        value = from_json(text)  # limits the nesting; the renderer depends on that limit
    except ValueError:
        return text
    return {} if value in (None, "", []) else value


def _cut_object(text: str) -> dict[str, Any] | None:
    """Returns the part that is there of a JSON object that was cut off; None if it was not."""
    try:
        from_json(text)
    except ValueError as error:
        if text.lstrip().startswith("{") and str(error).startswith("EOF"):
            part: dict[str, Any] = from_json(text, allow_partial="trailing-strings")
            return part
    return None
