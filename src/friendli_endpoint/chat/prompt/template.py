"""The model's chat template: Jinja, in its sandbox, bounded in time and size.

Templates come with model files, which anybody can make, so they run in Jinja's immutable sandbox
(CVE-2024-34359 is what happens otherwise). The names that templates expect (`raise_exception`,
`strftime_now`, `tojson` without escapes) are those of Hugging Face's `apply_chat_template`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from friendli_endpoint.chat.prompt.sandbox import MOST_CHARACTERS, Sandbox, TooMuch, start_rendering
from friendli_endpoint.generation import RequestError

__all__ = ["ChatTemplate", "TemplateFault", "syntax_tree"]


class TemplateFault(Exception):
    """The template does not compile; the message says where."""


class ChatTemplate:
    """A compiled chat template.

    Args:
        source: Jinja source.
        tokens: Texts of special tokens that the template may name, such as `bos_token`.

    Raises:
        TemplateFault: The source is no Jinja template.
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
    ) -> str:
        """The conversation as the model expects it, with the opening of its answer.

        Args:
            messages: Role and content of each, as plain values.
            template_kwargs: More variables for the template; those given here go before them.
            field: The request field at fault where the template refuses.
            tools: The tools that are offered, or None.

        Raises:
            RequestError: The template refuses the conversation (in its own words), fails on it, or
            runs
                too long.
        """
        variables: dict[str, Any] = {
            **self._tokens,
            **template_kwargs,
            "messages": messages,
            "tools": tools,
            "add_generation_prompt": True,
        }
        start_rendering()
        try:
            return "".join(_bounded(self._template.generate(variables)))
        except TooMuch as error:
            raise RequestError(str(error), param=field, code="template_error") from error
        except Exception as error:
            raise RequestError(
                f"the model's chat template refuses this: {error}",
                param=field,
                code="template_error",
            ) from error


def syntax_tree(source: str) -> nodes.Template:
    """A chat template as Jinja reads it.

    Raises:
        TemplateFault: The source is no Jinja template.
    """
    with _compiling():
        return _environment().parse(source)


@contextmanager
def _compiling() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # those of Python's own compiler included
        raise TemplateFault(f"the model's chat template does not compile: {error}") from error


def _environment() -> Sandbox:
    environment = Sandbox(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _Generation],
    )
    environment.add_filter("tojson", _to_json)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _now
    return environment


class _Generation(Extension):
    """`{% generation %}`, which marks for training what the model writes; here it is its body."""

    tags = {"generation"}  # noqa: RUF012 (an instance variable in the base class)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _bounded(pieces: Iterator[str]) -> Iterator[str]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MOST_CHARACTERS:
            raise TooMuch(f"the chat template writes more than {MOST_CHARACTERS:,} characters")
        yield piece


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _to_json(
    value: object,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        indent=indent,
        ensure_ascii=ensure_ascii,
        separators=separators,
        sort_keys=sort_keys,
    )
