"""JSON is laid out as the options say: on one line, or with white space that is bounded."""

import json
import re

import pytest

from tests.chat.structured.schemas import SCHEMAS
from tests.chat.structured.walking import COMPILER, ENDS, VOCABULARY, allowed, follows, walk
from tests.support.chat import ConstraintMaker

OBJECT = {"type": "object"}
LINE = ConstraintMaker(VOCABULARY, layout="line")


@pytest.mark.parametrize("name", ["json_object", *SCHEMAS])
def test_json_on_one_line_has_a_space_after_commas_and_colons_and_no_other(name: str) -> None:
    schema = OBJECT if name == "json_object" else SCHEMAS[name]
    texts = [walk(LINE.json_schema(schema, ENDS, "s"), seed) for seed in range(20)]
    ended = [text for text in texts if text is not None]
    assert ended
    for text in ended:
        json.loads(text)
        bare = re.sub(r'"(\\.|[^"\\])*"', '""', text)
        assert re.sub(r"([,:]) ", "", bare) == re.sub(r"[\s,:]", "", bare)


@pytest.mark.parametrize("favourites", [("\n", " ", "  "), (" ", "\n"), ("\n\n", "\n"), ("  ",)])
@pytest.mark.parametrize("name", ["json_object", "chart", "pydantic", "openapi", "expression"])
def test_white_space_is_bounded(name: str, favourites: tuple[str, ...]) -> None:
    schema = OBJECT if name == "json_object" else SCHEMAS[name]
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    spaces = {VOCABULARY.token(text) for text in ("\n", " ", "  ", "\n\n")}
    liked = [VOCABULARY.token(text) for text in favourites]
    closing = [VOCABULARY.byte(character) for character in '"]},:0']
    longest = run_length = 0
    inside = False
    for _ in range(3000):
        choices = allowed(constraint)
        if choices & ENDS or not choices:
            break
        ranked = [token for token in (*([] if inside else liked), *closing) if token in choices]
        token = ranked[0] if ranked else min(choices)
        inside ^= VOCABULARY.token_bytes(token).count(b'"') % 2 == 1
        run_length = run_length + len(VOCABULARY.token_bytes(token)) if token in spaces else 0
        longest = max(longest, run_length)
        if constraint.accept(token):
            break
    assert longest <= 17
    assert constraint.satisfied


@pytest.mark.parametrize(
    ("text", "free", "line"),
    [
        ("[1, 2]", True, True),
        ("[1,2]", True, False),
        ("[ 1, 2]", True, False),
        ("[\n  1,\n  2\n]", True, False),
        ("[1,  2]", False, False),
        ("[1,\t2]", False, False),
        ("[1,\n" + " " * 16 + "2]", True, False),
        ("[1,\n" + " " * 17 + "2]", False, False),
        ("[1,\n\n2]", False, False),
    ],
)
def test_white_space_between_tokens(text: str, free: bool, line: bool) -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert follows(COMPILER.json_schema(schema, ENDS, "s"), text) == free
    assert follows(LINE.json_schema(schema, ENDS, "s"), text) == line


@pytest.mark.parametrize("maker", [COMPILER, LINE], ids=["free", "line"])
def test_characters_have_escapes_of_one_letter_only(maker: ConstraintMaker) -> None:
    taken, not_taken = [r'"\n\r\b\t\f\\\""'], [r'"\u0061"', r'"\u0001"', r'"\/"']
    for text in (*taken, *not_taken):
        constraint = maker.json_schema({"type": "string"}, ENDS, "s")
        assert follows(constraint, text) == (text in taken)
