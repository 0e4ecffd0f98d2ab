"""Builds the response of one request from the events of the engine.

A whole answer is the accumulated stream, so the two cannot differ.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from friendli._streaming.accumulate import Accumulator
from friendli.models import (
    ChatLogprobs,
    ChatLogprobsContent,
    ChatUsage,
    ContainerChatCompleteSuccess,
    PromptTokensDetails,
    StreamedChatChoice,
    StreamedChatChoiceDelta,
    StreamedChatData,
)
from friendli_endpoint.chat.decoding.rules import CompiledRules
from friendli_endpoint.chat.output.calls import CallReader
from friendli_endpoint.chat.output.reader import Delta, Reader
from friendli_endpoint.generation import (
    Event,
    FinishReason,
    GenerationRequest,
    Started,
    TokenStep,
)

__all__ = ["ResponseBuilder", "TextDelta"]


class TextDelta(NamedTuple):
    """Compact form of a chunk that only adds text to one answer, as almost all chunks do.

    Attributes:
        choice: Index of the choice.
        text: The text to add.
    """

    choice: int
    text: str


Chunk = StreamedChatData | TextDelta


class ResponseBuilder:
    """Builds the response of one valid request.

    Args:
        request: The request to the engine.
        rules: Its compiled decoding rules; the reference keeps them compiled for an engine in this
            process.
        model: The model name in the response.
        include_usage: Whether a stream ends with a usage chunk.
        reader: Creates the reader of a choice, with its first token.
        call_reader: Creates the reader of the tool calls of a choice from its seed; None in a
            request without tools.

    Attributes:
        request: The request to the engine.
        num_generated: Number of tokens generated so far, over all choices.
    """

    def __init__(
        self,
        request: GenerationRequest,
        rules: CompiledRules,
        *,
        model: str,
        include_usage: bool,
        reader: Callable[[], Reader],
        call_reader: Callable[[int], CallReader] | None = None,
    ) -> None:
        self.request = request
        self._rules = rules
        self._include_usage = include_usage or not request.stream
        self._model = model
        self._created = int(time.time())
        self._reader = reader
        self._call_reader = call_reader
        self._choices: dict[int, _ChoiceReader] = {}
        self._unfinished = len(request.choices)
        self.num_generated = 0
        self._cached_tokens = 0
        self._accumulated = None if request.stream else _WholeAnswer(self.text_chunk)

    @property
    def finished(self) -> bool:
        """Whether every choice has ended."""
        return self._unfinished == 0

    def opening(self) -> list[StreamedChatData]:
        """Returns the first chunk of each choice, with its role and its seed."""
        chunks = [
            self._chunk(
                index,
                StreamedChatChoiceDelta(role="assistant", content=""),
                seed=choice.seed,
            )
            for index, choice in enumerate(self.request.choices)
        ]
        self._keep(chunks)
        return chunks

    def read(self, event: Event) -> list[Chunk]:
        """Returns the chunks of an event, including those that end the stream."""
        if isinstance(event, Started):
            self._cached_tokens = event.cached_tokens
            return []
        chunks = [chunk for step in event.steps for chunk in self._read_step(step)]
        if self.finished and self._include_usage:
            chunks.append(self._usage_chunk())
        self._keep(chunks)
        return chunks

    def text_chunk(self, choice: int, text: str) -> StreamedChatData:
        """Returns the full chunk of a text delta."""
        return self._chunk(choice, StreamedChatChoiceDelta(content=text))

    def completion(self) -> ContainerChatCompleteSuccess:
        """Returns the whole answer of a finished request that is not a stream."""
        assert self._accumulated is not None, "the request was for a stream"
        return self._accumulated.completion()

    def _keep(self, chunks: Iterable[Chunk]) -> None:
        if self._accumulated is not None:
            for chunk in chunks:
                self._accumulated.add(chunk)

    def _read_step(self, step: TokenStep) -> Iterator[Chunk]:
        if step.token_id is not None:
            self.num_generated += 1
        if step.choice not in self._choices:
            self._choices[step.choice] = self._new_reader(step.choice)
        reader = self._choices[step.choice]
        delta = reader.answer.read(step)
        logprobs = delta.logprobs
        if delta.reasoning:
            reasoning = StreamedChatChoiceDelta(reasoning_content=delta.reasoning)
            yield self._chunk(step.choice, reasoning, logprobs=() if delta.text else logprobs)
            logprobs = logprobs if delta.text else ()
        if delta.text and not (logprobs or reader.calls):
            yield TextDelta(step.choice, delta.text)
        else:
            for answer_delta in _answer(reader.calls, delta, bool(logprobs)):
                yield self._chunk(step.choice, answer_delta, logprobs=logprobs)
                logprobs = ()
        if delta.finish is not None:
            self._unfinished -= 1
            del self._choices[step.choice]
            yield self._chunk(
                step.choice, StreamedChatChoiceDelta(), finish=_finish(reader.calls, delta)
            )

    def _new_reader(self, choice: int) -> "_ChoiceReader":
        seed = self.request.choices[choice].seed
        calls = self._call_reader(seed) if self._call_reader is not None else None
        return _ChoiceReader(self._reader(), calls)

    def _chunk(
        self,
        index: int,
        delta: StreamedChatChoiceDelta,
        *,
        logprobs: Sequence[ChatLogprobsContent] = (),
        finish: FinishReason | None = None,
        seed: int | None = None,
    ) -> StreamedChatData:
        choice = StreamedChatChoice(
            index=index,
            delta=delta,
            logprobs=self._logprobs(logprobs, opening=seed is not None),
            finish_reason=finish,
        )
        if seed is not None:
            choice.seed = seed
        return StreamedChatData(
            id=self.request.request_id,
            choices=[choice],
            created=self._created,
            usage=None,
            model=self._model,
        )

    def _logprobs(
        self, entries: Sequence[ChatLogprobsContent], opening: bool
    ) -> ChatLogprobs | None:
        """Returns the entries; None if not requested, or if there are none after the opening."""
        if self.request.top_logprobs is None or not (entries or opening):
            return None
        return ChatLogprobs(content=list(entries))

    def _usage_chunk(self) -> StreamedChatData:
        prompt, completion = self.request.num_prompt_tokens, self.num_generated
        return StreamedChatData(
            id=self.request.request_id,
            choices=[],
            created=self._created,
            usage=ChatUsage(
                prompt_tokens=prompt,
                completion_tokens=completion,
                total_tokens=prompt + completion,
                prompt_tokens_details=PromptTokensDetails(cached_tokens=self._cached_tokens),
            ),
            model=self._model,
        )


class _ChoiceReader(NamedTuple):
    """Readers of one choice while it runs.

    Attributes:
        answer: Decodes its text.
        calls: Separates tool calls from text; None in a request without tools.
    """

    answer: Reader
    calls: CallReader | None


def _answer(
    calls: CallReader | None, delta: Delta, needed: bool
) -> Iterator[StreamedChatChoiceDelta]:
    """Yields the deltas that a step adds to the answer; at least one if `needed`."""
    empty = True
    if calls is not None:
        for call_delta in calls.read(delta.text, delta.finish is not None):
            empty = False
            yield call_delta
    elif delta.text:
        empty = False
        yield StreamedChatChoiceDelta(content=delta.text)
    if needed and empty:
        yield StreamedChatChoiceDelta(content="")


def _finish(calls: CallReader | None, delta: Delta) -> FinishReason | None:
    """Returns `tool_calls` for a message with complete calls, unless it was cut off."""
    called = calls is not None and calls.complete
    return "tool_calls" if called and delta.finish == "stop" else delta.finish


class _WholeAnswer:
    """Accumulates chunks to a whole answer; joins consecutive text deltas of a choice first.

    Args:
        expand: Returns the full chunk of a choice's index and a text.
    """

    def __init__(self, expand: Callable[[int, str], StreamedChatData]) -> None:
        self._expand = expand
        self._accumulator = Accumulator()
        self._texts: dict[int, list[str]] = {}

    def add(self, chunk: Chunk) -> None:
        if isinstance(chunk, TextDelta):
            self._texts.setdefault(chunk.choice, []).append(chunk.text)
            return
        for choice in chunk.choices:
            self._flush(choice.index)
        self._accumulator.add(chunk)

    def completion(self) -> ContainerChatCompleteSuccess:
        return self._accumulator.completion()

    def _flush(self, choice: int) -> None:
        texts = self._texts.pop(choice, None)
        if texts:
            self._accumulator.add(self._expand(choice, "".join(texts)))
