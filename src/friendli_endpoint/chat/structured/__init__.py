"""Constraints on the output: compiled by llguidance, one matcher a choice.

A grammar is compiled once and kept in a cache of bounded size; each choice works on a copy of the
matcher. The compiler is native code and may fail in its own ways, a panic included; all of them
become a `Refusal` where the request is checked, and the end of the choice where it runs, so that a
constraint can only ever cut short its own request.
"""

from friendli_endpoint.chat.structured.compiler import ConstraintCompiler
from friendli_endpoint.chat.structured.constraint import Constraint

__all__ = ["Constraint", "ConstraintCompiler"]
