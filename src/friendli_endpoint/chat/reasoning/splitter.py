"""Where reasoning ends and the answer begins, in bytes that arrive in pieces.

A style is a pair of tags. Whether generation starts inside the reasoning comes from the end of the
prompt, for many templates open the tag themselves. Without an end tag everything is reasoning; a
tool call ends it, too. White space around the reasoning belongs to neither side, except that a
response format counts every character of its answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from friendli_endpoint.chat.stop_strings import StopMatcher, StopSet
from friendli_endpoint.generation import ReasoningRule

__all__ = ["WHITESPACE", "Place", "Segment", "Splitter"]

WHITESPACE = b" \t\r\n"
"""What may stand between tags and texts."""


class Place(Enum):
    """Where in the output the splitter is; the values are those of `ReasoningRule.start`."""

    START = "start"
    REASONING = "reasoning"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the output, told apart.

    Attributes:
        reasoning: Whether it belongs to the reasoning, its tags included.
        raw: The bytes of the output.
        text: Those of them that are text: not the tags, nor white space at the edges.
    """

    reasoning: bool
    raw: bytes
    text: bytes


class Splitter:
    """Splits one choice's output.

    Args:
        rule: The tags, and where the output begins.

    Attributes:
        place: Where the output is.
        tagged: Whether the output began with a tag.
    """

    def __init__(self, rule: ReasoningRule) -> None:
        self._openings = [(rule.open.encode(), Place.REASONING)]
        self._openings += [(prelude.encode(), Place.ANSWER) for prelude in rule.preludes]
        self._closers = StopMatcher(StopSet([rule.close, *rule.interruptions]))
        self._interruptions = {text.encode() for text in rule.interruptions}
        self._trims = rule.trims
        self._held = b""
        self._fresh = True
        self.tagged = False
        self.place = Place(rule.start)

    @property
    def begun(self) -> bytes:
        """The last bytes of the output, as far as they may be the beginning of a tag."""
        if self.place is Place.START:
            return self._held.lstrip(WHITESPACE)
        return self._held[len(self._held) - self._closers.held :]

    def feed(self, piece: bytes) -> list[Segment]:
        """Takes the next bytes; gives what is certain."""
        segments: list[Segment] = []
        while True:
            if self.place is Place.ANSWER:
                return [*segments, *self._shown(piece, reasoning=False)]
            begin = self.place is Place.START
            rest = self._begin(piece, segments) if begin else self._reason(piece, segments)
            if rest is None:
                return segments
            piece = rest

    def finish(self) -> list[Segment]:
        """Gives what was held back, at the end of the output."""
        held, self._held = self._held, b""
        if not held:
            return []
        reasoning = self.place is Place.REASONING
        return [Segment(reasoning, held, held.rstrip(WHITESPACE) if reasoning else held)]

    def _begin(self, piece: bytes, segments: list[Segment]) -> bytes | None:
        text = self._held + piece
        bare = text.lstrip(WHITESPACE)
        for opening, place in self._openings:
            if bare.startswith(opening):
                raw = len(text) - len(bare) + len(opening)
                segments.append(Segment(place is Place.REASONING, text[:raw], b""))
                self.tagged = True
                self._enter(place)
                return text[raw:]
        if any(opening.startswith(bare) for opening, _ in self._openings):
            self._held = text
            return None
        self._enter(Place.ANSWER)
        self._fresh = False
        return text

    def _reason(self, piece: bytes, segments: list[Segment]) -> bytes | None:
        text = self._held + piece
        match = self._closers.feed(piece)
        if match is None:
            # White space at the end may be the last before the tag.
            certain = len(text) - self._closers.held
            certain = len(text[:certain].rstrip(WHITESPACE))
            segments += self._shown(text[:certain])
            self._held = text[certain:]
            return None
        end = len(self._held) + match.end
        begin = end - match.length
        kept = len(text[:begin].rstrip(WHITESPACE))
        segments += self._shown(text[:kept])
        answer = begin if text[begin:end] in self._interruptions else end
        if answer > kept:
            segments.append(Segment(True, text[kept:answer], b""))
        self._enter(Place.ANSWER)
        self._fresh = answer == end
        return text[answer:]

    def _shown(self, raw: bytes, reasoning: bool = True) -> Iterator[Segment]:
        """A stretch of text, without white space where it is the first of its side."""
        trimmed = self._fresh and (reasoning or self._trims)
        text = raw.lstrip(WHITESPACE) if trimmed else raw
        if text:
            self._fresh = False
        if raw:
            yield Segment(reasoning, raw, text)

    def _enter(self, place: Place) -> None:
        self.place = place
        self._held = b""
        self._fresh = True
