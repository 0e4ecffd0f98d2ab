"""Calls of the history: arguments of other clients, ids of other servers, and written calls."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.prompt.history_form import HistoryForm
from friendli_endpoint.chat.prompt.past_calls import CallIds, PastCall, WrittenCalls
from friendli_endpoint.chat.tools import FAMILIES, Family
from friendli_endpoint.chat.tools.written import WrittenCall
from friendli_endpoint.generation import RequestError

OBJECT, TEXT = HistoryForm(), HistoryForm(arguments="text")


def past_call(arguments: str | None) -> PastCall:
    function = {"name": "look", "arguments": arguments}
    return PastCall.of({"id": "1", "type": "function", "function": function}, "messages[3].x")


def arguments_for(form: HistoryForm, arguments: str | None) -> Any:
    call = past_call(arguments).for_template(form)
    assert {**call, "function": {**call["function"], "arguments": ""}} == {
        "id": "1",
        "type": "function",
        "function": {"name": "look", "arguments": ""},
    }
    return call["function"]["arguments"]


@pytest.mark.parametrize("sent", ["", " ", "\n\t ", None, "null", " null ", "{}", "[]", '""'])
def test_no_arguments_are_an_empty_object(sent: str | None) -> None:
    assert arguments_for(OBJECT, sent) == {}
    assert arguments_for(TEXT, sent) == "{}"
    assert past_call(sent).written == WrittenCall("look", {})


@pytest.mark.parametrize("sent", ['{"a": {"b": [1, null]}}', '{"a":1}', '{ "é" : "\\u00e9" }'])
def test_an_object_is_parsed_for_objects_and_kept_for_text(sent: str) -> None:
    assert arguments_for(OBJECT, sent) == json.loads(sent)
    assert arguments_for(TEXT, sent) == sent


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("no json", "no json"),
        ('{"a": 1} and more', '{"a": 1} and more'),
        ('{"a": 1}{"b": 2}', '{"a": 1}{"b": 2}'),
        ("nul", "nul"),
        ("[1, 2]", [1, 2]),
        ("[1, 2", "[1, 2"),
        ("7", 7),
        ("[" * 300 + "]" * 300, "[" * 300 + "]" * 300),
        ('{"a":' * 300, '{"a":' * 300),
    ],
)
def test_other_arguments_are_passed_as_they_are(sent: str, value: object) -> None:
    assert arguments_for(OBJECT, sent) == value
    assert arguments_for(TEXT, sent) == sent
    assert past_call(sent).is_free(OBJECT) and not past_call(sent).is_free(TEXT)
    assert past_call(sent).written == WrittenCall("look", sent)


def test_other_arguments_are_rejected_if_the_template_cannot_take_them() -> None:
    with pytest.raises(RequestError) as caught:
        arguments_for(HistoryForm(free_arguments=None), "no json")
    assert caught.value.param == "messages[3].x.function.arguments"
    assert caught.value.code == "template_error"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=5),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(max_size=5), items),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON, min_size=1), st.data(), st.booleans())
def test_cut_arguments_are_an_object_with_the_part_that_is_there(
    arguments: dict[str, Any], data: st.DataObject, ascii_only: bool
) -> None:
    text = json.dumps(arguments, ensure_ascii=ascii_only)
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    part = arguments_for(OBJECT, cut)
    assert isinstance(part, dict)
    assert list(part) == list(arguments)[: len(part)]
    assert all(part[name] == arguments[name] for name in list(part)[:-1])
    assert arguments_for(TEXT, cut) == cut


IDENTITIES = st.lists(
    st.text(max_size=12) | st.text("abc123XYZ", min_size=9, max_size=9) | st.just("call_1")
)


@settings(max_examples=200, deadline=None)
@given(IDENTITIES)
def test_short_ids_are_nine_letters_or_digits_and_remain_distinct(sent: list[str]) -> None:
    ids = CallIds("short", sent)
    mapped = [ids.of_call(identity, "f", 0) for identity in sent]
    assert all(len(short) == 9 and short.isascii() and short.isalnum() for short in mapped)
    assert len(set(mapped)) == len(set(sent))
    assert [ids.of_result(identity) for identity in sent] == mapped
    again = CallIds("short", sent)
    assert [again.of_call(identity, "f", 0) for identity in sent] == mapped
    fits = [i for i in sent if len(i) == 9 and i.isascii() and i.isalnum()]
    assert all(ids.of_result(identity) == identity for identity in fits)


def test_an_id_that_fits_is_kept_even_if_another_would_get_it() -> None:
    alone = CallIds("short", ["call_1"]).of_call("call_1", "f", 0)
    ids = CallIds("short", ["call_1", alone])
    assert ids.of_call("call_1", "f", 0) != alone
    assert ids.of_call(alone, "f", 0) == alone


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("kept", ["x", "y", "x"]),
        ("numbered", ["functions.f:0", "functions.g:1", "functions.h:2"]),
        ("numbered_in_message", ["functions.f:0", "functions.g:1", "functions.h:0"]),
    ],
)
def test_numbered_ids_count_calls(style: Any, expected: list[str]) -> None:
    ids = CallIds(style, ["x", "y", "x"])
    assert [ids.of_call("x", "f", 0), ids.of_call("y", "g", 1)] == expected[:2]
    assert [ids.of_result("x"), ids.of_result("y")] == expected[:2]
    assert ids.of_call("x", "h", 0) == expected[2]
    assert ids.of_result("x") == expected[2], "the latest call with an id gets its results"
    assert ids.of_result("unknown") == "unknown"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_strings_of_written_calls_can_be_changed_before_they_are_written(
    family: Family,
) -> None:
    calls = [WrittenCall("name", {"key": ["value", 1]}), WrittenCall("name", "words")]
    whole = WrittenCalls("text", calls, family.call_text)
    assert whole == f"text\n{family.call_text(calls)}"
    assert WrittenCalls("", calls, family.call_text) == family.call_text(calls)

    def upper(part: Any) -> Any:
        if isinstance(part, dict):
            return {name.upper(): upper(item) for name, item in part.items()}
        if isinstance(part, list):
            return [upper(item) for item in part]
        return part.upper() if isinstance(part, str) else part

    changed = [WrittenCall("NAME", {"KEY": ["VALUE", 1]}), WrittenCall("NAME", "WORDS")]
    assert whole.changed(upper) == f"TEXT\n{family.call_text(changed)}"
