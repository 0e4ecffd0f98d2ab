"""Turns the schemas and regular expressions of requests into grammars that can be enforced."""

import json
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TypeVar

from cachetools import LRUCache

from friendli_endpoint.chat.structured.json_schema import (
    LAYOUTS,
    FitSchema,
    JsonLayout,
    fault_of,
    fit_schema,
    in_words,
    schema_text,
)
from friendli_endpoint.chat.structured.matchers import MatcherCompiler
from friendli_endpoint.chat.structured.native import ConstraintError, first_line
from friendli_endpoint.chat.structured.regex import PatternError, whole_pattern
from friendli_endpoint.generation import Grammar, RequestError

__all__ = ["GrammarMaker"]

_MAX_KEPT = 128
"""Schemas whose rewriting is kept."""

_MAX_REGEX = 16 * 1024
"""Characters of a regular expression."""

T = TypeVar("T")


class GrammarMaker:
    """Makes the grammars of requests, and has each compiled; safe to use from many threads.

    Args:
        matchers: Compiles grammars.
        compiled: Told how many seconds each compilation took, in vain or not.
        layout: How the JSON of a schema is written.
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
        self._schemas: LRUCache[str, Grammar] = LRUCache(_MAX_KEPT)

    def json_schema(self, schema: object, param: str) -> Grammar:
        """The grammar of the JSON values that a schema allows.

        Raises:
            RequestError: The schema cannot be enforced; names the keyword and its place.
        """
        text = schema_text(schema, param)
        with self._lock:
            grammar = self._schemas.get(text)
        if grammar is None:
            grammar = self._timed(lambda: self._of_schema(schema, param))
            with self._lock:
                self._schemas[text] = grammar
        else:
            self._checked(grammar, param)
        return grammar

    def regex(self, pattern: str, param: str) -> Grammar:
        """The grammar of the texts that a regular expression matches as a whole.

        Raises:
            RequestError: The pattern cannot be enforced.
        """
        if len(pattern) > _MAX_REGEX:
            raise RequestError(
                f"{param} must have at most {_MAX_REGEX:,} characters",
                param=param,
                code="invalid_regex",
            )
        try:
            grammar = Grammar("regex", whole_pattern(pattern))
        except PatternError as error:
            raise _refusal(param, str(error), "unsupported_regex") from error
        return self._checked(grammar, param)

    def lark(self, text: str, param: str) -> Grammar:
        """A grammar in llguidance's dialect of Lark.

        Raises:
            RequestError: The grammar cannot be enforced.
        """
        return self._checked(Grammar("lark", text), param)

    def _of_schema(self, schema: object, param: str) -> Grammar:
        fit = fit_schema(schema, param)
        grammar = self._grammar(fit.root)
        try:
            self._matchers.compile(grammar)
        except ConstraintError as error:
            raise self._unfit(fit, str(error), param) from error
        return grammar

    def _checked(self, grammar: Grammar, param: str) -> Grammar:
        """The grammar, compiled if it is not there."""
        if grammar not in self._matchers:
            try:
                self._timed(lambda: self._matchers.compile(grammar))
            except ConstraintError as error:
                said = str(error)
                whole = grammar.kind == "lark"  # the place of the fault is in a line of its own
                reason = in_words(" ".join(said.split()) if whole else first_line(said))
                code = "unsupported_regex" if grammar.kind == "regex" else "unsupported_schema"
                raise _refusal(param, reason, code) from error
        return grammar

    def _timed(self, work: Callable[[], T]) -> T:
        begun = monotonic()
        try:
            return work()
        finally:
            self._compiled(monotonic() - begun)

    def _unfit(self, fit: FitSchema, message: str, param: str) -> RequestError:
        """The compiler's refusal, at the innermost schema that has the same fault."""

        def complaint(part: dict[str, object]) -> str | None:
            try:
                self._matchers.compile(self._grammar({**part, "$defs": fit.definitions}))
            except ConstraintError as error:
                return first_line(str(error))
            return None

        return fault_of(fit.parts, first_line(message), complaint).refusal(param)

    def _grammar(self, schema: dict[str, object]) -> Grammar:
        return Grammar("json_schema", json.dumps({**schema, "x-guidance": self._layout}))


def _refusal(param: str, reason: str, code: str) -> RequestError:
    return RequestError(f"{param} cannot be enforced: {reason}", param=param, code=code)
