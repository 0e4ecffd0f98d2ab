"""Signatures of callables that a model may call, or the reason why it may not call one."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, Final, NotRequired, get_type_hints

import pydantic
from typing_extensions import TypedDict

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ONE_VALUE: Final = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)
"""Kinds of parameters that can be passed by name."""


class CallSignature:
    """Name, description and parameters of a callable.

    Args:
        function: A function, a bound method, a `functools.partial`, or an object with `__call__`.

    Attributes:
        name: Name of the function, or of the object's class.
        description: Docstring of the function, or of the object's class; None if it has none.
        is_async: Whether its result must be awaited.

    Raises:
        TypeError: The object is not a function, or has no usable name.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        if isinstance(function, type) or not callable(function):
            kind = "a class" if isinstance(function, type) else f"of type {type(function).__name__}"
            raise TypeError(f"{function!r} cannot be a tool: it is {kind}, not a function")
        self._function = function
        bound: set[str] = set()
        inner: Any = function
        while isinstance(inner, functools.partial):
            bound.update(inner.keywords)
            inner = inner.func
        self._bound = bound
        is_function = hasattr(inner, "__name__")
        self._inner = inner if is_function else type(inner).__call__
        self.name: str = inner.__name__ if is_function else type(inner).__name__
        self.description = inspect.getdoc(inner if is_function else self._inner)
        if not is_function and not self._inner.__doc__:
            self.description = inspect.getdoc(type(inner))
        self.is_async = inspect.iscoroutinefunction(inspect.unwrap(self._inner))
        if not _NAME.fullmatch(self.name):
            raise TypeError(
                f"{function!r} cannot be a tool: the model needs a name of 1 to 64 letters, digits "
                f"and '_', '-', '.', not {self.name!r}"
            )
        if inspect.isgeneratorfunction(self._inner) or inspect.isasyncgenfunction(self._inner):
            raise TypeError(f"{self.name}() cannot be a tool: it is a generator")

    def arguments_type(self) -> Any:
        """Return a TypedDict of the parameters.

        Raises:
            TypeError: A parameter cannot be passed by name, or its type is not known.
        """
        fields: dict[str, Any] = {}
        hints = self._hints()
        for name, parameter in self._parameters().items():
            if name in self._bound:
                continue
            if parameter.kind not in _ONE_VALUE:
                stars: dict[Any, str] = {
                    inspect.Parameter.VAR_POSITIONAL: "*",
                    inspect.Parameter.VAR_KEYWORD: "**",
                }
                shown = stars.get(parameter.kind, "") + name
                raise self._error(f"a model passes each argument by name, and {shown!r} has none")
            if name not in hints:
                hint = " (pass a bound method)" if name == "self" else ""
                raise self._error(f"parameter {name!r} needs a type annotation{hint}")
            is_required = parameter.default is parameter.empty
            fields[name] = hints[name] if is_required else NotRequired[hints[name]]
        kind = TypedDict(self.name, fields)  # type: ignore[misc]
        kind.__pydantic_config__ = pydantic.ConfigDict(  # type: ignore[attr-defined]
            extra="forbid"
        )
        return kind

    def _parameters(self) -> dict[str, inspect.Parameter]:
        try:
            return dict(inspect.signature(self._function).parameters)
        except ValueError:
            raise self._error("its signature is not known") from None

    def _hints(self) -> dict[str, Any]:
        try:
            return get_type_hints(self._inner, include_extras=True)
        except NameError as error:
            raise self._error(f"a type annotation cannot be resolved: {error}") from None

    def _error(self, reason: str) -> TypeError:
        return TypeError(f"{self.name}() cannot be a tool: {reason}")
