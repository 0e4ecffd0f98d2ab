"""Streaming splitter of an output into reasoning and answer.

A style is a pair of tags. The end of the prompt decides whether generation starts inside the
reasoning, because many templates write the opening tag themselves. Without a closing tag,
everything is reasoning; a tool call also ends it. Some styles also have tags around the answer.
White space around the tags belongs to neither side, except that a response format counts every
character of its answer.
"""

from collections.abc import Iterable, Iterator
from enum import Enum

from friendli_endpoint.chat.reasoning.endings import AnswerEnding
from friendli_endpoint.chat.reasoning.segments import WHITESPACE, Segment
from friendli_endpoint.chat.stop_strings import StopMatcher, StopSet
from friendli_endpoint.generation import ReasoningRule

__all__ = ["Phase", "ReasoningSplitter"]


class Phase(Enum):
    """Position of the splitter in the output; the values are those of `ReasoningRule.start`."""

    START = "start"
    REASONING = "reasoning"
    ANSWER = "answer"


class ReasoningSplitter:
    """Splits the output of one choice into reasoning and answer.

    Args:
        rule: The tags, and the phase in which the output starts.

    Attributes:
        phase: The current phase of the output.
        tagged: Whether the output, or what comes after its reasoning, began with a tag.
        after_reasoning: Whether the reasoning is over, so that only the answer may begin.
    """

    def __init__(self, rule: ReasoningRule) -> None:
        self._openings = [(text.encode(), Phase.REASONING) for text in rule.opens]
        self._openings += [(text.encode(), Phase.ANSWER) for text in rule.preludes]
        self._answer_openings = [(text.encode(), Phase.ANSWER) for text in rule.answer_opens]
        self._closers = StopMatcher(StopSet([*rule.closes, *rule.interruptions]))
        self._interruptions = {text.encode() for text in rule.interruptions}
        self._trims = rule.trims
        # A response format counts every character, so its answer is not searched for a tag.
        self._ending = AnswerEnding(rule) if rule.answer_close and rule.trims else None
        self._held = b""
        self._at_start = True
        self._num_known = 0
        self.tagged = False
        self.after_reasoning = False
        self.phase = Phase(rule.start)
        if self.phase is Phase.ANSWER:
            self._enter_answer()
        if rule.before:
            self._read_before(rule.before.encode())

    @property
    def partial_tag(self) -> bytes:
        """The last bytes of the output that may be the beginning of a tag."""
        if self.phase is Phase.START:
            return self._held.lstrip(WHITESPACE)
        return self._held[len(self._held) - self._closers.held :]

    @property
    def held_answer(self) -> bytes:
        """The last bytes of the output that are answer unless a tag ends it here."""
        held = self._ending.held if self._ending is not None else b""
        return held.lstrip(WHITESPACE) if self._at_start else held

    def feed(self, chunk: bytes) -> list[Segment]:
        """Reads the next bytes; returns the segments that are certain."""
        return self._new(self._feed(chunk))

    def _feed(self, chunk: bytes) -> list[Segment]:
        segments: list[Segment] = []
        while True:
            if self.phase is Phase.ANSWER:
                return [*segments, *self._answer(chunk)]
            begin = self.phase is Phase.START
            rest = self._begin(chunk, segments) if begin else self._reason(chunk, segments)
            if rest is None:
                return segments
            chunk = rest

    def finish(self) -> list[Segment]:
        """Ends the output; returns the segments held back until now."""
        held, self._held = self._held, b""
        if self.phase is Phase.ANSWER and self._ending is not None:
            return self._new(list(self._parts(self._ending.finish())))
        if self.phase is Phase.START and self.after_reasoning:
            return self._new(list(self._segment(held, reasoning=False)))
        if not held:
            return []
        reasoning = self.phase is Phase.REASONING
        return self._new([Segment(reasoning, held, held.rstrip(WHITESPACE) if reasoning else held)])

    def _read_before(self, text: bytes) -> None:
        """Reads the text that precedes the output in the reasoning or the answer."""
        self._at_start = False
        self._feed(text)
        if self.phase is Phase.ANSWER:
            self._at_start = False
            self._num_known = len(self._ending.held) if self._ending is not None else 0
        else:
            self._num_known = len(self._held)

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
        openings = self._answer_openings if self.after_reasoning else self._openings
        for opening, phase in openings:
            if stripped.startswith(opening):
                raw = len(text) - len(stripped) + len(opening)
                segments.append(Segment(phase is Phase.REASONING, text[:raw], b""))
                self._enter(phase)
                self.tagged = True
                return text[raw:]
        if any(opening.startswith(stripped) for opening, _ in openings):
            self._held = text
            return None
        self._enter(Phase.ANSWER)
        self._at_start = self.after_reasoning
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
        if answer == end:
            self._enter_answer()
        else:
            self._enter(Phase.ANSWER)
            self._at_start = False
        return text[answer:]

    def _answer(self, chunk: bytes) -> Iterator[Segment]:
        if self._ending is None:
            yield from self._segment(chunk, reasoning=False)
            return
        yield from self._parts(self._ending.feed(chunk))

    def _parts(self, parts: Iterable[Segment]) -> Iterator[Segment]:
        for part in parts:
            if part.text:
                yield from self._segment(part.raw, reasoning=False)
            else:
                yield part

    def _segment(self, raw: bytes, reasoning: bool = True) -> Iterator[Segment]:
        """Yields a segment of text; strips leading white space at the start of a side."""
        trimmed = self._at_start and (reasoning or self._trims)
        text = raw.lstrip(WHITESPACE) if trimmed else raw
        if text:
            self._at_start = False
        if raw:
            yield Segment(reasoning, raw, text)

    def _enter_answer(self) -> None:
        """Enters the answer after the reasoning, or the start of it if a tag may come first."""
        self.after_reasoning = True
        if self._answer_openings:
            self.tagged = False
        self._enter(Phase.START if self._answer_openings else Phase.ANSWER)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._held = b""
        self._at_start = True
