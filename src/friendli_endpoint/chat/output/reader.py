"""From a choice's tokens to its text: reasoning told apart, stop strings cut out, logprobs in step.

Bytes are held back while a code point is not whole, and while they may be the beginning of a tag or
of a stop string; an incomplete code point at the end is dropped.
"""

import codecs
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from friendli.models import ChatLogprobsContent, ChatLogprobsContentTopLogprob
from friendli_endpoint.chat.decoding.guide import Ending
from friendli_endpoint.chat.reasoning.splitter import Segment, Splitter
from friendli_endpoint.chat.stop_strings import ArmedStops
from friendli_endpoint.generation import FinishReason, TokenLogprob, TokenStep, Vocabulary

__all__ = ["Delta", "Reader"]

Entry = ChatLogprobsContent


@dataclass(frozen=True, slots=True)
class Delta:
    """What a token adds to a choice.

    Attributes:
        text: New text of the answer; empty where bytes are held back.
        reasoning: New text of the reasoning.
        logprobs: Entries of the tokens whose text is out.
        finish: Why the choice ends here, or None.
    """

    text: str
    reasoning: str
    logprobs: tuple[Entry, ...]
    finish: FinishReason | None


class Reader:
    """Reads the steps of one choice.

    Args:
        ending: What ends the choice.
        vocabulary: The model's tokens.
        splitter: Tells reasoning from answer, of this object alone; None for a model without.
        parse: Whether the reasoning is given apart; without, it is shown where the model wrote it.
        include: Whether parsed reasoning is given; without, its logprobs are not either.
    """

    def __init__(
        self,
        ending: Ending,
        vocabulary: Vocabulary,
        splitter: Splitter | None = None,
        *,
        parse: bool = True,
        include: bool = True,
    ) -> None:
        self._ending = ending
        self._vocabulary = vocabulary
        self._splitter = splitter
        self._parse = parse
        self._include = include
        self._answer = _AnswerText(ending)
        self._reasoning = codecs.getincrementaldecoder("utf-8")("replace")
        self._raw = 0
        self._told_apart = 0
        self._entries: deque[tuple[int, Entry]] = deque()

    def read(self, step: TokenStep) -> Delta:
        """Takes the next step."""
        token = step.token_id
        silent = token is None or token in self._ending.silent_ids
        piece = b"" if silent else step.piece
        if step.logprob is not None and token not in self._ending.end_ids:
            self._entries.append((self._raw, self._entry(step.logprob, step.top_logprobs)))
        self._raw += len(piece)
        self._answer.next_token(len(piece))
        reasoning, logprobs = "", list[Entry]()
        for segment in self._segments(piece, last=step.finish is not None):
            entries = self._entries_of(segment)
            self._told_apart += len(segment.raw)
            if self._parse and segment.reasoning:
                if self._include:
                    reasoning += self._reasoning.decode(segment.text)
                    logprobs += [entry for _, entry in entries]
            elif self._parse:
                self._answer.add(segment.text, entries)
            else:
                edge = len(segment.raw) - len(segment.text) * (not segment.reasoning)
                self._answer.add(segment.raw[:edge], entries, searched=False)
                self._answer.add(segment.raw[edge:], ())
        if step.finish is not None:
            self._answer.add(b"", [(0, entry) for _, entry in self._entries])
        text, released = self._answer.release(last=step.finish is not None)
        return Delta(text, reasoning, (*logprobs, *released), step.finish)

    def _segments(self, piece: bytes, last: bool) -> Iterable[Segment]:
        if self._splitter is None:
            return [Segment(False, piece, piece)]
        return [*self._splitter.feed(piece), *(self._splitter.finish() if last else ())]

    def _entries_of(self, segment: Segment) -> list[tuple[int, Entry]]:
        """Entries of the tokens that begin in a segment, with their offset in what is shown."""
        end = self._told_apart + len(segment.raw)
        hidden = len(segment.raw) - len(segment.text) if self._parse else 0
        entries = []
        while self._entries and (
            self._entries[0][0] < end or self._entries[0][0] == end == self._raw
        ):
            start, entry = self._entries.popleft()
            entries.append((max(0, start - self._told_apart - hidden), entry))
        return entries

    def _entry(self, own: TokenLogprob, top: tuple[TokenLogprob, ...]) -> Entry:
        piece = self._vocabulary.piece(own.token_id)
        return ChatLogprobsContent(
            token=piece.decode(errors="replace"),
            logprob=own.logprob,
            bytes_=list(piece),
            top_logprobs=[self._top_entry(each) for each in top],
        )

    def _top_entry(self, each: TokenLogprob) -> ChatLogprobsContentTopLogprob:
        piece = self._vocabulary.piece(each.token_id)
        return ChatLogprobsContentTopLogprob(
            token=piece.decode(errors="replace"), logprob=each.logprob, bytes_=list(piece)
        )


class _AnswerText:
    """The answer's bytes on their way to text, and the logprob entries that go with them."""

    def __init__(self, ending: Ending) -> None:
        self._stops = ArmedStops(ending.stops, ending.min_tokens) if ending.stops else None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._released = 0
        self._held = bytearray()
        self._cut: int | None = None
        self._entries: deque[tuple[int, Entry]] = deque()

    @property
    def _total(self) -> int:
        return self._released + len(self._held)

    def next_token(self, size: int) -> None:
        if self._stops is not None:
            self._stops.next_token(size)

    def add(self, text: bytes, entries: Iterable[tuple[int, Entry]], searched: bool = True) -> None:
        """Takes bytes, and entries by their offset from here; `searched` for stop strings."""
        if self._cut is not None:
            return
        begin = self._total
        self._entries += [(begin + offset, entry) for offset, entry in entries]
        self._held += text
        if self._stops is None or not searched:
            return
        match = self._stops.feed(text)
        if match is not None:
            self._cut = begin + match.end - match.length

    def release(self, last: bool) -> tuple[str, list[Entry]]:
        """The text that is certain, and the entries of its tokens; all that is left at the last."""
        held = 0 if last or self._stops is None else self._stops.held
        boundary = self._total - held if self._cut is None else self._cut
        count = max(0, boundary - self._released)
        text = self._decoder.decode(bytes(self._held[:count]))
        del self._held[:count]
        self._released += count
        all_out = self._cut is None and not self._held
        released = []
        while self._entries and (all_out or self._entries[0][0] < boundary):
            released.append(self._entries.popleft()[1])
        return text, released
