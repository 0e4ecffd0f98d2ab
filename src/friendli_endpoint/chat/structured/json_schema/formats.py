"""Formats of strings and numbers, as patterns and bounds that every validator agrees with.

Validators differ in the details of a format: leap seconds, a lower-case `t`, a domain of one label.
Each pattern here matches only what all of them accept, with bounded length if the format has one.
"""

from typing import Any

__all__ = ["ANNOTATIONS", "NUMBERS", "STRINGS"]

_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_TIME = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_D = "[0-9]{1,9}"
_CLOCK = f"T(?:{_D}H(?:{_D}M(?:{_D}S)?)?|{_D}M(?:{_D}S)?|{_D}S)"
_DURATION = f"P(?:(?:{_D}Y(?:{_D}M(?:{_D}D)?)?|{_D}M(?:{_D}D)?|{_D}D)(?:{_CLOCK})?|{_CLOCK}|{_D}W)"
_LABEL = "[a-zA-Z0-9](?:-?[a-zA-Z0-9]){0,19}"
_TOP = "[a-zA-Z]{2,20}"
_HOST = rf"(?:{_LABEL}\.){{0,3}}{_TOP}"
_ATOM = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\-]{1,20}"
_EMAIL = rf"{_ATOM}(?:\.{_ATOM}){{0,2}}@(?:{_LABEL}\.){{1,3}}{_TOP}"
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_BYTE}(?:\.{_BYTE}){{3}}"
_H = "[0-9a-fA-F]{1,4}"
_IPV6 = (
    "(?:"
    + "|".join(
        [
            f"(?:{_H}:){{7}}{_H}",
            f"::(?:{_H}(?::{_H}){{0,5}})?",
            *(f"{_H}(?::{_H}){{{n - 1}}}::(?:{_H}(?::{_H}){{0,{5 - n}}})?" for n in range(1, 6)),
            f"{_H}(?::{_H}){{5}}::",
        ]
    )
    + ")"
)
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_PCHAR = r"(?:[a-zA-Z0-9\-._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})"
_QUERY = rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:\#(?:{_PCHAR}|[/?])*)?"
_SCHEME = r"[a-zA-Z][a-zA-Z0-9+.\-]{0,30}"
_URI = (
    rf"{_SCHEME}:(?://(?:{_HOST}|{_IPV4})(?::[1-9][0-9]{{0,3}})?(?:/{_PCHAR}*)*"
    rf"|{_PCHAR}+(?:/{_PCHAR}*)*){_QUERY}"
)
_FIRST_SEGMENT = r"(?:[a-zA-Z0-9\-._~!$&'()*+,;=@]|%[0-9a-fA-F]{2})+"
_REFERENCE = rf"(?:{_URI}|(?:/|(?:/{_PCHAR}+)+/?|{_FIRST_SEGMENT}(?:/{_PCHAR}*)*){_QUERY})"
_VARIABLES = r"\{[+#./;?&]?[a-zA-Z_][a-zA-Z0-9_]{0,20}(?:,[a-zA-Z_][a-zA-Z0-9_]{0,20}){0,5}\}"
_SIGN = r"(?:[A-Za-z0-9 _/:;=@%'<>!,\-.]|\\[dwsDWS.*+?()|^$/\\]|\[[A-Za-z0-9_]{1,20}\])[*+?]?"
_EXPRESSION = rf"\^?(?:{_SIGN}|\((?:{_SIGN})+(?:\|(?:{_SIGN})+)*\)[*+?]?)+\$?"
_COUNT = "(?:0|[1-9][0-9]{0,5})"
_POINTER = r"(?:/(?:[^/~]|~[01])*)*"

STRINGS: dict[str, str] = {
    "date": _DATE,
    "date-time": f"{_DATE}T{_TIME}",
    "time": _TIME,
    "duration": _DURATION,
    "email": _EMAIL,
    "idn-email": _EMAIL,
    "hostname": _HOST,
    "idn-hostname": _HOST,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uuid": _UUID,
    "uri": _URI,
    "iri": _URI,
    "uri-reference": _REFERENCE,
    "iri-reference": _REFERENCE,
    "json-pointer": _POINTER,
    "relative-json-pointer": rf"(?:0|[1-9]{{1,5}})(?:\#|{_POINTER})",
    "uri-template": rf"(?:[a-zA-Z0-9\-._~/:?=&]|{_VARIABLES})*",
    "regex": _EXPRESSION,
    "color": r"\#[0-9a-fA-F]{6}",
    "semver": rf"{_COUNT}(?:\.{_COUNT}){{2}}(?:-(?:alpha|beta|rc)(?:\.{_COUNT})?)?",
    "int64": "(?:0|-?[1-9][0-9]{0,17})",
    "uint64": "(?:0|[1-9][0-9]{0,18})",
    "byte": "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
}
STRINGS |= {
    alias: STRINGS[name]
    for alias, name in {
        "base64": "byte",
        "css-color": "color",
        "datetime": "date-time",
        "guid": "uuid",
        "host-name": "hostname",
        "ip-address": "ipv4",
        "url": "uri",
    }.items()
}
"""For each format of strings, the pattern of the whole string."""

NUMBERS: dict[str, dict[str, Any]] = {
    "int8": {"minimum": -(2**7), "maximum": 2**7 - 1},
    "uint8": {"minimum": 0, "maximum": 2**8 - 1},
    "int16": {"minimum": -(2**15), "maximum": 2**15 - 1},
    "uint16": {"minimum": 0, "maximum": 2**16 - 1},
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "uint32": {"minimum": 0, "maximum": 2**32 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
    "uint64": {"minimum": 0, "maximum": 2**64 - 1},
    "float": {},
    "double": {},
}
"""For each format of numbers, as in OpenAPI and similar standards, its bounds."""

ANNOTATIONS = frozenset({"binary", "password", "textarea", "multiline", "markdown"})
"""Formats that describe the presentation of a string and do not constrain its value."""
