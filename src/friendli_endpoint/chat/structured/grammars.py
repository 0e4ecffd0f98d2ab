"""Builds grammars from the schemas and regular expressions of requests."""

import json
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from cachetools import LRUCache

from friendli_endpoint.chat.structured.json_schema import (
    LAYOUTS,
    JsonLayout,
    RewrittenSchema,
    client_message,
    is_empty_range,
    locate_error,
    rewrite_schema,
    schema_text,
    without_gaps,
)
from friendli_endpoint.chat.structured.matchers import MatcherCompiler, memory_for
from friendli_endpoint.chat.structured.native import COMPILER_VERSION, ConstraintError, first_line
from friendli_endpoint.chat.structured.regex import PatternError, whole_patterns
from friendli_endpoint.generation import Grammar, RequestError

__all__ = ["GrammarMaker"]

_MAX_CACHED_CHARACTERS = 4 << 20
"""Characters of the schemas whose grammar is cached."""
_MIN_CHARACTERS = 32 * 1024
"""Characters that a schema counts as at least, so that at most 128 are cached."""

_MAX_REGEX_CHARACTERS = 16 * 1024

T = TypeVar("T")


class GrammarMaker:
    """Builds the grammars of requests and compiles each of them; thread-safe.

    Args:
        matchers: Compiles grammars.
        compiled: Called with the duration in seconds of each compilation, also of a failed one.
        layout: White space in the JSON of a schema.
    """

    def __init__(
        self,
        matchers: MatcherCompiler,
        compiled: Callable[[float], None] = lambda _seconds: None,
        layout: JsonLayout = "free",
    ) -> None:
        self._matchers = matchers
        self._compiled = compiled
        self._layout = LAYOUTS[layout]
        self._lock = Lock()
        self._schemas: LRUCache[str, Grammar] = LRUCache(
            _MAX_CACHED_CHARACTERS, lambda grammar: len(grammar.text) + _MIN_CHARACTERS
        )

    def json_schema(self, schema: object, param: str) -> Grammar:
        """Builds the grammar of the JSON values that a schema allows.

        Args:
            schema: The JSON Schema of the request.
            param: Path of the schema in the request, for error messages.

        Raises:
            RequestError: The schema is invalid or cannot be enforced; `param` is the path of the
                keyword.
        """
        text = schema_text(schema, param)
        with self._lock:
            grammar = self._schemas.get(text)
        if grammar is None:
            grammar = self._timed(lambda: self._compile_schema(schema, param, text))
            with self._lock:
                self._schemas[text] = grammar
        else:
            self._ensure_compiled(grammar, param)
        return grammar

    def regex(self, pattern: str, param: str) -> Grammar:
        """Builds the grammar of the texts that a regular expression matches as a whole.

        Raises:
            RequestError: The pattern is invalid, too long, or cannot be enforced.
        """
        if len(pattern) > _MAX_REGEX_CHARACTERS:
            raise RequestError(
                f"{param} must have at most {_MAX_REGEX_CHARACTERS:,} characters",
                param=param,
                code="invalid_regex",
            )
        try:
            grammar = _grammar_of_all(whole_patterns(pattern))
        except PatternError as error:
            raise _request_error(param, str(error), "unsupported_regex") from error
        return self._ensure_compiled(grammar, param, "unsupported_regex")

    def lark(self, text: str, param: str, max_bytes: int) -> Grammar:
        """Builds a grammar written in llguidance's dialect of Lark.

        Args:
            text: The grammar.
            param: The field of the request that it is made from, for error messages.
            max_bytes: Memory that the compiled grammar may take, see `memory_for`.

        Raises:
            RequestError: The grammar cannot be enforced.
        """
        return self._ensure_compiled(Grammar("lark", text), param, max_bytes=max_bytes)

    def without_empty_ranges(self, root: dict[str, Any], max_bytes: int) -> dict[str, Any]:
        """Returns a rewritten schema without gaps between integers, if the compiler fails at one.

        Only versions before 1.9 do.

        Args:
            root: The rewritten schema, with its definitions.
            max_bytes: Memory that the compiled grammar may take, see `memory_for`.
        """
        if COMPILER_VERSION >= (1, 9):
            return root  # the compiler leaves empty ranges out
        narrower: dict[str, Any] = without_gaps(root)
        if narrower != root:
            try:
                self._matchers.compile(self._grammar(root), max_bytes)
            except ConstraintError as error:
                return narrower if is_empty_range(str(error)) else root
        return root

    def _compile_schema(self, schema: object, param: str, text: str) -> Grammar:
        rewritten, max_bytes = rewrite_schema(schema, param), memory_for(len(text))
        grammar = self._grammar(self.without_empty_ranges(rewritten.root, max_bytes))
        try:
            self._matchers.compile(grammar, max_bytes)
        except ConstraintError as error:
            raise self._schema_error(rewritten, str(error), param) from error
        return grammar

    def _ensure_compiled(
        self,
        grammar: Grammar,
        param: str,
        code: str = "unsupported_schema",
        max_bytes: int | None = None,
    ) -> Grammar:
        if grammar not in self._matchers:
            try:
                self._timed(lambda: self._matchers.compile(grammar, max_bytes))
            except ConstraintError as error:
                message = str(error)
                if grammar.kind == "lark":  # its errors give the position on a line of its own
                    reason = client_message(" ".join(message.split()))
                else:
                    reason = client_message(first_line(message))
                raise _request_error(param, reason, code) from error
        return grammar

    def _timed(self, work: Callable[[], T]) -> T:
        started = monotonic()
        try:
            return work()
        finally:
            self._compiled(monotonic() - started)

    def _schema_error(self, rewritten: RewrittenSchema, message: str, param: str) -> RequestError:
        """Returns the compiler's error, at the innermost schema that causes it."""

        def compile_error(schema: dict[str, object]) -> str | None:
            try:
                self._matchers.compile(self._grammar({**schema, "$defs": rewritten.definitions}))
            except ConstraintError as error:
                return first_line(str(error))
            return None

        located = locate_error(rewritten.subschemas, first_line(message), compile_error)
        return located.to_request_error(param)

    def _grammar(self, schema: dict[str, object]) -> Grammar:
        return Grammar("json_schema", json.dumps({**schema, "x-guidance": self._layout}))


def _grammar_of_all(patterns: list[str]) -> Grammar:
    """Returns the grammar of the texts that each of these patterns matches as a whole."""
    if len(patterns) == 1:
        return Grammar("regex", patterns[0])
    terminals = " & ".join(f"/{pattern}/" for pattern in patterns)
    return Grammar("lark", f"start: TEXT\nTEXT: {terminals}\n")


def _request_error(param: str, reason: str, code: str) -> RequestError:
    return RequestError(f"{param} cannot be enforced: {reason}", param=param, code=code)
