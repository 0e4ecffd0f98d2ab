"""JSON arguments are passed through unchanged, up to their closing brace."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.chat.tools.arguments import JsonArguments, Read

OBJECTS = st.dictionaries(st.text(alphabet='a"\\{}é'), st.text(alphabet='a"\\{}[]\n') | st.none())


@pytest.mark.parametrize("rest", ["", "}", "\n</tool_call>", ' {"a": 1}'])
def test_text_after_the_object_is_not_consumed(rest: str) -> None:
    text = '{"a": {"b": "}"}}'
    assert JsonArguments().read(text + rest) == Read(len(text), text, ended=True)


def test_a_truncated_object_is_passed_on_and_has_not_ended() -> None:
    assert JsonArguments().read('{"a": "}') == Read(8, '{"a": "}')


def test_the_json_is_not_validated() -> None:
    assert JsonArguments().read("{nonsense, }x") == Read(12, "{nonsense, }", ended=True)


@given(OBJECTS, st.data())
def test_fragments_concatenate_to_the_text_for_any_chunking(
    value: dict[str, str | None], data: st.DataObject
) -> None:
    text = json.dumps(value)
    cuts = sorted({0, len(text), *data.draw(st.lists(st.integers(0, len(text)), max_size=5))})
    arguments, fragments = JsonArguments(), ""
    for start, end in pairwise(cuts):
        read = arguments.read(text[start:end])
        assert read.consumed == end - start
        assert read.ended == (end == len(text))
        fragments += read.fragment
    assert fragments == text
