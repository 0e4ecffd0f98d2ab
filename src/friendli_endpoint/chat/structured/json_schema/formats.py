"""Formats of strings and numbers, as patterns and bounds that every validator agrees with.

The table has the formats that JSON Schema, OpenAPI, pydantic and zod define. Every other format is
an annotation, and so is one whose definition no pattern can add to: `password`, `binary`, `path`,
`html`; zod's `starts_with` and the like, which come with a pattern.

Validators differ in the details of a format: leap seconds, a lower-case `t`, a domain of one label.
Each pattern here matches only what all of them accept, with bounded length if the format has one.
"""

from typing import Any

__all__ = ["NUMBERS", "STRINGS", "format_pattern"]

_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_LOCAL_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
_TIME = rf"{_LOCAL_TIME}(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_HTTP_DATE = (
    "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?:0[1-9]|1[0-9]|2[0-8]) "
    "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [12][0-9]{3} "
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] GMT"
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
_PREFIX_4 = "/(?:3[0-2]|[12]?[0-9])"
_PREFIX_6 = "/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])"
_NETWORK_4 = (
    "(?:"
    + "|".join(
        [
            f"{_IPV4}/32",
            rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.0/24",
            rf"{_BYTE}\.{_BYTE}\.0\.0/16",
            rf"{_BYTE}\.0\.0\.0/8",
            r"0\.0\.0\.0/0",
        ]
    )
    + ")"
)
_NETWORK_6 = f"(?:{_IPV6}/128|(?:{_H}:){{3}}{_H}::/64|(?:{_H}:){{2}}{_H}::/48|{_H}:{_H}::/32|::/0)"
"""Networks whose prefix ends between two groups: the rest of the address must be zero."""
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_UUID_OF_VERSION = (
    "[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-{}[0-9a-fA-F]{{3}}"
    "-[89abAB][0-9a-fA-F]{{3}}-[0-9a-fA-F]{{12}}"
)
_PCHAR = r"(?:[a-zA-Z0-9\-._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})"
_QUERY = rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:\#(?:{_PCHAR}|[/?])*)?"
_SCHEME = r"[a-zA-Z][a-zA-Z0-9+.\-]{0,30}"
_URI = (
    rf"{_SCHEME}:(?://(?:{_HOST}|{_IPV4})(?::[1-9][0-9]{{0,3}})?(?:/{_PCHAR}*)*"
    rf"|{_PCHAR}+(?:/{_PCHAR}*)*){_QUERY}"
)
_FIRST_SEGMENT = r"(?:[a-zA-Z0-9\-._~!$&'()*+,;=@]|%[0-9a-fA-F]{2})+"
_REFERENCE = rf"(?:{_URI}|(?:/|(?:/{_PCHAR}+)+/?|{_FIRST_SEGMENT}(?:/{_PCHAR}*)*)?{_QUERY})"
_ASCII = r"[a-zA-Z0-9\-._~"
_LETTERS = (
    r"\x{c0}-\x{24f}\x{391}-\x{3a1}\x{3a3}-\x{3c9}\x{410}-\x{44f}"
    r"\x{3041}-\x{3096}\x{4e00}-\x{9fff}\x{ac00}-\x{d7a3}"
)
"""Latin, Greek, Cyrillic, Japanese, Chinese and Korean letters, of those that an IRI may have."""
_IRI = _URI.replace(_ASCII, f"[{_LETTERS}{_ASCII[1:]}")
_IRI_REFERENCE = _REFERENCE.replace(_ASCII, f"[{_LETTERS}{_ASCII[1:]}")
_VARIABLES = r"\{[+#./;?&]?[a-zA-Z_][a-zA-Z0-9_]{0,20}(?:,[a-zA-Z_][a-zA-Z0-9_]{0,20}){0,5}\}"
_REPEATED = r"(?:[*+?]|\{[1-9][0-9]?\})?"
_SIGN = (
    r"(?:[A-Za-z0-9 _/:;=@%'<>!,\-.]|\\[dwsDWS.*+?()|^$/\\]"
    rf"|\[\^?(?:a-z|A-Z|0-9|[A-Za-z0-9_.]){{1,20}}\]){_REPEATED}"
)
_EXPRESSION = rf"\^?(?:{_SIGN}|\((?:\?:)?(?:{_SIGN})+(?:\|(?:{_SIGN})+)*\){_REPEATED})+\$?"
_COUNT = "(?:0|[1-9][0-9]{0,5})"
_POINTER = r"(?:/(?:[^/~]|~[01])*)*"
_BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_BASE64_URL = "(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?"
_DECIMAL = r"-?(?:0|[1-9][0-9]{0,%d})(?:\.[0-9]{1,%d})?"
_TOKEN = "[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,60}"
_MEDIA_RANGE = rf"(?:\*/\*|{_TOKEN}/(?:\*|{_TOKEN}))(?:; ?{_TOKEN}={_TOKEN}){{0,3}}"
_HOST_PORT = rf"(?:{_HOST}|{_IPV4})(?::[1-9][0-9]{{0,3}})?"
_MULTI_HOST = rf"{_SCHEME}://{_HOST_PORT}(?:,{_HOST_PORT}){{0,3}}(?:/{_PCHAR}*)*"
_JWT = r"[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*"
_EMOJI = r"[\x{1f300}-\x{1f5ff}\x{1f600}-\x{1f64f}\x{1f680}-\x{1f6c5}\x{1f90d}-\x{1f93a}]{1,10}"
_FRACTION = r"-?(?:0|[1-9][0-9]{0,17})(?:/[1-9][0-9]{0,17})?"


def _json(depth: int) -> str:
    """Returns a pattern of JSON texts whose lists and objects nest up to a depth."""
    text = r'"(?:[^\x{0}-\x{1f}"\\]|\\["\\/bfnrt])*"'
    scalar = rf"{text}|-?(?:0|[1-9][0-9]{{0,17}})(?:\.[0-9]{{1,17}})?|true|false|null"
    if not depth:
        return f"(?:{scalar})"
    inner = _json(depth - 1)
    items = f"{inner}(?:, ?{inner})*"
    members = f"{text}: ?{inner}(?:, ?{text}: ?{inner})*"
    return rf"(?:{scalar}|\[(?:{items})?\]|\{{(?:{members})?\}})"


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
    "iri": _IRI,
    "uri-reference": _REFERENCE,
    "iri-reference": _IRI_REFERENCE,
    "json-pointer": _POINTER,
    "relative-json-pointer": rf"(?:0|[1-9]{{1,5}})(?:\#|{_POINTER})",
    "uri-template": rf"(?:[a-zA-Z0-9\-._~/:?=&]|{_VARIABLES})*",
    "regex": _EXPRESSION,
    "color": r"\#[0-9a-fA-F]{6}",
    "semver": rf"{_COUNT}(?:\.{_COUNT}){{2}}(?:-(?:alpha|beta|rc)(?:\.{_COUNT})?)?",
    # Of OpenAPI's registry.
    "base64url": _BASE64_URL,
    "byte": _BASE64,
    "char": "(?s:.)",
    "date-time-local": f"{_DATE}T{_LOCAL_TIME}",
    "decimal": _DECIMAL % (27, 20),
    "decimal128": _DECIMAL % (15, 16),
    "http-date": _HTTP_DATE,
    "int64": "(?:0|-?[1-9][0-9]{0,17})",
    "media-range": _MEDIA_RANGE,
    "sf-binary": f":{_BASE64}:",
    "sf-boolean": r"\?[01]",
    "sf-decimal": r"-?[0-9]{1,12}\.[0-9]{1,3}",
    "sf-integer": "-?[0-9]{1,15}",
    "sf-string": r'"(?:[ !#-\[\]-~]|\\["\\])*"',
    "sf-token": r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*",
    "time-local": _LOCAL_TIME,
    "uint64": "(?:0|[1-9][0-9]{0,18})",
    # Of pydantic.
    "fraction": _FRACTION,
    "ipv4interface": f"{_IPV4}{_PREFIX_4}",
    "ipv4network": _NETWORK_4,
    "ipv6interface": f"{_IPV6}{_PREFIX_6}",
    "ipv6network": _NETWORK_6,
    "ipvanyaddress": f"(?:{_IPV4}|{_IPV6})",
    "ipvanyinterface": f"(?:{_IPV4}{_PREFIX_4}|{_IPV6}{_PREFIX_6})",
    "ipvanynetwork": f"(?:{_NETWORK_4}|{_NETWORK_6})",
    "json-string": _json(3),
    "multi-host-uri": _MULTI_HOST,
    "name-email": f"[a-zA-Z]{{1,20}}(?: [a-zA-Z]{{1,20}}){{0,3}} <{_EMAIL}>",
    **{f"uuid{version}": _UUID_OF_VERSION.format(version) for version in range(1, 9)},
    # Of zod.
    "cidrv4": f"{_IPV4}{_PREFIX_4}",
    "cidrv6": f"{_IPV6}{_PREFIX_6}",
    "cuid": "c[a-z0-9]{24}",
    "cuid2": "[a-z][0-9a-z]{23}",
    "e164": r"\+[1-9][0-9]{6,14}",
    "emoji": _EMOJI,
    "jwt": _JWT,
    "ksuid": "[A-Za-z0-9]{27}",
    "nanoid": "[A-Za-z0-9_-]{21}",
    "ulid": "[0-7][0-9A-HJKMNP-TV-Z]{25}",
    "xid": "[0-9a-v]{20}",
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
        "json_string": "json-string",
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
    "double-int": {"minimum": 1 - 2**53, "maximum": 2**53 - 1},
}
"""For each format of numbers, as in OpenAPI, its bounds. `float` and `double` have none."""

_PATTERNS_OF_ZOD = frozenset(
    {
        *("cidrv4", "cidrv6", "cuid", "cuid2", "e164", "emoji", "jwt", "ksuid", "nanoid", "ulid"),
        "xid",
    }
)
"""Formats that zod writes together with a `pattern`, which says more."""


def format_pattern(name: str, *, has_pattern: bool) -> str | None:
    """Returns the pattern of a format of strings, or None if the format is an annotation.

    Args:
        name: The format.
        has_pattern: Whether the schema has a `pattern` too. In zod's schemas, it is the definition
            of the format, and with it a `time` has no offset.
    """
    if has_pattern and name in _PATTERNS_OF_ZOD:
        return None
    if has_pattern and name == "time":
        return f"(?:{_TIME}|(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\\.[0-9]{{1,9}})?)?)"
    return STRINGS.get(name)
