"""Answers parsed into a type of the program: its JSON Schema is sent, its values are returned."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

import pydantic

from friendli._answer_schema import answer_schema
from friendli._errors import AnswerNotParsedError
from friendli.models.completion import ContainerChatCompleteSuccess

P = TypeVar("P")


class ParsedCompletion(ContainerChatCompleteSuccess, Generic[P]):
    """Whole answer whose content has been parsed into the requested type."""

    @property
    def parsed(self) -> P:
        """Value of the first choice."""
        return self.parsed_choices[0]

    @property
    def parsed_choices(self) -> list[P]:
        """Values of all choices, in their order."""
        return cast("list[P]", self.__dict__["_parsed"])


def is_format_type(value: Any) -> bool:
    """Return whether a `response_format` is a type to parse the answer into."""
    return isinstance(value, type)


def format_of(kind: type[Any]) -> dict[str, Any]:
    """Return the `response_format` that makes the model write JSON of a type."""
    schema = answer_schema(_adapter(kind))
    return {"type": "json_schema", "json_schema": {"name": kind.__name__, "schema": schema}}


def parse(completion: ContainerChatCompleteSuccess, kind: type[P]) -> ParsedCompletion[P]:
    """Parse the content of every choice.

    Raises:
        AnswerNotParsedError: A choice was cut off, or does not match the type.
    """
    values = []
    for choice in completion.choices:
        try:
            values.append(_adapter(kind).validate_json(choice.message.content or ""))
        except pydantic.ValidationError as cause:
            reason = (
                "it was cut off; allow more tokens with `max_tokens`"
                if choice.finish_reason == "length"
                else f"{cause}"
            )
            raise AnswerNotParsedError(
                f"choice {choice.index} is not a valid {kind.__name__}: {reason}", completion
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
