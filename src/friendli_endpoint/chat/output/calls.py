"""Deltas of the tool calls in one choice's answer."""

import hashlib
from collections.abc import Callable, Iterable, Iterator

from friendli.models import StreamedChatChoiceDelta, StreamedFunctionResult, StreamedToolCallResult
from friendli.types import UNSET
from friendli_endpoint.chat.tools.family import (
    CallArguments,
    CallBegin,
    CallEnd,
    CallEvent,
    CallParser,
    CallReasoning,
    CallText,
)

__all__ = ["CallReader"]

Delta = StreamedChatChoiceDelta
_ID_LENGTH = 9
"""Some chat templates require ids of exactly nine letters and digits; all accept them."""


class CallReader:
    """Separates tool calls from text in one choice's answer.

    Args:
        make_parser: Returns a new parser of the family.
        key: Seed of the call ids; the same key gives the same ids.
        prefix: Beginning of the answer that was not generated; it decides what follows, and is no
            part of the deltas.
        parse: Whether reasoning in the answer is returned separately; otherwise it is text.
        include: Whether separate reasoning is returned.

    Attributes:
        complete: Number of complete calls so far.
    """

    def __init__(
        self,
        make_parser: Callable[[], CallParser],
        key: bytes,
        prefix: str = "",
        *,
        parse: bool = True,
        include: bool = True,
    ) -> None:
        self._parser = make_parser()
        self._key = key
        self._parse = parse
        self._include = include
        self.complete = 0
        self._num_held = 0
        if prefix:
            self._parser.feed(prefix)
            ended = make_parser()
            ended.feed(prefix)
            self._num_held = sum(
                len(event.text) for event in ended.finish() if isinstance(event, CallText)
            )

    def read(self, text: str, last: bool) -> Iterator[Delta]:
        """Reads the next chunk of the answer; returns its deltas.

        Args:
            text: The next text; may be empty.
            last: Whether the answer ends here, so that nothing is held back.
        """
        events = self._parser.feed(text)
        if last:
            events = [*events, *self._parser.finish()]
        return self._deltas(events)

    def _deltas(self, events: Iterable[CallEvent]) -> Iterator[Delta]:
        for event in events:
            match event:
                case CallText(text):
                    new = text[self._num_held :]
                    self._num_held = max(0, self._num_held - len(text))
                    if new:
                        yield Delta(content=new)
                case CallReasoning(text):
                    if not self._parse:
                        yield Delta(content=text)
                    elif self._include:
                        yield Delta(reasoning_content=text)
                case CallBegin(index, name):
                    self._num_held = 0
                    function = StreamedFunctionResult(name=name, arguments="")
                    call = StreamedToolCallResult(
                        index=index, id=self._id(index), TYPE="function", function=function
                    )
                    yield Delta(tool_calls=[call])
                case CallArguments(index, fragment):
                    function = StreamedFunctionResult(arguments=fragment)
                    call = StreamedToolCallResult(index=index, TYPE=UNSET, function=function)
                    yield Delta(tool_calls=[call])
                case CallEnd():
                    self.complete += 1

    def _id(self, index: int) -> str:
        return hashlib.blake2b(self._key + index.to_bytes(4)).hexdigest()[:_ID_LENGTH]
