"""Answers with calls, and their results, in each form."""

from dataclasses import replace
from typing import Any

import pytest

from friendli_endpoint.chat.prompt.exchanges import with_calls
from friendli_endpoint.chat.prompt.history_form import HistoryForm
from friendli_endpoint.chat.prompt.past_calls import PastCall
from friendli_endpoint.chat.tools import family_named

WRITE = family_named("hermes").call_text
USER = {"role": "user", "content": "hi"}
LATER = {"role": "user", "content": "more"}
FORM = HistoryForm()


def call(name: str, identity: str = "") -> PastCall:
    function = {"name": name, "arguments": "{}"}
    return PastCall.of({"id": identity or f"id-{name}", "function": function}, "")


def answer(*calls: PastCall, text: str = "", **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **fields, "tool_calls": list(calls)}


def result(name: str, identity: str = "") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity or f"id-{name}", "content": f"of {name}"}


def outline(form: HistoryForm, *messages: dict[str, Any]) -> list[str]:
    """Returns role, text and called names of each message for a template."""
    return [
        " ".join(
            [
                message["role"],
                str(message.get("content", "absent")).replace("\n", "|"),
                *(c["function"]["name"] for c in message.get("tool_calls", ())),
            ]
        ).strip()
        for message in with_calls(messages, form, WRITE)
    ]


def written(*names: str) -> str:
    return "|".join(
        f'<tool_call>|{{"name": "{name}", "arguments": {{}}}}|</tool_call>' for name in names
    )


def test_the_usual_form_changes_nothing_but_the_types() -> None:
    (_, prepared, *_) = with_calls([USER, answer(call("f")), result("f")], FORM, WRITE)
    assert prepared == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "id-f", "type": "function", "function": {"name": "f", "arguments": {}}}
        ],
    }


@pytest.mark.parametrize(
    ("changes", "content"),
    [
        ({}, "assistant f"),
        ({"no_content": None}, "assistant None f"),
        ({"has_content": False}, "assistant absent f"),
    ],
)
def test_the_content_of_an_answer_without_text(changes: dict[str, Any], content: str) -> None:
    form = replace(FORM, **changes)
    assert [line.replace("  ", " ") for line in outline(form, answer(call("f")))] == [content]
    assert outline(form, answer(call("f"), text="Wait.")) == ["assistant Wait. f"]


def test_several_calls_become_messages_with_their_own_results() -> None:
    form = replace(FORM, several_calls="several")
    calls = answer(call("f"), call("g"), text="Wait.", reasoning_content="Hm.")
    assert outline(form, USER, calls, result("g"), result("f"), LATER) == [
        *("user hi", "assistant Wait. f", "tool of f", "assistant  g", "tool of g", "user more")
    ]
    reasoned = ["reasoning_content" in message for message in with_calls([calls], form, WRITE)]
    assert reasoned == [True, False]


def test_text_becomes_a_message_before_the_calls() -> None:
    form = replace(FORM, text="several")
    calls = answer(call("f"), call("g"), text="Wait.", reasoning_content="Hm.")
    assert outline(form, calls, result("f"), result("g")) == [
        *("assistant Wait.", "assistant  f g", "tool of f", "tool of g")
    ]
    reasoned = ["reasoning_content" in message for message in with_calls([calls], form, WRITE)]
    assert reasoned == [True, False]
    both = replace(form, several_calls="several")
    assert outline(both, calls, result("f"), result("g")) == [
        *("assistant Wait.", "assistant  f", "tool of f", "assistant  g", "tool of g")
    ]


@pytest.mark.parametrize("blanks", ["\n\n", " "])
def test_blanks_before_calls_are_not_a_text(blanks: str) -> None:
    assert outline(FORM, answer(call("f"), text=blanks)) == [
        f"assistant {blanks} f".replace("\n", "|")
    ]
    form = replace(FORM, text="written", no_content=None)
    assert outline(form, answer(call("f"), text=blanks)) == ["assistant None f"]


@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        ("calls", [answer(call("f"), call("g")), result("f"), result("g")]),
        ("several_calls", [answer(call("f"), call("g")), result("f"), result("g")]),
        ("text", [answer(call("f"), call("g"), text="Wait."), result("f"), result("g")]),
        ("interrupted", [answer(call("f"), call("g")), result("f"), result("g"), LATER]),
        ("unanswered", [answer(call("f"), call("g"))]),
        ("unanswered", [answer(call("f"), call("g")), result("g"), LATER]),
    ],
)
def test_calls_are_written_out_for_one_kind_of_answer(
    kind: str, messages: list[dict[str, Any]]
) -> None:
    changes: dict[str, Any] = {kind: "written"}
    lines = outline(replace(FORM, **changes), USER, *messages)
    text = "Wait.|" if kind == "text" else ""
    assert lines[1] == f"assistant {text}{written('f', 'g')}"
    assert all(line.startswith(("tool", "user")) for line in lines[2:])
    changes[kind] = "written_with_results"
    lines = outline(replace(FORM, **changes), USER, *messages)
    assert lines[1] == f"assistant {text}{written('f', 'g')}"
    assert not any(line.startswith("tool") for line in lines)
    single = [answer(call("f")), result("f"), {"role": "assistant", "content": "Done."}]
    if kind != "calls":
        assert outline(replace(FORM, **changes), *single)[0] == "assistant  f", "another kind"


def test_calls_with_other_arguments_are_written_out() -> None:
    form = replace(FORM, free_arguments="written")
    function = {"name": "f", "arguments": "no json"}
    malformed = PastCall.of({"id": "1", "function": function}, "")
    (line,) = outline(form, answer(malformed))
    assert "no json" in line and "<tool_call>" in line
    assert outline(form, answer(call("f"))) == ["assistant  f"]


def test_results_become_part_of_the_users_messages() -> None:
    form = replace(FORM, results="user")
    first, second = (f"<tool_response>|of {name}|</tool_response>" for name in "fg")
    assert outline(form, answer(call("f"), call("g")), result("f"), result("g"), LATER)[1:] == [
        f"user {first}|{second}|more"
    ]


def test_results_are_in_the_order_of_their_calls() -> None:
    calls = answer(call("f"), call("g"), call("h"))
    earlier = [USER, answer(call("e"))]  # its result comes late
    results = [result("h"), result("e"), result("g"), {**result("f"), "name": "own"}]
    lines = outline(FORM, *earlier, calls, *results)
    assert lines[3:] == ["tool of f", "tool of g", "tool of h", "tool of e"]
    names = [message["name"] for message in with_calls([calls, *results], FORM, WRITE)[1:4]]
    assert names == ["own", "g", "h"], "a name that was sent is kept"


def test_results_of_calls_with_equal_ids_are_shared_out_in_order() -> None:
    calls = answer(call("f", "x"), call("g", "x"))
    form = replace(FORM, several_calls="several")
    results = [{**result("", "x"), "content": content} for content in "abc"]
    assert outline(form, calls, *results) == [
        *("assistant  f", "tool a", "assistant  g", "tool b", "tool c")
    ]


def test_a_late_result_keeps_its_place_and_gets_the_name_of_its_call() -> None:
    messages = [answer(call("f")), LATER, result("f")]
    late = with_calls(messages, FORM, WRITE)[-1]
    assert (late["content"], late["name"], late["tool_call_id"]) == ("of f", "f", "id-f")


@pytest.mark.parametrize("style", ["short", "numbered"])
def test_ids_of_calls_and_results_are_mapped_together(style: Any) -> None:
    messages = [answer(call("f")), result("f"), answer(call("g")), result("g")]
    first, its, second, own = with_calls(messages, replace(FORM, ids=style), WRITE)
    assert first["tool_calls"][0]["id"] == its["tool_call_id"] != "id-f"
    assert second["tool_calls"][0]["id"] == own["tool_call_id"] != its["tool_call_id"]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [("all", [True, True]), ("without_text", [True, False]), ("none", [False, False])],
)
def test_reasoning_beside_calls(kept: Any, expected: list[bool]) -> None:
    form = replace(FORM, reasoning=kept, reasoning_key="thinking")
    reasoned = {"role": "assistant", "content": "Done.", "reasoning_content": "Hm."}
    messages = [answer(call("f"), text=text, reasoning_content="Hm.") for text in ("", "Wait.")]
    prepared = with_calls([*messages, reasoned], form, WRITE)
    assert ["thinking" in message for message in prepared] == [*expected, True]
    assert not any("reasoning_content" in message for message in prepared)


def test_the_messages_are_not_modified() -> None:
    def conversation() -> list[dict[str, Any]]:
        return [USER, answer(call("f"), call("g"), text="a"), result("g"), result("f"), LATER]

    messages = conversation()
    for form in (FORM, replace(FORM, calls="written_with_results"), replace(FORM, ids="short")):
        with_calls(messages, form, WRITE)
        assert messages == conversation()
