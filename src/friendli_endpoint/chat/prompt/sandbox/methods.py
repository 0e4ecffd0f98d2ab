"""Calls of methods: each checks the size of its result, or the work, before it runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from friendli_endpoint.chat.prompt.sandbox.attributes import ALLOWED
from friendli_endpoint.chat.prompt.sandbox.meter import (
    MAX_CHARACTERS,
    POINTER,
    SandboxError,
    charged,
    check_size,
    current,
)
from friendli_endpoint.chat.prompt.sandbox.values import joined, kept, measure

__all__ = ["METHODS", "check_strip", "line_count", "replaced", "require_cases", "require_pieces"]

Method: TypeAlias = Callable[..., Any]
"""A function of the bound method, its owner, and its arguments."""

_MAX_STEPS = 64 * MAX_CHARACTERS
"""Maximum number of comparisons of characters in one search; less than 0.1 s."""

_PIECE_BYTES = 88
"""Maximum memory of a string of one character, and of the reference to it."""

_MANY_PIECES = 10_000
"""Number of pieces from which counting them takes less than allowing for too many."""

_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def _plain(method: Method, _owner: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls a method whose work and result are at most proportional to its operands."""
    for argument in args:
        measure(argument)
    return charged(method(*args, **kwargs))


def _compared(method: Method, owner: Any, *args: Any) -> Any:
    """Calls a method that compares its first argument with the items of its owner."""
    measure(owner)
    return _plain(method, owner, *args)


def _cased(method: Method, owner: str, *args: Any) -> Any:
    require_cases(owner)
    return charged(method(*args))


def _stripped(method: Method, owner: str, chars: Any = None) -> Any:
    check_strip(owner, chars)
    return charged(method(chars))


def _searched_backwards(method: Method, owner: str, needle: Any, *args: Any) -> Any:
    _check_steps(owner, needle)
    return charged(method(needle, *args))


def _partitioned(method: Method, owner: str, sep: Any) -> Any:
    if method.__name__ == "rpartition":
        _check_steps(owner, sep)
    return _with_pieces(method(sep))


def _split(method: Method, owner: str, sep: Any = None, maxsplit: int = -1) -> Any:
    if sep is None:
        pieces = (len(owner) + 1) // 2
        if pieces > _MANY_PIECES:
            pieces = 1 + sum(map(owner.count, _SPACES))
    else:
        pieces = owner.count(sep) + 1 if sep else 1
    if maxsplit >= 0:
        pieces = min(pieces, maxsplit + 1)
    if method.__name__ == "rsplit" and sep:
        _check_steps(owner, sep)
    require_pieces(owner, pieces)
    return _with_pieces(method(sep, maxsplit))


def _split_lines(method: Method, owner: str, keepends: Any = False) -> Any:
    require_pieces(owner, line_count(owner))
    return _with_pieces(method(keepends))


def _joined(_method: Method, owner: str, items: Any) -> str:
    texts = kept(items)
    if not all(isinstance(text, str) for text in texts):
        return owner.join(texts)  # raises an error that names the first other item
    return joined(owner, texts)


def _replaced(_method: Method, owner: str, old: Any, new: Any, count: int = -1) -> str:
    if not isinstance(old, str) or not isinstance(new, str):
        raise TypeError("replace needs two strings")
    return replaced(owner, old, new, count)


def _looked_up(method: Method, _owner: Any, *args: Any) -> Any:
    """Calls a method that returns an existing value."""
    for argument in args:
        measure(argument)
    return method(*args)


METHODS: Final[Mapping[tuple[type, str], Method]] = {
    **{(str, name): _plain for name in ALLOWED[str] if name != "format"},
    **{(kind, name): _compared for kind in (list, tuple, range) for name in ("count", "index")},
    **{(kind, "copy"): _plain for kind in (list, dict)},
    **{(dict, name): _looked_up for name in ("get", "items", "keys", "values")},
    (float, "is_integer"): _plain,
    **{
        (str, name): _cased
        for name in ("capitalize", "casefold", "lower", "swapcase", "title", "upper")
    },
    **{(str, name): _stripped for name in ("lstrip", "rstrip", "strip")},
    **{(str, name): _searched_backwards for name in ("rfind", "rindex")},
    **{(str, name): _partitioned for name in ("partition", "rpartition")},
    **{(str, name): _split for name in ("rsplit", "split")},
    (str, "join"): _joined,
    (str, "replace"): _replaced,
    (str, "splitlines"): _split_lines,
}


def require_cases(text: str) -> None:
    """Checks a change between upper and lower case.

    It may triple the number of characters, and double the bytes of each.
    """
    current().require(6 * text.__sizeof__())


def check_strip(text: str, chars: Any) -> None:
    """Checks the work of removing characters at the ends of a text."""
    if chars is not None:
        _check_steps(text, chars)


def replaced(text: str, old: str, new: str, count: int = -1) -> str:
    """Returns a text with occurrences of `old` replaced; all if `count` is negative."""
    found = text.count(old)
    if count >= 0:
        found = min(found, count)
    check_size(len(text) + found * (len(new) - len(old)))
    return charged(text.replace(old, new, count))  # type: ignore[no-any-return]


def line_count(text: str) -> int:
    """Returns a bound of the number of lines, with all line ends that Python knows."""
    return 1 + sum(map(text.count, _LINE_ENDS))


def require_pieces(text: str, pieces: int) -> None:
    """Checks the memory of at most `pieces` strings that together are a text."""
    check_size(POINTER * pieces)
    current().require(text.__sizeof__() + _PIECE_BYTES * pieces)


def _with_pieces(pieces: Sequence[str]) -> Any:
    current().spend(sum(map(str.__sizeof__, pieces)))
    return charged(pieces)


def _check_steps(text: str, searched: Any) -> None:
    """Checks a search that may compare each character of a text with each searched character."""
    if isinstance(searched, str) and len(text) * len(searched) > _MAX_STEPS:
        raise SandboxError(f"the chat template searches a text in more than {_MAX_STEPS:,} steps")
