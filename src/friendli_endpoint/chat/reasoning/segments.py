"""Spans of an output that are all reasoning or all answer."""

from dataclasses import dataclass

__all__ = ["WHITESPACE", "Segment"]

WHITESPACE = b" \t\r\n"
"""Bytes allowed between tags and text."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of the output that is all reasoning or all answer.

    Attributes:
        reasoning: Whether the span belongs to the reasoning, tags included.
        raw: The bytes of the output.
        text: `raw` without tags and without white space at the edges.
    """

    reasoning: bool
    raw: bytes
    text: bytes
