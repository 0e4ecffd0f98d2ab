"""A conversation and the commands that change it, independent of terminal and endpoint."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

__all__ = ["COMMANDS", "CommandError", "CommandResult", "Conversation", "Next", "run_line"]

Next: TypeAlias = Literal["read", "answer", "quit"]

UNSUPPORTED_PARAMETERS = {
    "messages": "the chat sends its own messages",
    "model": "start the chat with --endpoint-id",
    "stream": "the chat always streams",
    "stream_options": "the chat always streams",
    "n": "the chat shows one answer",
    "logprobs": "the chat shows only text",
    "top_logprobs": "the chat shows only text",
    "tools": "the chat does not support tools",
    "tool_choice": "the chat does not support tools",
    "parallel_tool_calls": "the chat does not support tools",
}
"""Request parameters that have no useful effect in a chat, and the reason."""


class CommandError(Exception):
    """A command failed; the message says why in a sentence."""


@dataclass(slots=True)
class Conversation:
    """Messages of a chat, and the parameters of its requests.

    Attributes:
        system: The system message; empty if there is none.
        turns: Messages of the user and the assistant, in order.
        sampling: Request parameters by name.
    """

    system: str = ""
    turns: list[dict[str, Any]] = field(default_factory=list)
    sampling: dict[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> list[Any]:
        """The messages of a request."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return system + self.turns

    def add_question(self, text: str) -> None:
        """Adds a user message; replaces the last one if it was not answered."""
        if self.turns and self.turns[-1]["role"] == "user":
            self.turns.pop()
        self.turns.append({"role": "user", "content": text})

    def add_answer(self, content: str, reasoning: str) -> None:
        """Adds an assistant message, complete or interrupted; ignores an empty one."""
        if content or reasoning:
            fields = {"reasoning_content": reasoning} if reasoning else {}
            self.turns.append({"role": "assistant", "content": content, **fields})


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Result of a line of input.

    Attributes:
        output: Text to show; may be empty.
        next: Whether to read the next line, to request an answer, or to quit.
    """

    output: str = ""
    next: Next = "read"


@dataclass(frozen=True, slots=True)
class Command:
    """A chat command, which begins with a slash.

    Attributes:
        run: Runs the command with the rest of the line.
        argument: Placeholder of the argument in /help.
        help: Description in /help.
    """

    run: Callable[[Conversation, str], CommandResult]
    argument: str
    help: str


def run_line(conversation: Conversation, line: str) -> CommandResult:
    """Runs a line of input: a command or a question; `//` begins a question with a slash.

    Raises:
        CommandError: The command failed; nothing has changed.
    """
    text = line.strip()
    if not text:
        return CommandResult()
    if not text.startswith("/") or text.startswith("//"):
        conversation.add_question(text.removeprefix("/"))
        return CommandResult(next="answer")
    name, _, argument = text.partition(" ")
    if name not in COMMANDS:
        raise CommandError(f"unknown command {name}; /help lists the commands")
    return COMMANDS[name].run(conversation, argument.strip())


def _system(conversation: Conversation, text: str) -> CommandResult:
    conversation.system = text
    return CommandResult("" if text else "the system message is removed")


def _set(conversation: Conversation, argument: str) -> CommandResult:
    name, _, text = argument.replace("=", " ", 1).partition(" ")
    if not name or not text.strip():
        raise CommandError("/set needs a name and a value, such as /set temperature 0.2")
    if name in UNSUPPORTED_PARAMETERS:
        raise CommandError(f"{name} cannot be set: {UNSUPPORTED_PARAMETERS[name]}")
    try:
        conversation.sampling[name] = json.loads(text)
    except ValueError:
        conversation.sampling[name] = text.strip()
    return CommandResult()


def _unset(conversation: Conversation, name: str) -> CommandResult:
    if name not in conversation.sampling:
        raise CommandError(f"{name!r} is not set; /show lists the parameters that are")
    del conversation.sampling[name]
    return CommandResult()


def _show(conversation: Conversation, _argument: str) -> CommandResult:
    settings = [f"{name}: {json.dumps(value)}" for name, value in conversation.sampling.items()]
    system = [f"system: {conversation.system}"] if conversation.system else []
    return CommandResult("\n".join([*system, *settings, f"messages: {len(conversation.turns)}"]))


def _save(conversation: Conversation, file: str) -> CommandResult:
    """Writes the body of a request without `model`, so that the file can also be sent."""
    body = {"messages": conversation.messages, **conversation.sampling}
    try:
        _path(file).write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {file}: {error.strerror}") from error
    return CommandResult(f"saved {len(conversation.turns)} messages to {file}")


def _load(conversation: Conversation, file: str) -> CommandResult:
    try:
        body = json.loads(_path(file).read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{file} is not JSON: {error}") from error
    messages = body.pop("messages", None) if isinstance(body, dict) else None
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        raise CommandError(f"{file} is not a conversation: it has no list of text messages")
    has_system = bool(messages) and messages[0]["role"] == "system"
    conversation.system = messages[0]["content"] if has_system else ""
    conversation.turns = messages[has_system:]
    conversation.sampling = {k: v for k, v in body.items() if k not in UNSUPPORTED_PARAMETERS}
    return CommandResult(f"loaded {len(conversation.turns)} messages from {file}")


def _retry(conversation: Conversation, _argument: str) -> CommandResult:
    if not conversation.turns:
        raise CommandError("there is no question to repeat")
    if conversation.turns[-1]["role"] == "assistant":
        conversation.turns.pop()
    return CommandResult(next="answer")


def _clear(conversation: Conversation, _argument: str) -> CommandResult:
    conversation.turns.clear()
    return CommandResult()


def _help(_conversation: Conversation, _argument: str) -> CommandResult:
    usages = {f"{name} {command.argument}": command.help for name, command in COMMANDS.items()}
    width = max(map(len, usages))
    return CommandResult("\n".join(f"{usage:{width}}  {text}" for usage, text in usages.items()))


def _quit(_conversation: Conversation, _argument: str) -> CommandResult:
    return CommandResult(next="quit")


def _path(file: str) -> Path:
    if not file:
        raise CommandError("a file name is missing, such as /save talk.json")
    return Path(file).expanduser()


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and isinstance(value.get("content"), str)
    )


COMMANDS = {
    "/system": Command(_system, "TEXT", "sets the system message; without TEXT, removes it"),
    "/set": Command(_set, "NAME VALUE", "sets a parameter, such as temperature 0.2"),
    "/unset": Command(_unset, "NAME", "resets a parameter to its default"),
    "/show": Command(_show, "", "shows the system message and the parameters"),
    "/retry": Command(_retry, "", "repeats the last question"),
    "/clear": Command(_clear, "", "removes all messages but the system message"),
    "/save": Command(_save, "FILE", "writes the conversation as JSON, the body of a request"),
    "/load": Command(_load, "FILE", "loads a saved conversation"),
    "/help": Command(_help, "", "lists the commands"),
    "/quit": Command(_quit, "", "ends the chat, as Ctrl-D does; Ctrl-C only stops an answer"),
}
