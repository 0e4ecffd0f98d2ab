"""Turns the steps of one choice into text: UTF-8 decoded, log probabilities in step with it.

A code point waits for its last byte; an incomplete one at the end is dropped.
"""

import codecs
from collections import deque
from dataclasses import dataclass

from friendli.models import ChatLogprobsContent, ChatLogprobsContentTopLogprob
from friendli_endpoint.generation import FinishReason, TokenLogprob, TokenStep, Vocabulary

__all__ = ["Delta", "Reader"]

Entry = ChatLogprobsContent


@dataclass(frozen=True, slots=True)
class Delta:
    """The text that a token adds to a choice.

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
    """Reads the steps of one choice: bytes to text, and log probabilities to the text they are of.

    Args:
        vocabulary: The model's tokens.
        parse: Whether the reasoning is given apart; without, it is shown where the model wrote it.
        include: Whether parsed reasoning is given; without, its logprobs are not either.
    """

    def __init__(self, vocabulary: Vocabulary, *, parse: bool = True, include: bool = True) -> None:
        self._vocabulary = vocabulary
        self._parse = parse
        self._include = include
        self._answer = codecs.getincrementaldecoder("utf-8")("replace")
        self._reasoning = codecs.getincrementaldecoder("utf-8")("replace")
        self._generated = 0
        self._certain = 0
        self._waits = True
        self._entries: deque[tuple[int, Entry]] = deque()

    def read(self, step: TokenStep) -> Delta:
        """Takes the next step."""
        findings = step.findings
        if step.logprob is not None:
            self._entries.append((self._generated, self._entry(step.logprob, step.top_logprobs)))
        self._generated += findings.num_bytes
        text, reasoning, logprobs = "", "", list[Entry]()
        for span in findings.spans:
            self._certain += len(span.raw)
            self._waits = span.reasoning and self._parse
            due = self._due_entries()
            if not self._parse:
                text += self._answer.decode(span.raw)
            elif not span.reasoning:
                text += self._answer.decode(span.text)
            elif self._include:
                reasoning += self._reasoning.decode(span.text)
            else:
                continue
            logprobs += due
        if not self._waits or (findings.finish is not None and self._include):
            logprobs += self._due_entries()
        return Delta(text, reasoning, tuple(logprobs), findings.finish)

    def _due_entries(self) -> list[Entry]:
        """Entries of the tokens that begin in certain output; of all tokens where all of it is."""
        due = []
        all_certain = self._certain == self._generated
        while self._entries and (all_certain or self._entries[0][0] < self._certain):
            due.append(self._entries.popleft()[1])
        return due

    def _entry(self, own: TokenLogprob, top: tuple[TokenLogprob, ...]) -> Entry:
        piece = self._vocabulary.token_bytes(own.token_id)
        return ChatLogprobsContent(
            token=piece.decode(errors="replace"),
            logprob=own.logprob,
            bytes_=list(piece),
            top_logprobs=[self._top_entry(likely) for likely in top],
        )

    def _top_entry(self, top: TokenLogprob) -> ChatLogprobsContentTopLogprob:
        piece = self._vocabulary.token_bytes(top.token_id)
        return ChatLogprobsContentTopLogprob(
            token=piece.decode(errors="replace"), logprob=top.logprob, bytes_=list(piece)
        )
