"""The calls in one choice's answer, as deltas; fragments of arguments add up to the whole."""

import hashlib
from collections.abc import Iterable, Iterator

from friendli.models import StreamedChatChoiceDelta, StreamedFunctionResult, StreamedToolCallResult
from friendli.types import UNSET
from friendli_endpoint.chat.tools.family import (
    CallArguments,
    CallBegin,
    CallEnd,
    CallParser,
    Event,
    Text,
)

__all__ = ["CallReader"]

Delta = StreamedChatChoiceDelta
_ID_LENGTH = 9
"""Some chat templates take ids of exactly nine letters and digits, and none minds them."""


class CallReader:
    """Tells calls from text in one choice's answer.

    Args:
        parser: The family's, of this object alone.
        key: What the ids of the calls are made from; the same key gives the same ids.
    """

    def __init__(self, parser: CallParser, key: bytes) -> None:
        self._parser = parser
        self._key = key
        self.complete = 0

    def read(self, text: str, last: bool) -> Iterator[Delta]:
        """The deltas of the next piece of the answer; all that is left at the last."""
        events = self._parser.feed(text)
        if last:
            events = [*events, *self._parser.finish()]
        return self._deltas(events)

    def _deltas(self, events: Iterable[Event]) -> Iterator[Delta]:
        for event in events:
            match event:
                case Text(text):
                    yield Delta(content=text)
                case CallBegin(index, name):
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
