"""Streaming splitter of an output into reasoning and answer.

A style is a pair of tags. The end of the prompt decides whether generation starts inside the
reasoning, because many templates write the opening tag themselves. Without a closing tag,
everything is reasoning; a tool call also ends it. White space around the reasoning belongs to
neither side, except that a response format counts every character of its answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from friendli_endpoint.chat.stop_strings import StopMatcher, StopSet
from friendli_endpoint.generation import ReasoningRule

__all__ = ["WHITESPACE", "Phase", "ReasoningSplitter", "Segment"]

WHITESPACE = b" \t\r\n"
"""Bytes allowed between tags and text."""


class Phase(Enum):
    """Position of the splitter in the output; the values are those of `ReasoningRule.start`."""

    START = "start"
    REASONING = "reasoning"
    ANSWER = "answer"


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


class ReasoningSplitter:
    """Splits the output of one choice into reasoning and answer.

    Args:
        rule: The tags, and the phase in which the output starts.

    Attributes:
        phase: The current phase of the output.
        tagged: Whether the output began with a tag.
    """

    def __init__(self, rule: ReasoningRule) -> None:
        self._openings = [(rule.open.encode(), Phase.REASONING)]
        self._openings += [(prelude.encode(), Phase.ANSWER) for prelude in rule.preludes]
        self._closers = StopMatcher(StopSet([rule.close, *rule.interruptions]))
        self._interruptions = {text.encode() for text in rule.interruptions}
        self._trims = rule.trims
        self._held = b""
        self._at_start = not rule.before
        self._num_known = 0
        self.tagged = False
        self.phase = Phase(rule.start)
        if rule.before:
            self._feed(rule.before.encode())
            self._num_known = len(self._held)

    @property
    def partial_tag(self) -> bytes:
        """The last bytes of the output that may be the beginning of a tag."""
        if self.phase is Phase.START:
            return self._held.lstrip(WHITESPACE)
        return self._held[len(self._held) - self._closers.held :]

    def feed(self, chunk: bytes) -> list[Segment]:
        """Reads the next bytes; returns the segments that are certain."""
        return self._new(self._feed(chunk))

    def _feed(self, chunk: bytes) -> list[Segment]:
        segments: list[Segment] = []
        while True:
            if self.phase is Phase.ANSWER:
                return [*segments, *self._segment(chunk, reasoning=False)]
            begin = self.phase is Phase.START
            rest = self._begin(chunk, segments) if begin else self._reason(chunk, segments)
            if rest is None:
                return segments
            chunk = rest

    def finish(self) -> list[Segment]:
        """Ends the output; returns the segments held back until now."""
        held, self._held = self._held, b""
        if not held:
            return []
        reasoning = self.phase is Phase.REASONING
        return self._new([Segment(reasoning, held, held.rstrip(WHITESPACE) if reasoning else held)])

    def _new(self, segments: list[Segment]) -> list[Segment]:
        """Removes bytes that were not generated but held back from the text before the output."""
        if not self._num_known:
            return segments
        new = list[Segment]()
        for segment in segments:
            known = min(self._num_known, len(segment.raw))
            self._num_known -= known
            if known < len(segment.raw):
                new.append(Segment(segment.reasoning, segment.raw[known:], segment.text[known:]))
        return new

    def _begin(self, chunk: bytes, segments: list[Segment]) -> bytes | None:
        text = self._held + chunk
        stripped = text.lstrip(WHITESPACE)
        for opening, phase in self._openings:
            if stripped.startswith(opening):
                raw = len(text) - len(stripped) + len(opening)
                segments.append(Segment(phase is Phase.REASONING, text[:raw], b""))
                self.tagged = True
                self._enter(phase)
                return text[raw:]
        if any(opening.startswith(stripped) for opening, _ in self._openings):
            self._held = text
            return None
        self._enter(Phase.ANSWER)
        self._at_start = False
        return text

    def _reason(self, chunk: bytes, segments: list[Segment]) -> bytes | None:
        text = self._held + chunk
        match = self._closers.feed(chunk)
        if match is None:
            # White space at the end may directly precede the closing tag.
            certain = len(text) - self._closers.held
            certain = len(text[:certain].rstrip(WHITESPACE))
            segments += self._segment(text[:certain])
            self._held = text[certain:]
            return None
        end = len(self._held) + match.end
        begin = end - match.length
        kept = len(text[:begin].rstrip(WHITESPACE))
        segments += self._segment(text[:kept])
        answer = begin if text[begin:end] in self._interruptions else end
        if answer > kept:
            segments.append(Segment(True, text[kept:answer], b""))
        self._enter(Phase.ANSWER)
        self._at_start = answer == end
        return text[answer:]

    def _segment(self, raw: bytes, reasoning: bool = True) -> Iterator[Segment]:
        """Yields a segment of text; strips leading white space at the start of a side."""
        trimmed = self._at_start and (reasoning or self._trims)
        text = raw.lstrip(WHITESPACE) if trimmed else raw
        if text:
            self._at_start = False
        if raw:
            yield Segment(reasoning, raw, text)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._held = b""
        self._at_start = True
