"""Which tokens may come where a tag is begun and a constrained answer is near.

A token may end a tag and go on with what follows it. After the reasoning that would take away the
beginning of an answer that a constraint holds, so such tokens are left out; the same tag can always
be written in tokens that end where it ends.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from friendli_endpoint.chat.reasoning.splitter import WHITESPACE, Place
from friendli_endpoint.chat.stop_strings import StopMatcher, StopSet
from friendli_endpoint.chat.tokens import Bitmask, TokenIndex, bitmask_of, bitmask_without, spelling
from friendli_endpoint.generation import ReasoningRule, Vocabulary

__all__ = ["Closing", "Opening", "TagMasks"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What may come where both a tag and an answer may begin.

    Attributes:
        fitting: Tokens that go on with a tag, or end it.
        others: All tokens but those that end a tag: what is left for the answer.
    """

    fitting: Bitmask
    others: Bitmask


@dataclass(frozen=True, slots=True)
class Closing:
    """What may come in the reasoning.

    Attributes:
        mask: All tokens but those that would take away the beginning of the answer.
        interrupting: Tokens that end the reasoning with the beginning of the answer, and that
            beginning: markers of calls.
    """

    mask: Bitmask
    interrupting: tuple[tuple[int, bytes], ...]


class TagMasks:
    """The tag_masks between reasoning and constrained answers, in the tokens of a model.

    What was asked once is kept: there are no more beginnings than the tags have bytes.

    Args:
        rule: The tags.
        vocabulary: The model's tokens.
        pieces: Its tokens by their bytes.
        suppressed_ids: Those that are not text.

    Attributes:
        close: The close tag, as it is forced when a budget is spent.
    """

    def __init__(
        self,
        rule: ReasoningRule,
        vocabulary: Vocabulary,
        pieces: TokenIndex,
        suppressed_ids: Collection[int],
    ) -> None:
        self._trims = rule.trims
        self.close = tuple(spelling(vocabulary, rule.close))
        self._openings = [(rule.open.encode(), Place.REASONING)]
        self._openings += [(prelude.encode(), Place.ANSWER) for prelude in rule.preludes]
        self._close = rule.close.encode()
        self._closers = [self._close, *(text.encode() for text in rule.interruptions)]
        self._stops = StopSet([rule.close, *rule.interruptions])
        self._suppressed_ids = suppressed_ids
        self._pieces = pieces
        self._size = vocabulary.size
        self._whole = [
            found for closer in self._closers for found in self._text(pieces.around(closer))
        ]
        self._known_openings: dict[bytes, Opening] = {}
        self._known_closings: dict[bytes, Closing] = {}

    def opening(self, begun: bytes) -> Opening:
        """What may come at the start.

        Args:
            begun: The output up to here, if it may be the beginning of a tag.
        """
        if begun not in self._known_openings:
            self._known_openings[begun] = self._opening(begun)
        return self._known_openings[begun]

    def closing(self, begun: bytes) -> Closing:
        """What may come in the reasoning.

        Args:
            begun: Its last bytes, as far as they may be the beginning of what ends it.
        """
        if begun not in self._known_closings:
            self._known_closings[begun] = self._closing(begun)
        return self._known_closings[begun]

    def _opening(self, begun: bytes) -> Opening:
        fitting, ending = set[int](), set[int]()
        for opening, place in self._openings:
            if not opening.startswith(begun):
                continue
            rest = opening[len(begun) :]
            fitting.update(token for _, token in self._text(self._pieces.within(rest)))
            for piece, token in self._text(self._pieces.beyond(rest)):
                ending.add(token)
                if self._harmless(piece[len(rest) :], place):
                    fitting.add(token)
        return Opening(bitmask_of(fitting, self._size), bitmask_without(ending, self._size))

    def _harmless(self, rest: bytes, place: Place) -> bool:
        """Whether what follows an opening in its token leaves the answer whole."""
        if place is Place.ANSWER:
            return not self._shown(rest)
        return not any(closer in rest for closer in self._closers)

    def _closing(self, begun: bytes) -> Closing:
        harmful, interrupting = set[int](), set[tuple[int, bytes]]()
        for piece, token in self._ending(begun):
            matcher = StopMatcher(self._stops)
            matcher.feed(begun)
            match = matcher.feed(piece)
            assert match is not None
            closer = (begun + piece)[: len(begun) + match.end][-match.length :]
            rest = piece[match.end :]
            interrupts = closer != self._close
            taken = rest if interrupts else self._shown(rest)
            if taken:
                harmful.add(token)
            elif interrupts:
                interrupting.add((token, closer))
        mask = bitmask_without(harmful, self._size)
        return Closing(mask, tuple(sorted(interrupting)))

    def _ending(self, begun: bytes) -> Iterator[tuple[bytes, int]]:
        """Tokens with which the reasoning ends."""
        yield from self._whole
        for start in range(len(begun)):
            for closer in self._closers:
                if closer.startswith(begun[start:]):
                    yield from self._text(self._pieces.beyond(closer[len(begun) - start :]))

    def _text(self, pieces: Iterable[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
        return (piece for piece in pieces if piece[1] not in self._suppressed_ids)

    def _shown(self, text: bytes) -> bytes:
        """What of a text right after a tag belongs to the answer."""
        return text.strip(WHITESPACE) if self._trims else text
