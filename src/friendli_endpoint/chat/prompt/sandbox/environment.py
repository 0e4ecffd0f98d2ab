"""The environment of Jinja that applies the limits."""

import sys
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any, NoReturn

from jinja2 import nodes, pass_context
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.utils import Cycler, Joiner, Namespace

from friendli_endpoint.chat.prompt.sandbox import syntax
from friendli_endpoint.chat.prompt.sandbox.attributes import allowed_names, refusal, type_name
from friendli_endpoint.chat.prompt.sandbox.filters import FILTERS
from friendli_endpoint.chat.prompt.sandbox.formats import StringFormat
from friendli_endpoint.chat.prompt.sandbox.meter import SandboxError, charged, current
from friendli_endpoint.chat.prompt.sandbox.methods import METHODS
from friendli_endpoint.chat.prompt.sandbox.operators import (
    compare,
    computed,
    concatenated,
    number,
    sliced,
)
from friendli_endpoint.chat.prompt.sandbox.tests import TESTS
from friendli_endpoint.chat.prompt.sandbox.values import SCALARS, State, as_text, joined, measure

__all__ = ["Sandbox"]

_CALL_BYTES = 256
"""Memory of a call and of what it leaves behind, besides its arguments and its result."""

_NAMED_BYTES = 112
"""Memory of an entry of a dictionary of named arguments."""

_CHECKED_CALLS = (Macro, LoopContext, Joiner, Undefined)
"""Types of functions whose result is charged where it is created, or exists already."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Environment that limits its templates; render them inside `rendering`.

    Args:
        functions: Functions that templates may call, by name.
        options: Options of Jinja's environment.
    """

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self, functions: dict[str, Callable[..., Any]], **options: Any) -> None:
        super().__init__(**options, finalize=_output_text)
        self.filters = {**FILTERS, **_SYNTAX_FILTERS}
        self.tests = dict(TESTS)
        self.globals = {
            **self.globals,
            "dict": _object,
            "namespace": _namespace,
            "range": _range,
            **functions,
        }
        del self.globals["lipsum"]

    @staticmethod
    def concat(chunks: Iterable[str]) -> str:
        """Joins the output of a macro or of a block."""
        return joined("", list(chunks))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Returns an attribute or an item of a value; called for `value.name`."""
        if type(obj) is dict and attribute not in _DICT_NAMES:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        if attribute in allowed_names(obj):
            return self._attribute(obj, attribute)
        if isinstance(obj, Undefined):
            return getattr(obj, attribute)  # raises an error that names the variable
        if isinstance(obj, Namespace):
            values = obj._Namespace__attrs
            return (
                values[attribute]
                if attribute in values
                else self.undefined(obj=obj, name=attribute)
            )
        if hasattr(obj, attribute):
            raise refusal(obj, attribute)
        try:
            return obj[attribute]
        except (TypeError, LookupError, AttributeError):
            return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Returns an item or an attribute of a value; called for `value[key]`."""
        if type(argument) not in SCALARS:
            measure(argument)
        try:
            return obj[argument]
        except (TypeError, LookupError, AttributeError):
            if isinstance(argument, str):
                if argument in allowed_names(obj):
                    return self._attribute(obj, argument)
                if isinstance(obj, Namespace):
                    return self.getattr(obj, argument)
        return self.undefined(obj=obj, name=argument)

    def _attribute(self, value: Any, name: str) -> Any:
        if name == "format" and isinstance(value, str):
            return StringFormat(self, value)
        return getattr(value, name)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a method, a macro or a global function."""
        meter = current()
        meter.check_time()
        meter.spend(_CALL_BYTES + 16 * len(args) + _NAMED_BYTES * len(kwargs))
        if type(function) is BuiltinMethodType:
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            return self._call_method(function, args, kwargs)
        if isinstance(function, _CHECKED_CALLS):
            return super().call(context, function, *args, **kwargs)
        if not self._is_callable(function):
            raise SandboxError(f"the chat template calls a value of type {type_name(function)!r}")
        for argument in (*args, *kwargs.values()):
            measure(argument)
        return charged(super().call(context, function, *args, **kwargs))

    def _call_method(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        owner, name = function.__self__, function.__name__
        method = METHODS.get((type(owner), name))
        if method is None:
            raise refusal(owner, name)
        return method(function, owner, *args, **kwargs)

    def _is_callable(self, function: Any) -> bool:
        """Whether a value is a method of a loop or cycler, a string's `format`, or a global."""
        if isinstance(function, MethodType):
            return isinstance(function.__self__, LoopContext | Cycler)
        return isinstance(function, StringFormat) or (
            isinstance(function, FunctionType | type)
            and any(function is known for known in self.globals.values())
        )

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Computes an arithmetic operator."""
        if operator == "+" and type(left) is str and type(right) is str:
            return charged(left + right)
        return computed(operator, left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        syntax.restrict(parsed, self)
        return parsed


_DICT_NAMES = frozenset(dir(dict))


def _output_text(value: Any) -> str:
    """Returns a value that the template writes to its output as text."""
    return value if type(value) is str else as_text(value)


def _object(pairs: Any = (), /, **kwargs: Any) -> dict[Any, Any]:
    return dict(pairs if isinstance(pairs, dict) else _timed(pairs), **kwargs)


def _timed(pairs: Any) -> Iterator[Any]:
    """Yields pairs; checks the time between them, because the hashes of keys may all collide."""
    meter = current()
    for pair in pairs:
        meter.check_time()
        yield pair


def _namespace(pairs: Any = (), /, **kwargs: Any) -> State:
    values = _object(pairs, **kwargs)
    current().spend(2 * sys.getsizeof(values))  # with the copy that the namespace makes
    return State(values)


def _range(*args: Any) -> range:
    return safe_range(*map(number, args))


@pass_context
def _charge(_context: Context, size: int) -> bool:
    """Charges one iteration or call; a loop without calls would not be limited otherwise."""
    meter = current()
    meter.check_time()
    meter.spend(size)
    return True


@pass_context
def _check_key(_context: Context, key: Any) -> Any:
    measure(key)
    return key


@pass_context
def _compare(_context: Context, left: Any, *comparisons: Any) -> Any:
    return compare(left, *comparisons)


@pass_context
def _concatenate(_context: Context, *values: Any) -> str:
    return concatenated(*values)


@pass_context
def _refuse(_context: Context, statement: str) -> NoReturn:
    raise SandboxError(f"the chat template uses the statement {statement}, which is not allowed")


@pass_context
def _slice(_context: Context, value: Any, start: Any, stop: Any, step: Any) -> Any:
    return sliced(value, start, stop, step)


_SYNTAX_FILTERS = {
    syntax.CHARGE: _charge,
    syntax.CHECK_KEY: _check_key,
    syntax.COMPARE: _compare,
    syntax.CONCATENATE: _concatenate,
    syntax.REFUSE: _refuse,
    syntax.SLICE: _slice,
}
