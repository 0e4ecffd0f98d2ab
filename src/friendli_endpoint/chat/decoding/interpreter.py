"""Interprets the output of one choice token by token: reasoning, answer, and stop criteria."""

from collections.abc import Iterable
from dataclasses import dataclass

from friendli_endpoint.chat.reasoning.segments import Segment
from friendli_endpoint.chat.reasoning.splitter import ReasoningSplitter
from friendli_endpoint.chat.stop_strings import DelayedStopMatcher, StopSet
from friendli_endpoint.chat.tokens import Bitmask
from friendli_endpoint.generation import OutputSpan, Vocabulary

__all__ = ["OutputInterpreter", "StopCriteria"]


@dataclass(frozen=True, slots=True)
class StopCriteria:
    """Stop criteria of the choices of a request, and the tokens that are not text.

    Attributes:
        end_ids: Tokens that end a choice.
        suppressed_ids: Tokens that are not text: the ends, and control tokens without a reader.
        stops: Stop strings, or None.
        min_tokens: Minimum number of tokens before a choice may end by itself.
        no_end_mask: Mask of all tokens but the ends.
    """

    end_ids: frozenset[int]
    suppressed_ids: frozenset[int]
    stops: StopSet | None
    min_tokens: int
    no_end_mask: Bitmask


class OutputInterpreter:
    """Interprets the output of one choice; each token is read only once, here.

    Bytes are held back while they may be the beginning of a tag or of a stop string. Only the
    answer is searched for stop strings; the text from the first match on is not output.

    Args:
        criteria: Stop criteria of the choice.
        vocabulary: The model's tokens.
        splitter: Splits reasoning from answer, owned by this object; None for a model without
            reasoning.

    Attributes:
        num_tokens: Number of tokens read so far.
        num_bytes: Number of bytes that the last token has added to the output.
        answer: Bytes that became part of the answer with the last token.
    """

    def __init__(
        self,
        criteria: StopCriteria,
        vocabulary: Vocabulary,
        splitter: ReasoningSplitter | None = None,
    ) -> None:
        self._criteria = criteria
        self._vocabulary = vocabulary
        self._splitter = splitter
        self._stops = (
            DelayedStopMatcher(criteria.stops, criteria.min_tokens) if criteria.stops else None
        )
        self._spans: list[OutputSpan] = []
        self._num_unread = 0
        self._held: list[OutputSpan] = []
        self._num_held = 0
        self._is_stopped = False
        self.num_tokens = 0
        self.num_bytes = 0
        self.answer = b""

    def is_end(self, token_id: int) -> bool:
        """Whether a token ends the choice."""
        return token_id in self._criteria.end_ids

    def read(self, token_id: int) -> bool:
        """Reads the next token; returns whether it completes a stop string."""
        suppressed = token_id in self._criteria.suppressed_ids
        written = b"" if suppressed else self._vocabulary.token_bytes(token_id)
        self.num_tokens += 1
        self.num_bytes = len(written)
        self._num_unread += len(written)
        if self._stops is not None:
            self._stops.next_token(len(written))
        if self._splitter is None:
            self.answer = written
            if written:
                self._num_unread = 0
                self._read_answer(written)
        else:
            segments = self._splitter.feed(written)
            self.answer = b"".join(segment.text for segment in segments if not segment.reasoning)
            self._read_segments(segments)
        return self._is_stopped

    def spans(self, is_last: bool) -> tuple[OutputSpan, ...]:
        """Returns the output that has become certain since the last call.

        Args:
            is_last: Whether the output ends here, so that nothing is held back.
        """
        if is_last and self._splitter is not None:
            self._read_segments(self._splitter.finish())
        if self._held:
            held = 0 if is_last or self._stops is None else self._stops.held
            self._release(self._num_held - held)
        spans = tuple(self._spans)
        self._spans.clear()
        return spans

    def _read_segments(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            if self._is_stopped:
                return
            self._num_unread -= len(segment.raw)
            if segment.reasoning:
                trimmed = segment.text if segment.text != segment.raw else None
                self._spans.append(OutputSpan(True, segment.raw, trimmed))
                continue
            hidden = segment.raw[: len(segment.raw) - len(segment.text)]
            if hidden:
                self._hold(OutputSpan(False, hidden, b""))
            if segment.text:
                self._read_answer(segment.text)

    def _read_answer(self, text: bytes) -> None:
        self._hold(OutputSpan(False, text))
        match = self._stops.feed(text, self._num_unread) if self._stops is not None else None
        if match is not None:
            self._is_stopped = True
            self._release(self._num_held - (len(text) - match.end) - match.length)
            self._held.clear()

    def _hold(self, span: OutputSpan) -> None:
        """Adds a span of the answer, which is output unless it becomes part of a stop string."""
        self._held.append(span)
        self._num_held += len(span.text)

    def _release(self, size: int) -> None:
        """Outputs the first bytes of the text held back, with the tags up to there."""
        self._num_held -= size
        while self._held and len(self._held[0].text) <= size:
            span = self._held.pop(0)
            size -= len(span.text)
            self._spans.append(span)
        if self._held and size:
            text = self._held[0].text
            self._spans.append(OutputSpan(False, text[:size]))
            self._held[0] = OutputSpan(False, text[size:])
