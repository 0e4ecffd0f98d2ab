"""A conversation and the commands that change it; it knows no terminal and no endpoint."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

__all__ = ["COMMANDS", "CommandError", "Conversation", "Next", "Outcome", "take_line"]

Next: TypeAlias = Literal["read", "answer", "quit"]

NOT_FOR_A_CHAT = {
    "messages": "what is said here makes the messages",
    "model": "start the chat with --endpoint-id",
    "stream": "a chat always streams",
    "stream_options": "a chat always streams",
    "n": "a chat shows one answer",
    "logprobs": "a chat shows text",
    "top_logprobs": "a chat shows text",
    "tools": "a chat has nothing to call",
    "tool_choice": "a chat has nothing to call",
    "parallel_tool_calls": "a chat has nothing to call",
}
"""Parameters that would have no effect here or a confusing one, and why."""


class CommandError(Exception):
    """A command that cannot be done; the message says why in a sentence."""


@dataclass(slots=True)
class Conversation:
    """What was said, and how answers are drawn.

    Attributes:
        system: The system's text; empty where there is none.
        turns: Messages of the user and the assistant, in order.
        sampling: Parameters of the requests, by their names on the wire.
    """

    system: str = ""
    turns: list[dict[str, Any]] = field(default_factory=list)
    sampling: dict[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> list[Any]:
        """All messages, as a request has them."""
        opening = [{"role": "system", "content": self.system}] if self.system else []
        return opening + self.turns

    def ask(self, text: str) -> None:
        """Adds what the user says, in the place of a question that got no answer."""
        if self.turns and self.turns[-1]["role"] == "user":
            self.turns.pop()
        self.turns.append({"role": "user", "content": text})

    def answered(self, content: str, reasoning: str) -> None:
        """Adds an answer, whole or stopped; one of no words is as none."""
        if content or reasoning:
            thought = {"reasoning_content": reasoning} if reasoning else {}
            self.turns.append({"role": "assistant", "content": content, **thought})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a line.

    Attributes:
        says: What to show; may be empty.
        next: Whether to read on, to get an answer, or to end.
    """

    says: str = ""
    next: Next = "read"


@dataclass(frozen=True, slots=True)
class Command:
    """A line that begins with a slash.

    Attributes:
        run: Does it; gets the rest of the line.
        argument: What follows its name, for the help.
        help: What it does.
    """

    run: Callable[[Conversation, str], Outcome]
    argument: str
    help: str


def take_line(conversation: Conversation, line: str) -> Outcome:
    """Does what a line says: a command, or something to ask; two slashes begin a text with one.

    Raises:
        CommandError: It cannot be done; nothing has changed.
    """
    text = line.strip()
    if not text:
        return Outcome()
    if not text.startswith("/") or text.startswith("//"):
        conversation.ask(text.removeprefix("/"))
        return Outcome(next="answer")
    name, _, argument = text.partition(" ")
    if name not in COMMANDS:
        raise CommandError(f"there is no command {name}; /help lists them")
    return COMMANDS[name].run(conversation, argument.strip())


def _system(conversation: Conversation, text: str) -> Outcome:
    conversation.system = text
    return Outcome("" if text else "there is no system text now")


def _set(conversation: Conversation, argument: str) -> Outcome:
    name, _, text = argument.replace("=", " ", 1).partition(" ")
    if not name or not text.strip():
        raise CommandError("say what to set: /set temperature 0.2")
    if name in NOT_FOR_A_CHAT:
        raise CommandError(f"{name} cannot be set: {NOT_FOR_A_CHAT[name]}")
    try:
        conversation.sampling[name] = json.loads(text)
    except ValueError:
        conversation.sampling[name] = text.strip()
    return Outcome()


def _unset(conversation: Conversation, name: str) -> Outcome:
    if name not in conversation.sampling:
        raise CommandError(f"{name!r} is not set; /show lists what is")
    del conversation.sampling[name]
    return Outcome()


def _show(conversation: Conversation, _argument: str) -> Outcome:
    settings = [f"{name}: {json.dumps(value)}" for name, value in conversation.sampling.items()]
    system = [f"system: {conversation.system}"] if conversation.system else []
    return Outcome("\n".join([*system, *settings, f"messages: {len(conversation.turns)}"]))


def _save(conversation: Conversation, file: str) -> Outcome:
    """Writes the body of a request, so that the file can also be sent."""
    body = {"messages": conversation.messages, **conversation.sampling}
    try:
        _path(file).write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {file}: {error.strerror}") from error
    return Outcome(f"saved {len(conversation.turns)} messages to {file}")


def _load(conversation: Conversation, file: str) -> Outcome:
    try:
        body = json.loads(_path(file).read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{file} is not JSON: {error}") from error
    messages = body.pop("messages", None) if isinstance(body, dict) else None
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        raise CommandError(f"{file} is no conversation: it has no list of messages with texts")
    opening = bool(messages) and messages[0]["role"] == "system"
    conversation.system = messages[0]["content"] if opening else ""
    conversation.turns = messages[opening:]
    conversation.sampling = {k: v for k, v in body.items() if k not in NOT_FOR_A_CHAT}
    return Outcome(f"loaded {len(conversation.turns)} messages from {file}")


def _retry(conversation: Conversation, _argument: str) -> Outcome:
    if not conversation.turns:
        raise CommandError("there is nothing to ask again")
    if conversation.turns[-1]["role"] == "assistant":
        conversation.turns.pop()
    return Outcome(next="answer")


def _clear(conversation: Conversation, _argument: str) -> Outcome:
    conversation.turns.clear()
    return Outcome()


def _help(_conversation: Conversation, _argument: str) -> Outcome:
    usages = {f"{name} {each.argument}": each.help for name, each in COMMANDS.items()}
    width = max(map(len, usages))
    return Outcome("\n".join(f"{usage:{width}}  {what}" for usage, what in usages.items()))


def _quit(_conversation: Conversation, _argument: str) -> Outcome:
    return Outcome(next="quit")


def _path(file: str) -> Path:
    if not file:
        raise CommandError("name a file, such as /save talk.json")
    return Path(file).expanduser()


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and isinstance(value.get("content"), str)
    )


COMMANDS = {
    "/system": Command(_system, "TEXT", "sets the system's text; without one, takes it away"),
    "/set": Command(_set, "NAME VALUE", "sets a parameter, such as temperature 0.2"),
    "/unset": Command(_unset, "NAME", "gives a parameter back its default"),
    "/show": Command(_show, "", "shows what is set"),
    "/retry": Command(_retry, "", "asks for the last answer again"),
    "/clear": Command(_clear, "", "forgets what was said"),
    "/save": Command(_save, "FILE", "writes the conversation as JSON, the body of a request"),
    "/load": Command(_load, "FILE", "reads such a file"),
    "/help": Command(_help, "", "shows this"),
    "/quit": Command(_quit, "", "ends the chat, as Ctrl-D does; Ctrl-C only stops an answer"),
}
