"""Jinja's filters and tests, each with a check of what it is about to create."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import markupsafe
from jinja2 import filters, pass_context
from jinja2.runtime import Context, Undefined
from jinja2.utils import _PassArg

from friendli_endpoint.chat.prompt.sandbox.formats import percent_formatted
from friendli_endpoint.chat.prompt.sandbox.json_text import json_text
from friendli_endpoint.chat.prompt.sandbox.meter import (
    POINTER,
    SandboxError,
    charged,
    check_size,
    current,
)
from friendli_endpoint.chat.prompt.sandbox.methods import (
    check_strip,
    line_count,
    replaced,
    require_cases,
    require_pieces,
)
from friendli_endpoint.chat.prompt.sandbox.operators import computed, number
from friendli_endpoint.chat.prompt.sandbox.values import as_text, joined, kept, measure

__all__ = ["FILTERS", "REFUSED_FILTERS", "metered"]

Function: TypeAlias = Callable[..., Any]

_KNOWN = (list, tuple, dict, Undefined)
"""Types of values that have a length, and whose items exist already."""

_ON_ENDS = ("first", "last", "reverse")
"""Filters that create no value for each item of a string or range."""

_LENIENT = ("map", "reject", "rejectattr", "select", "selectattr")
"""Filters for which every value that is false is an empty list."""

_ROW_BYTES = 200
"""Memory of a short list or tuple, or of a value that looking up an attribute creates."""

_MAX_NUMBER_LENGTH = 1000
"""Maximum length of a text that the filters `int` and `float` read as a number."""

_MAX_PRECISION = 30


def metered(function: Function, creates: bool = True) -> Function:
    """Returns a filter or test that checks the time and charges its result.

    Iterators are computed at once: a chain of thousands of unfinished ones could not be freed.

    Args:
        function: A filter or test, as Jinja calls it.
        creates: Whether the result is a new value.
    """
    passed = _PassArg.from_obj(function)

    @pass_context
    def run(context: Context, /, *args: Any, **kwargs: Any) -> Any:
        current().check_time()
        result = function(*_passed(passed, context), *args, **kwargs)
        if isinstance(result, Iterator):
            return iter(kept(result))
        return charged(result) if creates else result

    return run


def _passed(passed: _PassArg | None, context: Context) -> tuple[Any, ...]:
    """Returns the first argument of a function that is marked with `pass_context` or the like."""
    if passed is None:
        return ()
    return (context.environment,) if passed is _PassArg.environment else (context,)


def _forbidden(name: str) -> Function:
    @pass_context
    def fail(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise SandboxError(f"the chat template uses the filter {name}, which is not allowed")

    return fail


def _on_text(function: Function, check: Callable[[str], None] | None = None) -> Function:
    """Returns a filter of a text whose result is not larger, or is checked before."""

    def run(value: Any, *args: Any, **kwargs: Any) -> Any:
        text = as_text(value)
        if check is not None:
            check(text)
        return function(text, *args, **kwargs)

    return metered(run)


def _on_items(name: str, attribute: int | None = None, cost: str = "") -> Function:
    """Returns Jinja's filter of a list.

    Args:
        name: Name of the filter.
        attribute: Position, after the list, of the name of an attribute to look up.
        cost: "compares" if it compares items, or finds them by their hash; "rows" if it creates a
            value for each item.
    """
    function = filters.FILTERS[name]
    function = getattr(function, "__wrapped__", function)  # not the form for async templates
    passed = _PassArg.from_obj(function)

    @pass_context
    def run(context: Context, /, value: Any, *args: Any, **kwargs: Any) -> Any:
        known = isinstance(value, _KNOWN) or (name in _ON_ENDS and isinstance(value, str | range))
        empty = name in _LENIENT and not value  # none, too
        items = () if empty else value if known else kept(value)
        for argument in (*args, *kwargs.values()):
            measure(argument)
        names = kwargs.get("attribute")
        if attribute is not None and attribute < len(args):
            names = args[attribute]
        if isinstance(names, str):
            check_size((names.count(".") + names.count(",")) * len(items))
        if "rows" in cost:
            current().spend(_ROW_BYTES * len(items))
        if "compares" in cost:
            current().require(_ROW_BYTES * len(items) + 4 * measure(items))
            if names is not None:
                getter = (
                    filters.make_multi_attrgetter if name == "sort" else filters.make_attrgetter
                )
                measure(kept(map(getter(context.environment, names), items)))
        return function(*_passed(passed, context), items, *args, **kwargs)

    return metered(run, creates=name not in ("first", "last", "max", "min"))


def _batch(value: Any, linecount: int, fill_with: Any = None) -> Iterator[Any]:
    return filters.do_batch(_row_items(value, linecount), linecount, fill_with)


def _slice(value: Any, slices: int, fill_with: Any = None) -> Iterator[Any]:
    return filters.sync_do_slice(_row_items(value, slices), slices, fill_with)


def _row_items(value: Any, count: int) -> list[Any]:
    items = kept(value)
    size = max(number(count), 0) + len(items)
    check_size(POINTER * size)
    current().spend(_ROW_BYTES * size)
    return items


def _capped(function: Function) -> Function:
    """Returns a filter that reads a number; longer texts are not numbers, so the default counts."""

    def run(value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and len(value) > _MAX_NUMBER_LENGTH:
            value = None
        return function(value, *args, **kwargs)

    return metered(run)


def _escape(text: str) -> str:
    current().require(6 * text.__sizeof__())
    return str(markupsafe.escape(text))  # plain text: nothing is marked as safe here


def _format(form: Any, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise TypeError("format needs either positional or named values")
    return percent_formatted(as_text(form), kwargs or args)


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = computed("+", value, "")  # an undefined value is an error
    lines = line_count(text)
    step = len(width) if isinstance(width, str) else max(number(width), 0)
    check_size(len(text) + lines * (step + 1))
    require_pieces(text, lines)
    return filters.do_indent(text, width, first, blank)


@pass_context
def _join(context: Context, value: Any, d: Any = "", attribute: Any = None) -> str:
    if attribute is not None:
        value = _FILTERS_OF_ITEMS["map"](context, value, attribute=attribute)
    return joined(as_text(d), [as_text(item) for item in value])


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    return replaced(as_text(value), as_text(old), as_text(new), -1 if count is None else count)


def _round(value: Any, precision: int = 0, method: Any = "common") -> Any:
    if abs(number(precision)) > _MAX_PRECISION:
        raise SandboxError(f"the chat template rounds to more than {_MAX_PRECISION} digits")
    return filters.do_round(number(value), precision, method)


@pass_context
def _sum(context: Context, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    if attribute is not None:
        value = _FILTERS_OF_ITEMS["map"](context, value, attribute=attribute)
    for item in value:
        current().check_time()
        start = computed("+", start, item)
    return start


def _trim(text: str, chars: Any = None) -> str:
    check_strip(text, chars)
    return filters.do_trim(text, chars)


def _require_words(text: str) -> None:
    require_pieces(text, len(text) + 1)


_FILTERS_OF_ITEMS: Final[Mapping[str, Function]] = {
    "dictsort": _on_items("dictsort", cost="compares rows"),
    "groupby": _on_items("groupby", 0, cost="compares rows"),
    "items": _on_items("items", cost="rows"),
    "map": _on_items("map", cost="rows"),
    "max": _on_items("max", 1, cost="compares"),
    "min": _on_items("min", 1, cost="compares"),
    "rejectattr": _on_items("rejectattr", 0),
    "selectattr": _on_items("selectattr", 0),
    "sort": _on_items("sort", 2, cost="compares"),
    "unique": _on_items("unique", 1, cost="compares"),
    **{name: _on_items(name) for name in ("first", "last", "list", "reject", "reverse", "select")},
}

REFUSED_FILTERS = frozenset(
    "center filesizeformat forceescape pprint random striptags truncate urlencode urlize wordwrap "
    "xmlattr".split()
)
"""Filters that chat templates do not need: for web pages, or with results of unknown size."""

FILTERS: Final[Mapping[str, Function]] = {
    **_FILTERS_OF_ITEMS,
    "abs": metered(lambda value: abs(number(value))),
    "attr": metered(filters.do_attr, creates=False),
    "batch": metered(_batch),
    "capitalize": _on_text(str.capitalize, require_cases),
    "count": metered(len),
    "d": metered(filters.do_default, creates=False),
    "default": metered(filters.do_default, creates=False),
    "e": _on_text(_escape),
    "escape": _on_text(_escape),
    "float": _capped(filters.do_float),
    "format": metered(_format),
    "indent": metered(_indent),
    "int": _capped(filters.do_int),
    "join": metered(_join),
    "length": metered(len),
    "lower": _on_text(str.lower, require_cases),
    "replace": metered(_replace),
    "round": metered(_round),
    "safe": _on_text(str),
    "slice": metered(_slice),
    "string": _on_text(str),
    "sum": metered(_sum),
    "title": _on_text(filters.do_title, _require_words),
    "tojson": metered(json_text),
    "trim": _on_text(_trim),
    "upper": _on_text(str.upper, require_cases),
    "wordcount": _on_text(filters.do_wordcount, _require_words),
    **{name: _forbidden(name) for name in REFUSED_FILTERS},
}
