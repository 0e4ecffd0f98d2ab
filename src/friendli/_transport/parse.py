"""Answers in a format of the program's own: a type in, its JSON Schema out, and values back."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

import pydantic

from friendli._errors import AnswerNotParsedError
from friendli.models.completion import ContainerChatCompleteSuccess

P = TypeVar("P")


class ParsedCompletion(ContainerChatCompleteSuccess, Generic[P]):
    """A whole answer whose content has been read into a value of the requested type."""

    @property
    def parsed(self) -> P:
        """The value of the first choice."""
        return self.parsed_choices[0]

    @property
    def parsed_choices(self) -> list[P]:
        """The values of all choices, in their order."""
        return cast("list[P]", self.__dict__["_parsed"])


def is_format_type(value: Any) -> bool:
    """Tell whether a `response_format` is a type to read the answer into."""
    return isinstance(value, type)


def format_of(kind: type[Any]) -> dict[str, Any]:
    """Give the `response_format` that makes the model write a `kind`."""
    schema = _adapter(kind).json_schema()
    return {"type": "json_schema", "json_schema": {"name": kind.__name__, "schema": schema}}


def parse(completion: ContainerChatCompleteSuccess, kind: type[P]) -> ParsedCompletion[P]:
    """Read the content of every choice.

    Raises:
        AnswerNotParsedError: A choice was cut off, or does not fit the type.
    """
    values = []
    for choice in completion.choices:
        try:
            values.append(_adapter(kind).validate_json(choice.message.content or ""))
        except pydantic.ValidationError as cause:
            why = (
                "it was cut off: allow more tokens with max_tokens="
                if choice.finish_reason == "length"
                else f"{cause}"
            )
            raise AnswerNotParsedError(
                f"choice {choice.index} is not a {kind.__name__}: {why}", completion
            ) from cause
    parsed: ParsedCompletion[P] = ParsedCompletion.model_construct(
        completion.model_fields_set, **completion.__dict__
    )
    if completion.model_extra:
        parsed.model_extra.update(completion.model_extra)  # type: ignore[union-attr]
    parsed.__dict__["_parsed"] = values
    return parsed


_adapters: WeakKeyDictionary[type[Any], pydantic.TypeAdapter[Any]] = WeakKeyDictionary()


def _adapter(kind: type[Any]) -> pydantic.TypeAdapter[Any]:
    adapter = _adapters.get(kind)
    if adapter is None:
        adapter = _adapters[kind] = pydantic.TypeAdapter(kind)
    return adapter
