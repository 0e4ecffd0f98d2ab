"""The model's chat template: Jinja in a sandbox with limits on time and size.

Templates come with model files, which anybody can create, so they run in Jinja's immutable sandbox
(CVE-2024-34359 shows why). The names that templates expect (`raise_exception`,
`strftime_now`, `tojson` without escapes) are those of Hugging Face's `apply_chat_template`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from friendli_endpoint.chat.prompt.sandbox.environment import Sandbox
from friendli_endpoint.chat.prompt.sandbox.meter import MAX_CHARACTERS, SandboxError, rendering
from friendli_endpoint.generation import RequestError

__all__ = ["ChatTemplate", "ChatTemplateError", "syntax_tree"]

_MAX_MESSAGE = 1000
"""Maximum characters of an error, and of a format of the time, that come from a template."""


class ChatTemplateError(Exception):
    """The chat template does not compile; the message says where."""


class ChatTemplate:
    """A compiled chat template.

    Args:
        source: Jinja source.
        tokens: Texts of special tokens that the template may use, such as `bos_token`.

    Raises:
        ChatTemplateError: The source is not a valid Jinja template.
    """

    def __init__(self, source: str, tokens: Mapping[str, str]) -> None:
        self._tokens = dict(tokens)
        with _compiling():
            self._template = _environment().from_string(source)

    def render(
        self,
        messages: list[dict[str, Any]],
        template_kwargs: Mapping[str, Any],
        field: str = "messages",
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        continues: bool = False,
    ) -> str:
        """Renders a conversation, up to the start of the answer or through its last message.

        Args:
            messages: Messages with role and content, as plain values.
            template_kwargs: More variables for the template; the other arguments win over them.
            field: The request field to name in an error.
            tools: Definitions of the offered tools, or None.
            continues: Whether the answer continues the last message, so that no other begins.

        Raises:
            RequestError: The template rejects the conversation (with its own message), fails, or
                exceeds a limit.
        """
        variables: dict[str, Any] = {
            **self._tokens,
            **template_kwargs,
            "messages": messages,
            "tools": tools,
            "add_generation_prompt": not continues,
        }
        if continues:
            variables["continue_final_message"] = True
        try:
            with rendering():
                return "".join(_bounded(self._template.generate(variables)))
        except SandboxError as error:
            raise RequestError(str(error), param=field, code="template_error") from error
        except Exception as error:
            raise RequestError(
                f"the model's chat template rejects the request: {str(error)[:_MAX_MESSAGE]}",
                param=field,
                code="template_error",
            ) from error


def syntax_tree(source: str) -> nodes.Template:
    """Parses a chat template.

    Raises:
        ChatTemplateError: The source is not a valid Jinja template.
    """
    with _compiling():
        return _environment().parse(source)


@contextmanager
def _compiling() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # errors of Python's compiler included
        raise ChatTemplateError(f"the model's chat template does not compile: {error}") from error


def _environment() -> Sandbox:
    return Sandbox(
        {"raise_exception": _raise, "strftime_now": _now},
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _Generation],
    )


class _Generation(Extension):
    """`{% generation %}`, which marks the model's text for training; renders its body."""

    tags = {"generation"}  # noqa: RUF012 (an instance variable in the base class)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _bounded(chunks: Iterator[str]) -> Iterator[str]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_CHARACTERS:
            raise SandboxError(f"the chat template writes more than {MAX_CHARACTERS:,} characters")
        yield chunk


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    if len(form) > _MAX_MESSAGE:
        raise SandboxError(
            f"the chat template formats a time with more than {_MAX_MESSAGE:,} characters"
        )
    return datetime.now().astimezone().strftime(form)
