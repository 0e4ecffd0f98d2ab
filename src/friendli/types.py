"""UNSET and the base class of the wire types, which are in `friendli.models`.

A JSON field is in one of three states: absent (`UNSET`), null (`None`), or a value. The types keep
them apart: an absent optional field reads as `UNSET` and is left out of a dump, an explicit null
reads as `None` and is dumped as null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from operator import is_
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    Never,
    TypeVar,
    Union,
    get_args,
)

import pydantic
from pydantic import ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, SchemaSerializer, core_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "UNSET",
    "UNSET_SENTINEL",
    "BaseModel",
    "Nullable",
    "OptionalNullable",
    "UnrecognizedInt",
    "UnrecognizedStr",
    "Unset",
]

UNSET_SENTINEL = "~?~unset~?~sentinel~?~"
"""Kept for programs that import it; unused by this client."""


class Unset:
    """Type of `UNSET`: falsy, empty, and a singleton, also after copying and unpickling.

    It is the empty text where it is printed or formatted, and it is iterable, because programs
    print `delta.content` and iterate over `message.tool_calls` without a test. In the JSON of a
    program's own dicts, pydantic writes it as null, and FastAPI's `jsonable_encoder` as `{}`.
    """

    __slots__ = ()
    _instance: ClassVar[Unset | None] = None

    def __new__(cls) -> Unset:
        """Return the only instance."""
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __bool__(self) -> Literal[False]:
        return False

    def __iter__(self) -> Iterator[Never]:
        return iter(())

    def __repr__(self) -> str:
        return "Unset()"

    def __str__(self) -> str:
        return ""

    def __eq__(self, value: object) -> bool:
        return isinstance(value, Unset)

    def __hash__(self) -> int:
        return hash(Unset)

    def __copy__(self) -> Unset:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Unset:
        return self

    def __reduce__(self) -> str:
        return "UNSET"

    __pydantic_serializer__: ClassVar[SchemaSerializer] = SchemaSerializer(
        core_schema.any_schema(
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda _: None, when_used="json"
            )
        )
    )
    """Where pydantic looks for the serializer of an object in a field without a type."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Used by JSON Schemas only, which cannot express "absent": null means the same.
        to_null = core_schema.plain_serializer_function_ser_schema(lambda _: None)
        return core_schema.is_instance_schema(cls, serialization=to_null)


UNSET: Final = Unset()
"""Marks a field as absent."""

T = TypeVar("T")

Nullable = Union[T, None]  # noqa: UP007  (subscripted as Nullable[T] by programs)


def _pass_unset(value: Any, validate: Callable[[Any], Any]) -> Any:
    return value if value is UNSET else validate(value)


class _OrUnset:
    """Validator of `T | None | Unset`.

    UNSET can only come from Python, never from JSON, so the JSON branch is the plain schema of
    `T | None`: it has no cost, and the `loc` of an error contains only the field.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        value_type: Any = Union[tuple(arg for arg in get_args(source) if arg is not Unset)]  # noqa: UP007
        schema = handler.generate_schema(value_type)
        return core_schema.json_or_python_schema(
            json_schema=schema,
            python_schema=core_schema.no_info_wrap_validator_function(_pass_unset, schema),
        )


OptionalNullable = Annotated[
    Union[T, Unset, None],  # noqa: UP007  (subscripted as OptionalNullable[T])
    _OrUnset(),
    Field(exclude_if=partial(is_, UNSET)),
]
"""Field that may be absent (`UNSET`), null (`None`) or a `T`."""

if TYPE_CHECKING:
    NoneWhenAbsent = Union[T, None]  # noqa: UP007
    ABSENT: Any
else:
    NoneWhenAbsent = OptionalNullable
    ABSENT = UNSET


class _FailFast:
    """Ends the validation of a list at its first invalid item.

    pydantic's own `FailFast` has no hash, which branches of a union need.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return {**handler(source), "fail_fast": True}


FailFastList = Annotated[list[T], _FailFast()]
"""List whose validation reports at most one error.

With an error for each invalid item, a body of 3.8 MB takes 10 seconds and 2 GiB.
"""


class UnrecognizedStr(str):
    """String that is not among the values that this client knows."""

    __slots__ = ()


class UnrecognizedInt(int):
    """Integer that is not among the values that this client knows."""


class _NoneWhenAbsent:
    """Attribute of a wire type that reads as None where its field is absent.

    Only reading an attribute differs: the model still holds UNSET, so a dump leaves an absent field
    out and keeps an explicit null.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: pydantic.BaseModel | None, owner: type) -> Any:
        if instance is None:
            raise AttributeError(self._name)  # pydantic looks for defaults in base classes
        try:
            value = instance.__dict__[self._name]
        except KeyError:  # the field was deleted, or never constructed
            raise AttributeError(self._name) from None
        return None if value is UNSET else value

    def __set__(self, instance: pydantic.BaseModel, value: Any) -> None:
        instance.__dict__[self._name] = value

    def __delete__(self, instance: pydantic.BaseModel) -> None:
        del instance.__dict__[self._name]


class BaseModel(pydantic.BaseModel):
    """Base class of all wire types.

    Unknown fields are kept and dumped; fields are accepted by name and by alias, and dumped by
    alias; UNSET is never dumped.

    The published client has no attribute for the fields in `_new_fields`, so its programs test for
    them with `getattr(delta, "reasoning_content", None)`: while absent, they read as None and are
    left out of `repr` and `str`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow",
        populate_by_name=True,
        serialize_by_alias=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )

    _new_fields: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name in cls._new_fields:
            setattr(cls, name, _NoneWhenAbsent(name))

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        new_fields = self._new_fields
        for name, value in super().__repr_args__():
            if value is not UNSET or name not in new_fields:
                yield name, value

    if not TYPE_CHECKING:  # the signatures are pydantic's

        def model_dump(self, **options: Any) -> dict[str, Any]:
            """Dump to a dict, as pydantic does, but keep null also with `exclude_none`.

            An absent field is UNSET and never dumped, so a null is one that the server sent, and
            programs look it up: `chunk.model_dump(exclude_none=True)["choices"][0]["logprobs"]`.
            """
            return super().model_dump(**{**options, "exclude_none": False})

        def model_dump_json(self, **options: Any) -> str:
            """Dump to JSON text, as pydantic does, but keep null also with `exclude_none`."""
            return super().model_dump_json(**{**options, "exclude_none": False})

        def dict(self, **options: Any) -> dict[str, Any]:
            """Older name of `model_dump`."""
            return self.model_dump(**options)

        def json(self, **options: Any) -> str:
            """Older name of `model_dump_json`."""
            return self.model_dump_json(**options)
