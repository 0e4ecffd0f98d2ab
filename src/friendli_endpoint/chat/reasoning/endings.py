"""Removes the tag that closes an answer.

Answers may be about the tags themselves, such as an XML document whose root has the same name. A
closing tag is therefore part of the answer if the answer contains the opening tag that belongs to
it. The white space around a removed tag goes with it at the end of the output; if more text
follows, the white space stays, so that words are not joined.
"""

from collections.abc import Iterator

from friendli_endpoint.chat.reasoning.segments import WHITESPACE, Segment
from friendli_endpoint.chat.stop_strings import StopMatcher, StopSet
from friendli_endpoint.generation import ReasoningRule

__all__ = ["AnswerEnding"]


class AnswerEnding:
    """Streaming search for the closing tags of one answer.

    Args:
        rule: The tags; the rule has a closing tag of the answer.
    """

    def __init__(self, rule: ReasoningRule) -> None:
        self._opens = {text.encode() for text in rule.answer_opens}
        self._tags = StopSet([*rule.answer_closes, *rule.answer_opens])
        self._matcher = StopMatcher(self._tags)
        self._depth = 0
        self._pending: list[Segment] = []
        self._tail = b""

    @property
    def held(self) -> bytes:
        """The bytes held back: white space, removed tags, and the beginning of a tag."""
        return b"".join(segment.raw for segment in self._pending) + self._tail

    def feed(self, chunk: bytes) -> Iterator[Segment]:
        """Reads the next bytes of the answer; yields what is certain, tags without text."""
        while (match := self._matcher.feed(chunk)) is not None:
            self._tail += chunk[: match.end]
            chunk = chunk[match.end :]
            before, tag = self._tail[: -match.length], self._tail[-match.length :]
            if tag in self._opens:
                self._depth += 1
            elif self._depth:
                self._depth -= 1
            else:
                self._tail = b""
                yield from self._release(before)
                self._pending.append(Segment(False, tag, b""))
                self._matcher = StopMatcher(self._tags)
        self._tail += chunk
        certain = len(self._tail) - self._matcher.held
        text, self._tail = self._tail[:certain], self._tail[certain:]
        yield from self._release(text)

    def finish(self) -> Iterator[Segment]:
        """Ends the output; yields what is held back."""
        tail, self._tail = self._tail, b""
        yield from self._release(tail)
        pending, self._pending = self._pending, []
        if all(segment.text for segment in pending):
            yield from pending
        else:
            yield Segment(False, b"".join(segment.raw for segment in pending), b"")

    def _release(self, text: bytes) -> Iterator[Segment]:
        """Yields text up to its last white space, after what is pending."""
        certain = text.rstrip(WHITESPACE)
        if certain:
            yield from self._pending
            self._pending = []
            yield Segment(False, certain, certain)
        if len(certain) < len(text):
            space = text[len(certain) :]
            self._pending.append(Segment(False, space, space))
