"""Jinja's sandbox with limits on time and on the size of values; independent of chat.

Two rules keep a template from filling the memory. Every call, filter, operator and output is
charged the length of its result against one budget. And an operation that could create a large
value at once is checked before it runs, by the size of its operands and the number of repetitions.
"""

import functools
import re
import threading
import time
from collections.abc import Callable, ItemsView, KeysView, Mapping, ValuesView
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

__all__ = ["MAX_CHARACTERS", "Sandbox", "SandboxError", "start_rendering"]

MAX_SECONDS = 5.0
MAX_CHARACTERS = 4_000_000
"""Maximum size of one value, and of the output of a template."""

MAX_TOTAL_CHARACTERS = 16 * MAX_CHARACTERS
"""Maximum size of all values that a template creates, including intermediate ones."""

_FILTERS = frozenset(
    "abs attr capitalize count d default dictsort e escape first float groupby indent int items "
    "join last length list lower map max min reject rejectattr replace reverse round safe select "
    "selectattr sort string sum title trim unique upper wordcount".split()
)
"""Jinja filters that chat templates need; others may repeat their input without limit."""

_GLOBALS = ("cycler", "joiner", "lipsum")
"""Jinja globals that chat templates do not need."""

_REPEATING = frozenset("center expandtabs ljust maketrans rjust translate zfill".split())
"""String methods that may repeat their input without limit; no chat template needs them."""


_WIDE = re.compile(r"[0-9]{3}|%[^%]*\*|\{[^}]*\{")


class SandboxError(Exception):
    """The template exceeds a limit or uses a forbidden feature; the message says which."""


class _Meter(threading.local):
    """Remaining time and budget of the rendering in the current thread."""

    deadline = 0.0
    remaining = 0

    def start(self) -> None:
        self.deadline = time.monotonic() + MAX_SECONDS
        self.remaining = MAX_TOTAL_CHARACTERS

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise SandboxError(f"the chat template runs longer than {MAX_SECONDS:g} seconds")

    def charge(self, characters: int) -> None:
        self.remaining -= characters
        if self.remaining < 0:
            raise SandboxError(
                f"the chat template creates more than {MAX_TOTAL_CHARACTERS:,} characters"
            )


_meter = _Meter()
start_rendering = _meter.start
"""Starts the clock and the budget of a rendering in the current thread."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Environment that limits its templates; call `start_rendering` before each rendering."""

    intercepted_binops = frozenset({"+", "%", "*", "**"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, finalize=_charge_output)
        self.filters = {
            name: _metered(function, name) if name in _FILTERS else _forbidden(name)
            for name, function in self.filters.items()
        }
        for name in _GLOBALS:
            del self.globals[name]

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Adds a custom filter, with the limits of the built-in ones."""
        self.filters[name] = _metered(function, name)

    @staticmethod
    def charge_iteration(characters: int) -> None:
        """Charges one iteration of a loop; a loop without calls would not be limited otherwise.

        Args:
            characters: Length of the literal text inside the loop.
        """
        _meter.charge(characters)

    @staticmethod
    def concat_values(*values: Any) -> str:
        """Concatenates values; called for the operator `~`."""
        return "".join(map(str, values))

    @staticmethod
    def slice_value(value: Any, start: Any, stop: Any, step: Any) -> Any:
        """Returns a slice of a value; called for slice expressions."""
        return value[start:stop:step]

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Returns the method `format` of a string with limits; None for other methods."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def checked(*args: Any, **kwargs: Any) -> str:
            _check_format(value.__self__, "{", (args, kwargs))
            return wrapped(*args, **kwargs)

        return checked

    def call(
        self, context: jinja2.runtime.Context, function: Any, /, *args: Any, **kwargs: Any
    ) -> Any:
        """Calls a function, a method or a macro, with limits."""
        _meter.check_time()
        _deep_size((args, kwargs))
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(owner, str):
            if name in _REPEATING:
                raise SandboxError(f"the chat template calls {name}, which is not allowed")
            args = _checked_args(name, owner, args)
        return _charged(super().call(context, function, *args, **kwargs))

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        """Computes an operator that can create a large value from small operands."""
        if operator == "**":
            raise SandboxError("the chat template computes a power, which is not allowed")
        if operator == "*":
            _check_size(_size(left) * right if isinstance(right, int) else 0)
            _check_size(_size(right) * left if isinstance(left, int) else 0)
        if operator == "%" and isinstance(left, str):
            _check_format(left, "%", right)
        return _charged(super().call_binop(context, operator, left, right))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        for loop in parsed.find_all(nodes.For):
            text = sum(len(node.data) for node in loop.find_all(nodes.TemplateData))
            charge = _call("charge_iteration", [nodes.Const(text)])
            statement = nodes.ExprStmt(charge).set_lineno(loop.lineno).set_environment(self)
            loop.body.insert(0, statement)
        _make_calls(parsed)
        parsed.set_environment(self)
        return parsed


def _call(name: str, args: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), args, [], None, None)


def _make_calls(node: nodes.Node) -> None:
    """Replaces `~` operators and slices in a tree by calls, so that their results are charged."""
    for field, value in node.iter_fields():
        children = value if isinstance(value, list) else [value]
        replaced = [
            _as_call(child) if isinstance(child, nodes.Node) else child for child in children
        ]
        setattr(node, field, replaced if isinstance(value, list) else replaced[0])


def _as_call(node: nodes.Node) -> nodes.Node:
    _make_calls(node)
    if isinstance(node, nodes.Concat):
        return _call("concat_values", node.nodes).set_lineno(node.lineno)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        args = [node.node, *(bound or nodes.Const(None) for bound in bounds)]
        return _call("slice_value", args).set_lineno(node.lineno)
    return node


def _forbidden(name: str) -> Callable[..., Any]:
    def fail(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise SandboxError(f"the chat template uses the filter {name}, which is not allowed")

    return fail


def _metered(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Returns a filter with limits; keeps the attributes that Jinja set on the function."""
    num_passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        _meter.check_time()
        arguments = args[num_passed:]
        _deep_size((arguments, kwargs))
        if name == "indent":
            width = _indent_width(kwargs.get("width", arguments[1] if len(arguments) > 1 else 4))
            _check_size((str(arguments[0]).count("\n") + 1) * width)
        elif name == "tojson":
            width = _indent_width(
                kwargs.get("indent", arguments[1] if len(arguments) > 1 else None)
            )
            _check_size(_deep_size(arguments[0]) * (width + 1))
        elif name == "replace" and isinstance(arguments[0], str):
            _checked_args(name, arguments[0], arguments[1:])
        elif name == "join":
            items = list(arguments[0])
            _checked_args(
                name, str(kwargs.get("d", arguments[1] if len(arguments) > 1 else "")), (items,)
            )
            args = (*args[:num_passed], items, *arguments[1:])
        return _charged(function(*args, **kwargs))

    return metered


def _indent_width(indent: Any) -> int:
    """Returns the width of one level of indentation, given as a number, a text or None."""
    return indent if isinstance(indent, int) else len(indent or "")


def _checked_args(name: str, owner: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the arguments of a string method after checking the size of its result."""
    if name == "join" and args:
        items = list(args[0])
        _check_size(_deep_size(items) + len(owner) * len(items))
        return (items, *args[1:])
    if name == "replace" and len(args) > 1:
        _check_size(owner.count(str(args[0])) * _size(args[1]))
    return args


def _check_format(form: str, mark: str, values: Any) -> None:
    """Checks a format string whose fields begin with `mark`.

    The bound assumes that each field writes all values, padded to a width of 99 characters.
    """
    if _WIDE.search(form):
        raise SandboxError(
            "the chat template formats with a width that is computed or greater than 99"
        )
    _check_size(form.count(mark) * (_deep_size(values) + 99))


def _charge_output(value: Any) -> Any:
    """Charges a value that the template writes to its output."""
    _meter.charge(_deep_size(value))
    return value


def _charged(value: Any) -> Any:
    _meter.charge(_size(value))
    return value


def _size(value: Any) -> int:
    """Returns the length of a value, not counting its items."""
    if isinstance(value, str | bytes | list | tuple | dict):
        return len(value)
    return value.bit_length() // 3 if isinstance(value, int) else 1


def _check_size(size: int) -> None:
    if size > MAX_CHARACTERS:
        raise SandboxError(
            f"the chat template creates a value of more than {MAX_CHARACTERS:,} characters"
        )


def _deep_size(value: Any) -> int:
    """Returns the length of a value including all its items, recursively.

    Raises:
        SandboxError: It exceeds `MAX_CHARACTERS`.
    """
    total = 0
    pending = [value]
    while pending:
        item = pending.pop()
        total += _size(item)
        _check_size(total)
        if isinstance(item, Mapping):
            pending += item.keys()
            pending += item.values()
        elif isinstance(item, list | tuple | KeysView | ValuesView | ItemsView):
            pending += item
        elif isinstance(item, Namespace):
            pending.append(item._Namespace__attrs)
    return total
