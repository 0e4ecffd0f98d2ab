"""Whether a pattern is read as it is meant, or named for what is wrong with it."""

import re

import pytest

from friendli_endpoint.chat.structured.regex import PatternError, search_pattern
from friendli_endpoint.generation import RequestError
from tests.chat.structured.walking import COMPILER, ENDS, follows

__all__ = ["check_meaning", "check_named"]


def check_meaning(pattern: str, yes: list[str], no: list[str]) -> None:
    """That a whole output may be any text of `yes`, and none of `no`."""
    for text in (*yes, *no):
        assert follows(COMPILER.regex(pattern, ENDS, "r"), text) == (text in yes), text


def check_named(pattern: str, named: str) -> None:
    """That a pattern is refused with these words, alone and in a schema."""
    with pytest.raises(RequestError, match=re.escape(named)) as caught:
        COMPILER.regex(pattern, ENDS, "response_format.schema")
    assert caught.value.status == 400
    assert caught.value.param == "response_format.schema"
    with pytest.raises(PatternError, match=re.escape(named)):
        search_pattern(pattern)
