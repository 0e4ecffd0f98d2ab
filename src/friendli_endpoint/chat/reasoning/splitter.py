"""Where reasoning ends and the answer begins, in bytes that arrive in pieces.

A style is a pair of tags. Whether generation starts inside the reasoning comes from the end of the
prompt, for many templates open the tag themselves. Without an end tag everything is reasoning; a
tool call ends it, too. White space around the reasoning belongs to neither side, except that a
response format counts every character of its answer.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from friendli_endpoint.chat.stop_strings import StopMatcher, StopSet

__all__ = ["STYLES", "WHITESPACE", "Place", "ReasoningStyle", "Segment", "Splitter", "style_of"]

WHITESPACE = b" \t\r\n"
"""What may stand between tags and texts."""


@dataclass(frozen=True, slots=True)
class ReasoningStyle:
    """The tags of a family of models.

    Attributes:
        name: What the family calls it.
        open: What begins the reasoning.
        close: What ends it.
        preludes: What may stand before an answer without reasoning, and is no part of it.
    """

    name: str
    open: str
    close: str
    preludes: tuple[str, ...] = ()


STYLES = (
    ReasoningStyle("think", "<think>", "</think>"),
    ReasoningStyle("magistral", "[THINK]", "[/THINK]"),
    ReasoningStyle("kimi", "◁think▷", "◁/think▷"),
    ReasoningStyle("granite", "Here is my thought process:", "Here is my response:"),
    ReasoningStyle(
        "harmony",
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        preludes=("<|channel|>final<|message|>",),
    ),
)
_BY_TEMPLATE = (
    ("<|channel|>", "harmony"),
    ("[THINK]", "magistral"),
    ("◁think▷", "kimi"),
    ("Here is my thought process", "granite"),
    ("<think>", "think"),
    ("</think>", "think"),
)


def style_of(template: str) -> ReasoningStyle | None:
    """The style that a chat template speaks of, or None for a model without reasoning."""
    named = {style.name: style for style in STYLES}
    return next((named[name] for sign, name in _BY_TEMPLATE if sign in template), None)


class Place(Enum):
    """Where in the output the splitter is."""

    START = auto()
    REASONING = auto()
    ANSWER = auto()


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
        style: The tags.
        prompt: The end of the prompt, as far as the template wrote it: says whether the reasoning
            is open already.
        interruptions: What ends the reasoning and belongs to the answer: markers of tool calls.
        trims: Whether white space between a tag and the answer is no part of the answer.

    Attributes:
        place: Where the output is.
        tagged: Whether the output began with a tag.
    """

    def __init__(
        self,
        style: ReasoningStyle,
        prompt: str,
        interruptions: Collection[str] = (),
        *,
        trims: bool = True,
    ) -> None:
        self._openings = [(style.open.encode(), Place.REASONING)]
        self._openings += [(prelude.encode(), Place.ANSWER) for prelude in style.preludes]
        self._closers = StopMatcher(StopSet([style.close, *interruptions]))
        self._interruptions = {text.encode() for text in interruptions}
        self._trims = trims
        self._held = b""
        self._fresh = True
        self.tagged = False
        ending = prompt.rstrip()
        if ending.endswith(style.open):
            self.place = Place.REASONING
        elif ending.endswith(style.close):
            self.place = Place.ANSWER
        else:
            self.place = Place.START

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
