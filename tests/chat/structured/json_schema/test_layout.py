"""Layout of generated JSON: on one line, or with bounded white space."""

import json
import re

import pytest

from tests.chat.structured.schemas import SCHEMAS
from tests.chat.structured.walks import COMPILER, ENDS, VOCABULARY, allowed, allows_text, walk
from tests.support.chat import ConstraintMaker

OBJECT = {"type": "object"}
LINE = ConstraintMaker(VOCABULARY, layout="line")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["json_object", *SCHEMAS])
def test_line_layout_has_spaces_only_after_commas_and_colons(name: str) -> None:
    schema = OBJECT if name == "json_object" else SCHEMAS[name]
    texts = [walk(LINE.json_schema(schema, ENDS, "s"), seed) for seed in range(20)]
    ended = [text for text in texts if text is not None]
    assert ended
    for text in ended:
        json.loads(text)
        bare = re.sub(r'"(\\.|[^"\\])*"', '""', text)
        assert re.sub(r"([,:]) ", "", bare) == re.sub(r"[\s,:]", "", bare)


@pytest.mark.parametrize("preferred", [("\n", " ", "  "), (" ", "\n"), ("\n\n", "\n"), ("  ",)])
@pytest.mark.parametrize("name", ["json_object", "chart", "pydantic", "openapi", "expression"])
def test_white_space_is_bounded(name: str, preferred: tuple[str, ...]) -> None:
    schema = OBJECT if name == "json_object" else SCHEMAS[name]
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    spaces = {VOCABULARY.token(text) for text in ("\n", " ", "  ", "\n\n")}
    preferred_tokens = [VOCABULARY.token(text) for text in preferred]
    closing = [VOCABULARY.byte(character) for character in '"]},:0']
    max_run = run_length = 0
    inside = False
    for _ in range(3000):
        choices = allowed(constraint)
        if choices & ENDS or not choices:
            break
        ranked = [
            token for token in (*([] if inside else preferred_tokens), *closing) if token in choices
        ]
        token = ranked[0] if ranked else min(choices)
        inside ^= VOCABULARY.token_bytes(token).count(b'"') % 2 == 1
        run_length = run_length + len(VOCABULARY.token_bytes(token)) if token in spaces else 0
        max_run = max(max_run, run_length)
        if constraint.accept(token):
            break
    assert max_run <= 17
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
def test_allowed_white_space_between_tokens(text: str, free: bool, line: bool) -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), text) == free
    assert allows_text(LINE.json_schema(schema, ENDS, "s"), text) == line


@pytest.mark.parametrize("maker", [COMPILER, LINE], ids=["free", "line"])
def test_only_escapes_of_one_letter_are_allowed(maker: ConstraintMaker) -> None:
    allowed_texts, other_texts = [r'"\n\r\b\t\f\\\""'], [r'"\u0061"', r'"\u0001"', r'"\/"']
    for text in (*allowed_texts, *other_texts):
        constraint = maker.json_schema({"type": "string"}, ENDS, "s")
        assert allows_text(constraint, text) == (text in allowed_texts)
