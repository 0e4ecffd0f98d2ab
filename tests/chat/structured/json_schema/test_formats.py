"""Formats that a standard or a schema library defines are enforced; others are annotations."""

import base64
import json
from collections.abc import Callable
from datetime import datetime, time
from decimal import Decimal
from email.utils import parsedate_to_datetime
from fractions import Fraction
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from uuid import UUID

import pytest
from pydantic import TypeAdapter
from pydantic_core import MultiHostUrl

from friendli_endpoint.chat.structured.json_schema.formats import NUMBERS, STRINGS
from tests.chat.structured.json_schema.helpers import Schema, check
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk


def _uuid_of(version: int) -> Callable[[str], object]:
    def read(text: str) -> None:
        assert UUID(text).version == version

    return read


READERS: dict[str, Callable[[str], object]] = {
    "base64url": lambda text: base64.b64decode(text, b"-_", validate=True),
    "byte": lambda text: base64.b64decode(text, validate=True),
    "date-time-local": datetime.fromisoformat,
    "decimal": Decimal,
    "decimal128": Decimal,
    "fraction": Fraction,
    "http-date": parsedate_to_datetime,
    "int64": int,
    "ipv4interface": IPv4Interface,
    "ipv4network": IPv4Network,
    "ipv6interface": IPv6Interface,
    "ipv6network": IPv6Network,
    "ipvanyaddress": ip_address,
    "ipvanyinterface": ip_interface,
    "ipvanynetwork": ip_network,
    "json-string": json.loads,
    "multi-host-uri": TypeAdapter(MultiHostUrl).validate_python,
    "time-local": time.fromisoformat,
    **{f"uuid{version}": _uuid_of(version) for version in range(1, 9)},
}
"""Parsers of formats that the jsonschema package does not know."""


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted(STRINGS))
def test_every_text_of_a_format_is_valid(name: str) -> None:
    schema: Schema = {"type": "string", "format": name}
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    texts = [text for seed in range(12) if (text := walk(constraint.copy(), seed)) is not None]
    assert texts
    for text in texts:
        check(schema, text)
        READERS.get(name, str)(json.loads(text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("decimal", "-12.50"),
        ("cuid2", "tz4a98xxat96iws9zmbrgj3a"),
        ("e164", "+4930123456"),
        ("ipv4network", "10.0.0.0/8"),
        ("json-string", '{"a": [1, {"b": null}]}'),
        ("name-email", "Ann Lee <ann@example.org>"),
        ("ulid", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("uuid7", "0190a5e8-7e2c-7c3a-9f00-0123456789ab"),
    ],
)
def test_a_usual_text_of_a_format_is_allowed(name: str, text: str) -> None:
    constraint = COMPILER.json_schema({"type": "string", "format": name}, ENDS, "s")
    assert allows_text(constraint, json.dumps(text))


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "format": "date"}, '"2023-02-29"'),
        ({"type": "string", "format": "date-time"}, '"2024-01-01T00:00:60Z"'),
        ({"type": "string", "format": "decimal"}, '"1e5"'),
        ({"type": "string", "format": "ipv4network"}, '"10.0.0.1/8"'),
        ({"type": "string", "format": "uuid4"}, '"123e4567-e89b-12d3-a456-426614174000"'),
        ({"type": "integer", "format": "int32"}, "2147483648"),
        ({"type": ["integer", "string"], "format": "int64"}, '"x"'),
        ({"type": ["integer", "string"], "format": "uint64"}, "-1"),
        ({"format": "int8"}, "128"),
    ],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


UNDEFINED = ("path", "topic", "phone", "color-hex", "AWS::IAM::Role.Arn", "password", "binary", "")


@pytest.mark.parametrize("name", [*UNDEFINED, *sorted(NUMBERS.keys() - STRINGS.keys())])
def test_an_undefined_format_and_one_of_numbers_do_not_restrict_a_string(name: str) -> None:
    constraint = COMPILER.json_schema({"type": "string", "format": name}, ENDS, "s")
    assert allows_text(constraint, '"anything, 1"')


@pytest.mark.parametrize("name", [*UNDEFINED, *sorted(STRINGS.keys() - NUMBERS.keys())])
def test_an_undefined_format_and_one_of_strings_do_not_restrict_a_number(name: str) -> None:
    constraint = COMPILER.json_schema({"type": "number", "format": name}, ENDS, "s")
    assert allows_text(constraint, "-12345678901.5")


@pytest.mark.parametrize(
    ("name", "pattern", "text"),
    [
        ("ulid", "^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$", "z1ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("time", r"^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?$", "23:59"),
        ("time", "^1", "12:30:00Z"),
        ("nanoid", "^.{21}$", "V1StGXR8_Z5jdHi6B-myT"),
    ],
)
def test_a_pattern_beside_a_format_of_zod_defines_it(name: str, pattern: str, text: str) -> None:
    schema = {"type": "string", "format": name, "pattern": pattern}
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    assert allows_text(constraint.copy(), json.dumps(text))
    assert not allows_text(constraint, '"no"')


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uri-reference", ""),
        ("uri-reference", "#/components/schemas/Pet"),
        ("uri-reference", "?a=b"),
        ("iri-reference", "Zürich"),
        ("iri", "https://example.org/서울"),
        ("regex", "[0-9]{3}"),
        ("regex", "^(?:[^a-z_]|b+)$"),
    ],
)
def test_usual_texts_of_a_format_are_allowed(name: str, text: str) -> None:
    schema = {"type": "string", "format": name}
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    assert allows_text(constraint, json.dumps(text, ensure_ascii=False))
