"""The commands of a chat, without a terminal and without an endpoint."""

import json
from pathlib import Path

import pytest

from friendli_endpoint.cli.conversation import (
    COMMANDS,
    NOT_FOR_A_CHAT,
    CommandError,
    Conversation,
    take_line,
)


@pytest.fixture
def talk() -> Conversation:
    talk = Conversation()
    take_line(talk, "Hello!")
    talk.answered("Hi.", "They greet me.")
    return talk


def roles(talk: Conversation) -> list[str]:
    return [message["role"] for message in talk.messages]


def test_a_line_is_asked_and_answered(talk: Conversation) -> None:
    assert take_line(talk, "  And now?\n").next == "answer"
    assert talk.messages == [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hi.", "reasoning_content": "They greet me."},
        {"role": "user", "content": "And now?"},
    ]


def test_an_empty_line_is_nothing(talk: Conversation) -> None:
    assert take_line(talk, "  \n").next == "read"
    assert roles(talk) == ["user", "assistant"]


def test_two_slashes_begin_a_text_with_one(talk: Conversation) -> None:
    take_line(talk, "//etc/passwd")
    assert talk.turns[-1]["content"] == "/etc/passwd"


def test_a_question_without_an_answer_gives_way_to_the_next(talk: Conversation) -> None:
    take_line(talk, "This fails.")
    talk.answered("", "")
    take_line(talk, "This does not.")
    assert [turn["content"] for turn in talk.turns] == ["Hello!", "Hi.", "This does not."]


def test_the_system_text_comes_first_and_can_be_taken_away(talk: Conversation) -> None:
    take_line(talk, "/system You are terse.")
    assert talk.messages[0] == {"role": "system", "content": "You are terse."}
    take_line(talk, "/clear")
    assert roles(talk) == ["system"]
    take_line(talk, "/system")
    assert roles(talk) == []


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("/set temperature 0.2", "temperature", 0.2),
        ("/set temperature=0.2", "temperature", 0.2),
        ("/set stop  The end. ", "stop", "The end."),
        ('/set stop ["a", "b c"]', "stop", ["a", "b c"]),
        (
            '/set response_format {"type": "json_object"}',
            "response_format",
            {"type": "json_object"},
        ),
        ("/set never_heard_of true", "never_heard_of", True),
    ],
)
def test_a_parameter_is_set_and_unset(
    line: str, name: str, value: object, talk: Conversation
) -> None:
    take_line(talk, line)
    assert talk.sampling == {name: value}
    assert f"{name}: {json.dumps(value)}" in take_line(talk, "/show").says
    take_line(talk, f"/unset {name}")
    assert talk.sampling == {}


@pytest.mark.parametrize("name", NOT_FOR_A_CHAT)
def test_what_a_chat_has_no_use_for_is_refused(name: str, talk: Conversation) -> None:
    with pytest.raises(CommandError, match=name):
        take_line(talk, f"/set {name} 2")


def test_retry_asks_for_the_last_answer_again(talk: Conversation) -> None:
    assert take_line(talk, "/retry").next == "answer"
    assert roles(talk) == ["user"]
    assert take_line(talk, "/retry").next == "answer"
    assert roles(talk) == ["user"]


def test_a_saved_conversation_is_the_body_of_a_request_and_loads(
    talk: Conversation, tmp_path: Path
) -> None:
    for line in ("/system Be kind. ☺", "/set seed 7", f"/save {tmp_path / 'talk.json'}"):
        take_line(talk, line)
    body = json.loads((tmp_path / "talk.json").read_text("utf-8"))
    assert body == {"messages": talk.messages, "seed": 7}
    other = Conversation(sampling={"top_k": 1})
    take_line(other, f"/load {tmp_path / 'talk.json'}")
    assert other == talk


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"messages": 1}', '{"messages": [{"role": "user", "content": 1}]}']
)
def test_what_is_no_conversation_is_not_loaded(
    text: str, talk: Conversation, tmp_path: Path
) -> None:
    path = tmp_path / "talk.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=r"talk\.json"):
        take_line(talk, f"/load {path}")
    assert roles(talk) == ["user", "assistant"]


@pytest.mark.parametrize(
    "line",
    ["/bad", "/set", "/set temperature", "/unset top_k", "/save", "/load", "/load /no/such/file"],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(line: str, talk: Conversation) -> None:
    with pytest.raises(CommandError):
        take_line(talk, line)
    assert roles(talk) == ["user", "assistant"]
    assert talk.sampling == {}


def test_there_is_nothing_to_retry_at_first() -> None:
    with pytest.raises(CommandError, match="nothing"):
        take_line(Conversation(), "/retry")


def test_help_lists_every_command(talk: Conversation) -> None:
    shown = take_line(talk, "/help").says.splitlines()
    assert [line.split()[0] for line in shown] == list(COMMANDS)
    assert take_line(talk, "/quit").next == "quit"
