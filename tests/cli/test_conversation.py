"""The commands of a chat, without a terminal or an endpoint."""

import json
from pathlib import Path

import pytest

from friendli_endpoint.cli.conversation import (
    COMMANDS,
    UNSUPPORTED_PARAMETERS,
    CommandError,
    Conversation,
    run_line,
)


@pytest.fixture
def talk() -> Conversation:
    talk = Conversation()
    run_line(talk, "Hello!")
    talk.add_answer("Hi.", "They greet me.")
    return talk


def roles(talk: Conversation) -> list[str]:
    return [message["role"] for message in talk.messages]


def test_a_line_is_added_as_a_question(talk: Conversation) -> None:
    assert run_line(talk, "  And now?\n").next == "answer"
    assert talk.messages == [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hi.", "reasoning_content": "They greet me."},
        {"role": "user", "content": "And now?"},
    ]


def test_an_empty_line_is_ignored(talk: Conversation) -> None:
    assert run_line(talk, "  \n").next == "read"
    assert roles(talk) == ["user", "assistant"]


def test_two_slashes_begin_a_question_with_a_slash(talk: Conversation) -> None:
    run_line(talk, "//etc/passwd")
    assert talk.turns[-1]["content"] == "/etc/passwd"


def test_an_unanswered_question_is_replaced_by_the_next(talk: Conversation) -> None:
    run_line(talk, "This fails.")
    talk.add_answer("", "")
    run_line(talk, "This does not.")
    assert [turn["content"] for turn in talk.turns] == ["Hello!", "Hi.", "This does not."]


def test_the_system_message_comes_first_and_can_be_removed(talk: Conversation) -> None:
    run_line(talk, "/system You are terse.")
    assert talk.messages[0] == {"role": "system", "content": "You are terse."}
    run_line(talk, "/clear")
    assert roles(talk) == ["system"]
    run_line(talk, "/system")
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
    run_line(talk, line)
    assert talk.sampling == {name: value}
    assert f"{name}: {json.dumps(value)}" in run_line(talk, "/show").output
    run_line(talk, f"/unset {name}")
    assert talk.sampling == {}


@pytest.mark.parametrize("name", UNSUPPORTED_PARAMETERS)
def test_unsupported_parameters_cannot_be_set(name: str, talk: Conversation) -> None:
    with pytest.raises(CommandError, match=name):
        run_line(talk, f"/set {name} 2")


def test_retry_repeats_the_last_question(talk: Conversation) -> None:
    assert run_line(talk, "/retry").next == "answer"
    assert roles(talk) == ["user"]
    assert run_line(talk, "/retry").next == "answer"
    assert roles(talk) == ["user"]


def test_a_saved_conversation_is_a_request_body_and_can_be_loaded(
    talk: Conversation, tmp_path: Path
) -> None:
    for line in ("/system Be kind. ☺", "/set seed 7", f"/save {tmp_path / 'talk.json'}"):
        run_line(talk, line)
    body = json.loads((tmp_path / "talk.json").read_text("utf-8"))
    assert body == {"messages": talk.messages, "seed": 7}
    loaded = Conversation(sampling={"top_k": 1})
    run_line(loaded, f"/load {tmp_path / 'talk.json'}")
    assert loaded == talk


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"messages": 1}', '{"messages": [{"role": "user", "content": 1}]}']
)
def test_an_invalid_file_is_not_loaded(text: str, talk: Conversation, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=r"talk\.json"):
        run_line(talk, f"/load {path}")
    assert roles(talk) == ["user", "assistant"]


@pytest.mark.parametrize(
    "line",
    ["/bad", "/set", "/set temperature", "/unset top_k", "/save", "/load", "/load /no/such/file"],
)
def test_a_failed_command_changes_nothing(line: str, talk: Conversation) -> None:
    with pytest.raises(CommandError):
        run_line(talk, line)
    assert roles(talk) == ["user", "assistant"]
    assert talk.sampling == {}


def test_retry_fails_without_a_question() -> None:
    with pytest.raises(CommandError, match="no question"):
        run_line(Conversation(), "/retry")


def test_help_lists_every_command(talk: Conversation) -> None:
    shown = run_line(talk, "/help").output.splitlines()
    assert [line.split()[0] for line in shown] == list(COMMANDS)
    assert run_line(talk, "/quit").next == "quit"
