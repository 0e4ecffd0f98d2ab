"""Checks of the texts that a pattern matches, and of the error for an unsupported pattern."""

import re

import pytest

from friendli_endpoint.chat.structured.regex import PatternError, search_pattern
from friendli_endpoint.generation import RequestError
from tests.chat.structured.walks import COMPILER, ENDS, allows_text

__all__ = ["check_matches", "check_rejected"]


def check_matches(pattern: str, matching: list[str], other_texts: list[str]) -> None:
    """Checks that a pattern matches all of `matching` and none of `other_texts` as a whole."""
    for text in (*matching, *other_texts):
        assert allows_text(COMPILER.regex(pattern, ENDS, "r"), text) == (text in matching), text


def check_rejected(pattern: str, message: str) -> None:
    """Checks that a pattern is rejected with this message, alone and in a schema."""
    with pytest.raises(RequestError, match=re.escape(message)) as caught:
        COMPILER.regex(pattern, ENDS, "response_format.schema")
    assert caught.value.status == 400
    assert caught.value.param == "response_format.schema"
    with pytest.raises(PatternError, match=re.escape(message)):
        search_pattern(pattern)
