"""The tools of a request: compiled schemas, and the grammar in the model's tool-call format."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cachetools import LRUCache

from friendli_endpoint.chat.request.chat_request import ChatRequest, OfferedTool
from friendli_endpoint.chat.structured import GrammarMaker, memory_for
from friendli_endpoint.chat.structured.json_schema import rewrite_schema, schema_text
from friendli_endpoint.chat.tools.family import CallBegin, Family, Marker, ToolSpec
from friendli_endpoint.chat.tools.lark import quoted, share_json
from friendli_endpoint.generation import Grammar, RequestError, Vocabulary

__all__ = ["CompiledTool", "ToolCompiler", "Toolbox", "control_markers", "marker_of"]

_MAX_CACHED_CHARACTERS = 8 << 20
"""Characters of the cached tools, and of the cached grammars."""
_MIN_CHARACTERS = 16 * 1024
"""Characters that a tool or a grammar counts as at least, so that at most 512 are cached."""

_MAX_SIMPLE_LENGTH = 8 * 1024
_NOT_SIMPLE = re.compile(r'"(?:pattern|format)"|[0-9]{3}')
"""A rewritten schema that is longer, or has patterns or large numbers, may exceed the compiler's
limits in the middle of an output. A grammar of several tools is not tested that far, so such a
schema is compiled alone first."""


@dataclass(frozen=True, slots=True)
class CompiledTool:
    """A tool with its rewritten schema.

    Attributes:
        key: Cache key; tools with equal keys are equal.
        spec: The tool, as families take it.
        is_simple: Whether its schema need not be compiled alone.
    """

    key: str
    spec: ToolSpec
    is_simple: bool


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools that the model may call in an answer.

    Attributes:
        family: The format of calls.
        tools: The compiled tools, at least one.
        offered: The same tools as in the request, in the same order.
        required: Whether the answer must be tool calls.
        parallel: Whether the answer may contain several calls.
    """

    family: Family
    tools: tuple[CompiledTool, ...]
    offered: tuple[OfferedTool, ...]
    required: bool
    parallel: bool

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools, as families take them."""
        return tuple(tool.spec for tool in self.tools)

    @property
    def definitions(self) -> list[Mapping[str, Any]]:
        """The tools, as chat templates take them."""
        return [tool.definition for tool in self.offered]

    def has_call(self, text: str) -> bool:
        """Whether the beginning of an answer has the name of a called tool."""
        parser = self.family.parser(self.specs)
        events = [*parser.feed(text), *parser.finish()]
        return any(isinstance(event, CallBegin) for event in events)


class ToolCompiler:
    """Compiles the tools of requests; caches tools and grammars. Thread-safe.

    Args:
        family: The format of calls; None if it is unknown, so that no tool can be called.
        vocabulary: The model's tokens.
        grammars: Creates the grammars.
    """

    def __init__(
        self, family: Family | None, vocabulary: Vocabulary, grammars: GrammarMaker
    ) -> None:
        self.family = family
        self._vocabulary = vocabulary
        self._grammars = grammars
        self._lock = Lock()
        self._tools: LRUCache[str, CompiledTool] = LRUCache(
            _MAX_CACHED_CHARACTERS, lambda tool: _cached_size(tool.key)
        )
        self._texts: LRUCache[object, str] = LRUCache(_MAX_CACHED_CHARACTERS, _cached_size)

    def toolbox(self, request: ChatRequest) -> Toolbox | None:
        """Returns the tools of a request; None if none may be called.

        Raises:
            RequestError: A tool's schema cannot be enforced (names the keyword and its path), or
                the format of calls is unknown.
        """
        compiled = {tool.name: self._compiled(tool) for tool in request.offered_tools}
        if not request.tools:
            return None
        if self.family is None:
            raise _unknown_format()
        return Toolbox(
            self.family,
            tuple(compiled[tool.name] for tool in request.tools),
            request.tools,
            required=request.tool_required,
            parallel=request.parallel_tool_calls,
        )

    def grammar(self, toolbox: Toolbox) -> Grammar:
        """Returns the grammar of an answer with these tools.

        Raises:
            RequestError: A tool's schema cannot be enforced; names the keyword and its path.
        """
        for tool, offered in zip(toolbox.tools, toolbox.offered, strict=True):
            if not tool.is_simple:
                self._grammars.json_schema(offered.parameters, offered.param)
        try:
            tools = toolbox.tools
            max_bytes = memory_for(sum(len(tool.key) for tool in tools), len(tools))
            return self._grammars.lark(self._text(toolbox), "tools", max_bytes)
        except RequestError:
            for offered in toolbox.offered:  # if one schema fails alone, name its path
                self._grammars.json_schema(offered.parameters, offered.param)
            raise

    def _text(self, toolbox: Toolbox) -> str:
        key = (tuple(tool.key for tool in toolbox.tools), toolbox.required, toolbox.parallel)
        with self._lock:
            text = self._texts.get(key)
        if text is None:
            text = share_json(
                toolbox.family.grammar(
                    toolbox.specs,
                    required=toolbox.required,
                    parallel=toolbox.parallel,
                    marker=marker_of(toolbox.family, self._vocabulary),
                )
            )
            with self._lock:
                self._texts[key] = text
        return text

    def _compiled(self, tool: OfferedTool) -> CompiledTool:
        key = json.dumps([tool.name, tool.description]) + schema_text(tool.parameters, tool.param)
        with self._lock:
            compiled = self._tools.get(key)
        if compiled is None:
            root = rewrite_schema(tool.parameters, tool.param, compares_items=False).root
            root = self._grammars.without_empty_ranges(root, memory_for(len(key)))
            text = json.dumps(root)
            is_simple = len(text) <= _MAX_SIMPLE_LENGTH and not _NOT_SIMPLE.search(text)
            compiled = CompiledTool(key, ToolSpec(tool.name, tool.description, root), is_simple)
            with self._lock:
                self._tools[key] = compiled
        return compiled


def _unknown_format() -> RequestError:
    return RequestError(
        "tools cannot be called: the form of this model's tool calls is not known from its chat "
        "template; if it is one of the forms that this endpoint knows, the endpoint can be started "
        "with --tool-family NAME",
        param="tools",
        code="unknown_tool_family",
    )


def _cached_size(text: str) -> int:
    """Returns the share of a cache that a text takes, at most all of it."""
    return min(len(text) + _MIN_CHARACTERS, _MAX_CACHED_CHARACTERS)


def control_markers(family: Family, vocabulary: Vocabulary) -> frozenset[int]:
    """Returns the control tokens that are markers of a family; they must be read as text."""
    texts = {marker.encode() for marker in family.markers}
    return frozenset(t for t in vocabulary.control_ids if vocabulary.token_bytes(t) in texts)


def marker_of(family: Family, vocabulary: Vocabulary) -> Marker:
    """Returns a function from a family's markers to their Lark form in a vocabulary."""
    control = {
        vocabulary.token_bytes(token).decode(errors="replace"): token
        for token in control_markers(family, vocabulary)
    }

    def lark(text: str) -> str:
        return f"<[{control[text]}]>" if text in control else quoted(text)

    return lark
