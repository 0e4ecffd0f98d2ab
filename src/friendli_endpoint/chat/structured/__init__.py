"""Structured outputs: grammars that an answer must follow, compiled by llguidance.

A request's schema, regular expression or tools become a `Grammar`; a grammar is compiled once, and
each choice follows a copy of the matcher. The compiler is native code and may fail in its own ways,
a panic included; all of them become a `RequestError` where the request is checked, and the end of
the
choice where it runs, so that a constraint can only ever cut short its own request.
"""

from friendli_endpoint.chat.structured.constraint import Constraint
from friendli_endpoint.chat.structured.grammars import GrammarMaker
from friendli_endpoint.chat.structured.matchers import CompiledGrammar, MatcherCompiler

__all__ = ["CompiledGrammar", "Constraint", "GrammarMaker", "MatcherCompiler"]
