"""From a choice's tokens to its text: UTF-8 made whole, stop strings cut out, logprobs in step."""

import codecs
from collections import deque
from dataclasses import dataclass

from friendli.models import ChatLogprobsContent, ChatLogprobsContentTopLogprob
from friendli_endpoint.chat.guide import Ending
from friendli_endpoint.chat.stop import StopMatcher
from friendli_endpoint.generation import FinishReason, TokenLogprob, TokenStep, Vocabulary

__all__ = ["Delta", "Reader"]


@dataclass(frozen=True, slots=True)
class Delta:
    """What a token adds to a choice.

    Attributes:
        text: New text; empty where bytes are held back.
        logprobs: Entries of the tokens whose text is out.
        finish: Why the choice ends here, or None.
    """

    text: str
    logprobs: tuple[ChatLogprobsContent, ...]
    finish: FinishReason | None


class Reader:
    """Reads the steps of one choice.

    Bytes are held back while a code point is not whole, and while they may be the beginning of a
    stop string; an incomplete code point at the end is dropped.

    Args:
        ending: What ends the choice.
        vocabulary: The model's tokens.
    """

    def __init__(self, ending: Ending, vocabulary: Vocabulary) -> None:
        self._ending = ending
        self._vocabulary = vocabulary
        self._matcher = StopMatcher(ending.stops) if ending.stops else None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._generated = 0
        self._released = 0
        self._held = bytearray()
        self._entries: deque[tuple[int, ChatLogprobsContent]] = deque()

    def read(self, step: TokenStep) -> Delta:
        """Takes the next step."""
        self._generated += 1
        token = step.token_id
        text_piece = b"" if token is None or token in self._ending.silent_ids else step.piece
        total = self._released + len(self._held)
        if step.logprob is not None and token not in self._ending.end_ids:
            self._entries.append((total, self._entry(step.logprob, step.top_logprobs)))
        self._held += text_piece
        total += len(text_piece)
        cut = self._cut(text_piece, total)
        if cut is not None:
            boundary = cut
        elif step.finish is None and self._matcher is not None:
            boundary = total - self._matcher.held
        else:
            boundary = total
        text = self._decoder.decode(bytes(self._held[: boundary - self._released]))
        del self._held[: boundary - self._released]
        self._released = boundary
        all_out = cut is None and boundary == total
        return Delta(text, tuple(self._entries_before(boundary, all_out)), step.finish)

    def _cut(self, piece: bytes, total: int) -> int | None:
        """Where the text ends because a stop string is complete, counted in bytes."""
        if self._matcher is None:
            return None
        match = self._matcher.feed(piece, self._generated > self._ending.min_tokens)
        return None if match is None else total - len(piece) + match.end - match.length

    def _entries_before(self, boundary: int, all_out: bool) -> list[ChatLogprobsContent]:
        out = []
        while self._entries and (all_out or self._entries[0][0] < boundary):
            out.append(self._entries.popleft()[1])
        return out

    def _entry(self, own: TokenLogprob, top: tuple[TokenLogprob, ...]) -> ChatLogprobsContent:
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
