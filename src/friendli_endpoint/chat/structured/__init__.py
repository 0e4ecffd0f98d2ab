"""Structured outputs: grammars that constrain an answer, compiled by llguidance.

A request's schema, regular expression or tools become a `Grammar`. A grammar is compiled once, and
each choice uses its own copy of the matcher. The compiler is native code and can fail in its own
ways, including a panic. Every such failure becomes a `RequestError` while the request is checked,
or ends the choice while it is generated, so a constraint can only cut short its own request.
"""

from friendli_endpoint.chat.structured.constraint import Constraint
from friendli_endpoint.chat.structured.grammars import GrammarMaker
from friendli_endpoint.chat.structured.matchers import CompiledGrammar, MatcherCompiler, memory_for

__all__ = ["CompiledGrammar", "Constraint", "GrammarMaker", "MatcherCompiler", "memory_for"]
