"""Jinja's sandbox, bounded in time and in what a template may make; it knows no chat.

Two rules keep a template from filling the memory. All that it makes is paid for: every call,
filter, sum and output costs the length of its result, out of one allowance. And what could be large
at one stroke is weighed before: operands as they would be written out, and how often that is done.
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

__all__ = ["MOST_CHARACTERS", "Sandbox", "TooMuch", "start_rendering"]

MOST_SECONDS = 5.0
MOST_CHARACTERS = 4_000_000
"""Of any value, and of what a template writes."""

ALLOWANCE = 16 * MOST_CHARACTERS
"""Of all values that a template makes on the way, those that it throws away included."""

_FILTERS = frozenset(
    "abs attr capitalize count d default dictsort e escape first float groupby indent int items "
    "join last length list lower map max min reject rejectattr replace reverse round safe select "
    "selectattr sort string sum title trim unique upper wordcount".split()
)
"""Those of Jinja's filters that chat templates need; others repeat what they are given at will."""

_GLOBALS = ("cycler", "joiner", "lipsum")
"""Those of Jinja's that chat templates do not need."""

_REPEATING = frozenset("center expandtabs ljust maketrans rjust translate zfill".split())
"""Methods of strings that repeat what they are given at will, and that no chat template needs."""


_WIDE = re.compile(r"[0-9]{3}|%[^%]*\*|\{[^}]*\{")


class TooMuch(Exception):
    """The template takes or makes too much; the message says of what."""


class _Meter(threading.local):
    """What is left of the time and the allowance of the rendering in this thread."""

    deadline = 0.0
    left = 0

    def start(self) -> None:
        self.deadline = time.monotonic() + MOST_SECONDS
        self.left = ALLOWANCE

    def tick(self) -> None:
        if time.monotonic() > self.deadline:
            raise TooMuch(f"the chat template runs for more than {MOST_SECONDS:g} seconds")

    def pay(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise TooMuch(f"the chat template makes more than {ALLOWANCE:,} characters")


_meter = _Meter()
start_rendering = _meter.start
"""Begins the time and the allowance of a rendering in this thread."""


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment whose templates are bounded, once `start_rendering` has been called."""

    intercepted_binops = frozenset({"+", "%", "*", "**"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, finalize=_written)
        self.filters = {
            name: _metered(function, name) if name in _FILTERS else _forbidden(name)
            for name, function in self.filters.items()
        }
        for name in _GLOBALS:
            del self.globals[name]

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Adds a filter of one's own, bounded like Jinja's."""
        self.filters[name] = _metered(function, name)

    @staticmethod
    def turn(characters: int) -> None:
        """What every turn of a loop calls; one that calls nothing would not be stopped otherwise.

        Args:
            characters: Of the text inside the loop.
        """
        _meter.pay(characters)

    @staticmethod
    def concat_values(*values: Any) -> str:
        """What `~` calls."""
        return "".join(map(str, values))

    @staticmethod
    def part(value: Any, start: Any, stop: Any, step: Any) -> Any:
        """What slices call."""
        return value[start:stop:step]

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The method `format` of a string, with what it writes bounded; None for other methods."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def checked(*args: Any, **kwargs: Any) -> str:
            _check_fields(value.__self__, "{", (args, kwargs))
            return wrapped(*args, **kwargs)

        return checked

    def call(
        self, context: jinja2.runtime.Context, function: Any, /, *args: Any, **kwargs: Any
    ) -> Any:
        """Calls a function, a method or a macro."""
        _meter.tick()
        _weigh((args, kwargs))
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(owner, str):
            if name in _REPEATING:
                raise TooMuch(f"the chat template calls {name}, which is not allowed")
            args = _checked(name, owner, args)
        return _paid(super().call(context, function, *args, **kwargs))

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        """Computes one of the operators that can make much of little."""
        if operator == "**":
            raise TooMuch("the chat template computes a power, which is not allowed")
        if operator == "*":
            _check_size(_size(left) * right if isinstance(right, int) else 0)
            _check_size(_size(right) * left if isinstance(left, int) else 0)
        if operator == "%" and isinstance(left, str):
            _check_fields(left, "%", right)
        return _paid(super().call_binop(context, operator, left, right))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        for loop in parsed.find_all(nodes.For):
            text = sum(len(each.data) for each in loop.find_all(nodes.TemplateData))
            turn = _call("turn", [nodes.Const(text)])
            statement = nodes.ExprStmt(turn).set_lineno(loop.lineno).set_environment(self)
            loop.body.insert(0, statement)
        _make_calls(parsed)
        parsed.set_environment(self)
        return parsed


def _call(name: str, args: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), args, [], None, None)


def _make_calls(node: nodes.Node) -> None:
    """Makes calls of what is none in a tree and still makes values: `~` and slices."""
    for field, value in node.iter_fields():
        found = value if isinstance(value, list) else [value]
        made = [_as_call(each) if isinstance(each, nodes.Node) else each for each in found]
        setattr(node, field, made if isinstance(value, list) else made[0])


def _as_call(node: nodes.Node) -> nodes.Node:
    _make_calls(node)
    if isinstance(node, nodes.Concat):
        return _call("concat_values", node.nodes).set_lineno(node.lineno)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        args = [node.node, *(each or nodes.Const(None) for each in bounds)]
        return _call("part", args).set_lineno(node.lineno)
    return node


def _forbidden(name: str) -> Callable[..., Any]:
    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise TooMuch(f"the chat template uses the filter {name}, which is not allowed")

    return refuse


def _metered(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A filter that is timed, weighed and paid for; Jinja's marks on it stay."""
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        _meter.tick()
        given = args[passed:]
        _weigh((given, kwargs))
        if name == "indent":
            step = _step(kwargs.get("width", given[1] if len(given) > 1 else 4))
            _check_size((str(given[0]).count("\n") + 1) * step)
        elif name == "tojson":
            step = _step(kwargs.get("indent", given[1] if len(given) > 1 else None))
            _check_size(_weigh(given[0]) * (step + 1))
        elif name == "replace" and isinstance(given[0], str):
            _checked(name, given[0], given[1:])
        elif name == "join":
            items = list(given[0])
            _checked(name, str(kwargs.get("d", given[1] if len(given) > 1 else "")), (items,))
            args = (*args[:passed], items, *given[1:])
        return _paid(function(*args, **kwargs))

    return metered


def _step(indent: Any) -> int:
    """How far a level is indented: by so many characters, by a text, or not at all."""
    return indent if isinstance(indent, int) else len(indent or "")


def _checked(name: str, owner: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a method of strings, once its result is known to be bearable."""
    if name == "join" and args:
        items = list(args[0])
        _check_size(_weigh(items) + len(owner) * len(items))
        return (items, *args[1:])
    if name == "replace" and len(args) > 1:
        _check_size(owner.count(str(args[0])) * _size(args[1]))
    return args


def _check_fields(form: str, mark: str, values: Any) -> None:
    """A format whose fields begin with a mark: each may write all values, 99 characters wide."""
    if _WIDE.search(form):
        raise TooMuch("the chat template formats with a width that is beyond 99 or computed")
    _check_size(form.count(mark) * (_weigh(values) + 99))


def _written(value: Any) -> Any:
    """What an expression is that the template writes out."""
    _meter.pay(_weigh(value))
    return value


def _paid(value: Any) -> Any:
    _meter.pay(_size(value))
    return value


def _size(value: Any) -> int:
    """The length of a value, without that of what it holds."""
    if isinstance(value, str | bytes | list | tuple | dict):
        return len(value)
    return value.bit_length() // 3 if isinstance(value, int) else 1


def _check_size(size: int) -> None:
    if size > MOST_CHARACTERS:
        raise TooMuch(
            f"the chat template makes a value of more than {MOST_CHARACTERS:,} characters"
        )


def _weigh(value: Any) -> int:
    """The length of a value with all that it holds.

    Raises:
        TooMuch: It is more than any value may have.
    """
    weight = 0
    pending = [value]
    while pending:
        each = pending.pop()
        weight += _size(each)
        _check_size(weight)
        if isinstance(each, Mapping):
            pending += each.keys()
            pending += each.values()
        elif isinstance(each, list | tuple | KeysView | ValuesView | ItemsView):
            pending += each
        elif isinstance(each, Namespace):
            pending.append(each._Namespace__attrs)
    return weight
