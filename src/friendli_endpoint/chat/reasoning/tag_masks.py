"""Token masks at the boundary between reasoning and a constrained answer.

A token may complete a tag and continue past it. After the reasoning, such a token would write the
first bytes of the answer past the constraint, so the masks exclude it; the same tag can always be
written in tokens that end where the tag ends.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from friendli_endpoint.chat.reasoning.segments import WHITESPACE
from friendli_endpoint.chat.reasoning.splitter import Phase
from friendli_endpoint.chat.stop_strings import StopMatcher, StopSet
from friendli_endpoint.chat.tokens import (
    Bitmask,
    TokenIndex,
    bitmask_of,
    bitmask_without,
    tokenize_fragment,
)
from friendli_endpoint.generation import ReasoningRule, Vocabulary

__all__ = ["Closing", "Opening", "TagMasks"]


@dataclass(frozen=True, slots=True)
class Opening:
    """Token masks for the start of an output, where a tag or the answer may begin.

    Attributes:
        tag: Tokens that continue or complete a tag.
        answer: All tokens but those that complete a tag.
    """

    tag: Bitmask
    answer: Bitmask


@dataclass(frozen=True, slots=True)
class Closing:
    """Token mask for the reasoning, where a closing tag or a tool call may begin.

    Attributes:
        mask: All tokens but those that would write past the closing tag into the answer.
        interrupting: Tokens that complete the marker of a tool call, each with the bytes of that
            marker; the marker ends the reasoning and is the beginning of the answer.
    """

    mask: Bitmask
    interrupting: tuple[tuple[int, bytes], ...]


class TagMasks:
    """Token masks at the boundary between reasoning and constrained answers, for one vocabulary.

    Masks are cached: the number of partial tags is at most the number of bytes of the tags.

    Args:
        rule: The tags.
        vocabulary: The model's tokens.
        token_index: Index of that vocabulary.
        suppressed_ids: Tokens that are not text.

    Attributes:
        close: Token ids of the closing tag, which is appended when a budget is spent.
        answer_close: Ids of the control tokens that are closing tags of an answer.
    """

    def __init__(
        self,
        rule: ReasoningRule,
        vocabulary: Vocabulary,
        token_index: TokenIndex,
        suppressed_ids: Collection[int],
    ) -> None:
        self._trims = rule.trims
        self.close = tuple(tokenize_fragment(vocabulary, rule.close))
        closing = {tag.encode() for tag in rule.answer_closes if rule.trims}
        self.answer_close = frozenset(
            token
            for token in vocabulary.control_ids.difference(suppressed_ids)
            if closing and vocabulary.token_bytes(token) in closing
        )
        openings = [(text.encode(), Phase.REASONING) for text in rule.opens]
        openings += [(text.encode(), Phase.ANSWER) for text in rule.preludes]
        answer_openings = [(text.encode(), Phase.ANSWER) for text in rule.answer_opens]
        self._openings = {False: openings, True: answer_openings}
        self._closes = {text.encode() for text in rule.closes}
        self._closers = [text.encode() for text in (*rule.closes, *rule.interruptions)]
        self._stops = StopSet([*rule.closes, *rule.interruptions])
        self._suppressed_ids = suppressed_ids
        self._token_index = token_index
        self._size = vocabulary.size
        self._whole = [
            found
            for closer in self._closers
            for found in self._text(token_index.containing(closer))
        ]
        self._opening_cache: dict[tuple[bytes, bool], Opening] = {}
        self._closing_cache: dict[bytes, Closing] = {}

    def opening(self, partial_tag: bytes, after_reasoning: bool = False) -> Opening:
        """Returns the masks for the start of an output, or of an answer after reasoning.

        Args:
            partial_tag: The output so far, which may be the beginning of a tag.
            after_reasoning: Whether the reasoning is over.
        """
        key = (partial_tag, after_reasoning)
        if key not in self._opening_cache:
            self._opening_cache[key] = self._opening(partial_tag, after_reasoning)
        return self._opening_cache[key]

    def closing(self, partial_tag: bytes) -> Closing:
        """Returns the mask for the reasoning.

        Args:
            partial_tag: Its last bytes that may be the beginning of a closing tag or a call marker.
        """
        if partial_tag not in self._closing_cache:
            self._closing_cache[partial_tag] = self._closing(partial_tag)
        return self._closing_cache[partial_tag]

    def _opening(self, partial_tag: bytes, after_reasoning: bool) -> Opening:
        continuing, ending = set[int](), set[int]()
        for opening, phase in self._openings[after_reasoning]:
            if not opening.startswith(partial_tag):
                continue
            rest = opening[len(partial_tag) :]
            continuing.update(token for _, token in self._text(self._token_index.prefixes_of(rest)))
            for data, token in self._text(self._token_index.starting_with(rest)):
                ending.add(token)
                if self._keeps_answer(data[len(rest) :], phase):
                    continuing.add(token)
        return Opening(bitmask_of(continuing, self._size), bitmask_without(ending, self._size))

    def _keeps_answer(self, rest: bytes, phase: Phase) -> bool:
        """Whether the bytes after an opening tag in its token contain nothing of the answer."""
        if phase is Phase.ANSWER:
            return not self._answer_part(rest)
        return not any(closer in rest for closer in self._closers)

    def _closing(self, partial_tag: bytes) -> Closing:
        excluded, interrupting = set[int](), set[tuple[int, bytes]]()
        for data, token in self._ending(partial_tag):
            matcher = StopMatcher(self._stops)
            matcher.feed(partial_tag)
            match = matcher.feed(data)
            assert match is not None
            closer = (partial_tag + data)[: len(partial_tag) + match.end][-match.length :]
            rest = data[match.end :]
            interrupts = closer not in self._closes
            answer = rest if interrupts else self._answer_part(rest)
            if answer:
                excluded.add(token)
            elif interrupts:
                interrupting.add((token, closer))
        mask = bitmask_without(excluded, self._size)
        return Closing(mask, tuple(sorted(interrupting)))

    def _ending(self, partial_tag: bytes) -> Iterator[tuple[bytes, int]]:
        """Yields bytes and id of the tokens that end the reasoning."""
        yield from self._whole
        for start in range(len(partial_tag)):
            for closer in self._closers:
                if closer.startswith(partial_tag[start:]):
                    yield from self._text(
                        self._token_index.starting_with(closer[len(partial_tag) - start :])
                    )

    def _text(self, entries: Iterable[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
        return (entry for entry in entries if entry[1] not in self._suppressed_ids)

    def _answer_part(self, text: bytes) -> bytes:
        """Returns the part of the bytes right after a tag that belongs to the answer."""
        return text.strip(WHITESPACE) if self._trims else text
