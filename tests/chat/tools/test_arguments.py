"""Arguments that are JSON go through as they are, up to the brace that ends them."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.chat.tools.arguments import JsonArguments, Read

OBJECTS = st.dictionaries(st.text(alphabet='a"\\{}é'), st.text(alphabet='a"\\{}[]\n') | st.none())


@pytest.mark.parametrize("rest", ["", "}", "\n</tool_call>", ' {"a": 1}'])
def test_what_follows_the_object_is_left(rest: str) -> None:
    text = '{"a": {"b": "}"}}'
    assert JsonArguments().read(text + rest) == Read(len(text), text, ended=True)


def test_an_object_that_is_cut_off_is_taken_and_has_not_ended() -> None:
    assert JsonArguments().read('{"a": "}') == Read(8, '{"a": "}')


def test_nothing_is_checked() -> None:
    assert JsonArguments().read("{nonsense, }x") == Read(12, "{nonsense, }", ended=True)


@given(OBJECTS, st.data())
def test_fragments_make_up_the_text_however_it_is_cut(
    value: dict[str, str | None], data: st.DataObject
) -> None:
    text = json.dumps(value)
    cuts = sorted({0, len(text), *data.draw(st.lists(st.integers(0, len(text)), max_size=5))})
    arguments, written = JsonArguments(), ""
    for start, end in pairwise(cuts):
        read = arguments.read(text[start:end])
        assert read.taken == end - start
        assert read.ended == (end == len(text))
        written += read.fragment
    assert written == text
