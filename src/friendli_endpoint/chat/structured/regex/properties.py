r"""Unicode properties: `\p{…}`, as ECMA 262 defines them under its `u` flag.

General categories are those of `unicodedata`, that is of Python's version of Unicode, as ranges of
characters. A later version may assign a character that this one does not, so dialects may disagree
about these: they are neither in `\p{L}` nor in `\P{L}`. Scripts are as the compiler knows them.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from unicodedata import category

from friendli_endpoint.chat.structured.regex.characters import escape_character
from friendli_endpoint.chat.structured.regex.cursor import Cursor
from friendli_endpoint.chat.structured.regex.nodes import PatternError

__all__ = ["UnicodeProperty", "parse_property"]

_NAMED = re.compile(r"[pP]\{(?:(\w+)=)?(\w+)\}")
_CATEGORY_KEYS = (None, "gc", "General_Category")
_SCRIPT_KEYS = (None, "sc", "Script")
_UNASSIGNED = "Cn"
_RECLASSIFIED = frozenset({0x295, 0x1171E})
"""Characters whose category differs between Unicode 14 and 17; treated as unassigned ones."""
_LAST = 0x10FFFF

_CATEGORIES = {
    "C": "Other",
    "Cc": "Control cntrl",
    "Cf": "Format",
    "Co": "Private_Use",
    "L": "Letter",
    "LC": "Cased_Letter",
    "Ll": "Lowercase_Letter",
    "Lm": "Modifier_Letter",
    "Lo": "Other_Letter",
    "Lt": "Titlecase_Letter",
    "Lu": "Uppercase_Letter",
    "M": "Mark Combining_Mark",
    "Mc": "Spacing_Mark",
    "Me": "Enclosing_Mark",
    "Mn": "Nonspacing_Mark",
    "N": "Number",
    "Nd": "Decimal_Number digit",
    "Nl": "Letter_Number",
    "No": "Other_Number",
    "P": "Punctuation punct",
    "Pc": "Connector_Punctuation",
    "Pd": "Dash_Punctuation",
    "Pe": "Close_Punctuation",
    "Pf": "Final_Punctuation",
    "Pi": "Initial_Punctuation",
    "Po": "Other_Punctuation",
    "Ps": "Open_Punctuation",
    "S": "Symbol",
    "Sc": "Currency_Symbol",
    "Sk": "Modifier_Symbol",
    "Sm": "Math_Symbol",
    "So": "Other_Symbol",
    "Z": "Separator",
    "Zl": "Line_Separator",
    "Zp": "Paragraph_Separator",
    "Zs": "Space_Separator",
}
"""Long names of the general categories, by the short ones. Unassigned characters and halves of
surrogate pairs are not among them: no text of known meaning has these."""
_SUBCATEGORIES = {"LC": ("Ll", "Lt", "Lu")}

_SCRIPTS = {
    "Arabic": "Arab",
    "Armenian": "Armn",
    "Bengali": "Beng",
    "Bopomofo": "Bopo",
    "Common": "Zyyy",
    "Cyrillic": "Cyrl",
    "Devanagari": "Deva",
    "Ethiopic": "Ethi",
    "Georgian": "Geor",
    "Greek": "Grek",
    "Gujarati": "Gujr",
    "Gurmukhi": "Guru",
    "Han": "Hani",
    "Hangul": "Hang",
    "Hebrew": "Hebr",
    "Hiragana": "Hira",
    "Inherited": "Zinh",
    "Kannada": "Knda",
    "Katakana": "Kana",
    "Khmer": "Khmr",
    "Lao": "Laoo",
    "Latin": "Latn",
    "Malayalam": "Mlym",
    "Mongolian": "Mong",
    "Myanmar": "Mymr",
    "Sinhala": "Sinh",
    "Tamil": "Taml",
    "Telugu": "Telu",
    "Thai": "Thai",
    "Tibetan": "Tibt",
}
"""Short names of scripts, by the long ones."""

_CATEGORY_NAMES = {
    name: short for short, names in _CATEGORIES.items() for name in (short, *names.split())
}
_SCRIPT_NAMES = {name: long for long, short in _SCRIPTS.items() for name in (long, short)}


@dataclass(frozen=True, slots=True)
class UnicodeProperty:
    """The characters of a property, in the compiler's syntax inside a class.

    Attributes:
        narrow: Characters that have the property in all dialects.
        wide: Characters that have it in any dialect.
        ambiguous: Characters that have it in some dialects only, and maybe more.
    """

    narrow: str
    wide: str
    ambiguous: str


def parse_property(cursor: Cursor) -> UnicodeProperty:
    r"""Parses what follows the backslash of `\p{…}` or `\P{…}`.

    Raises:
        PatternError: The property does not exist, or is not supported.
    """
    start = cursor.position - 1
    sign = cursor.peek()
    found = cursor.match(_NAMED)
    if found is None:
        raise PatternError(
            f"\\{sign} at position {start} is a Unicode property without a name in braces, which "
            "regex dialects parse differently"
        )
    key, name = found.groups()
    if key in _CATEGORY_KEYS and name in _CATEGORY_NAMES:
        return _of_category(_CATEGORY_NAMES[name])
    if key in _SCRIPT_KEYS and name in _SCRIPT_NAMES:
        return _of_script(_SCRIPT_NAMES[name])
    raise PatternError(
        f"\\{found[0]} at position {start} is a Unicode property that is not supported; general "
        "categories and the most common scripts are"
    )


@cache
def _of_category(name: str) -> UnicodeProperty:
    included = _SUBCATEGORIES.get(name, (name,))
    narrow = _rendered(included)
    unassigned = _rendered((_UNASSIGNED,))
    return UnicodeProperty(narrow, _rendered((*included, _UNASSIGNED)), unassigned)


def _of_script(name: str) -> UnicodeProperty:
    script, extensions = rf"\p{{Script={name}}}", rf"\p{{Script_Extensions={name}}}"
    unassigned = _rendered((_UNASSIGNED,))
    return UnicodeProperty(
        script,
        f"{script}{extensions}{unassigned}",
        f"[{extensions}--[{script}]]{unassigned}",
    )


@cache
def _rendered(included: tuple[str, ...]) -> str:
    """Renders the characters whose categories begin with one of these texts."""
    merged: list[tuple[int, int]] = []
    for low, high, name in _category_ranges():
        if not _is_included(name, included):
            continue
        if merged and merged[-1][1] == low - 1:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return "".join(
        escape_character(chr(low)) + (f"-{escape_character(chr(high))}" if high > low else "")
        for low, high in merged
    )


def _is_included(name: str, included: tuple[str, ...]) -> bool:
    return name.startswith(included) and (name != _UNASSIGNED or _UNASSIGNED in included)


@cache
def _category_ranges() -> tuple[tuple[int, int, str], ...]:
    """Returns the ranges of characters of the same category, without surrogates."""
    out = []
    for name, codes in groupby(range(_LAST + 1), _category_of):
        low, *rest = codes
        if name != "Cs":
            out.append((low, rest[-1] if rest else low, name))
    return tuple(out)


def _category_of(code: int) -> str:
    return _UNASSIGNED if code in _RECLASSIFIED else category(chr(code))
