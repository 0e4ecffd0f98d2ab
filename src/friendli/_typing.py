"""Types of arguments, made for short errors of type checkers.

mypy reports a wrong argument of an overloaded function in one line if an overload takes the
argument once type parameters are ignored; else it prints all overloads, 10 KB for `complete()`.
`Argument[int]` is int for every checker, and takes any value once its parameter is ignored: only an
int has the class int.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, Union

from friendli.types import OptionalNullable, Unset

T = TypeVar("T")

if TYPE_CHECKING:
    T_co = TypeVar("T_co", covariant=True)

    class Exactly(Protocol[T_co]):
        """Any object whose class is T or a subclass: nothing that T itself would not take."""

        @property  # type: ignore[misc]
        def __class__(self) -> type[T_co]: ...  # type: ignore[override]

    Argument = Union[T, Exactly[T]]  # noqa: UP007  (subscripted as Argument[T])
    OptionalArgument = Union[T, Exactly[T], Unset, None]  # noqa: UP007
else:
    Argument = Union[T, T]  # noqa: UP007
    OptionalArgument = OptionalNullable
