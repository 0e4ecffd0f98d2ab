"""One exchange: the request to the engine, and the chunks made of what comes back.

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
    """A chunk that says nothing but how the answer goes on, as almost all of them do.

    Attributes:
        choice: Index of the choice.
        text: What its answer goes on with.
    """

    choice: int
    text: str


Chunk = StreamedChatData | TextDelta


class ResponseBuilder:
    """An accepted request and its answer in the making.

    Args:
        request: The request to the engine.
        rules: Its decoding rules, held so that an engine in this process finds them compiled.
        model: The name to answer under.
        include_usage: Whether a stream ends with a chunk of usage.
        readers: One for each choice.
        calls: One for each choice, where tools are offered.

    Attributes:
        request: The request to the engine.
        num_generated: Tokens generated so far, of all choices.
    """

    def __init__(
        self,
        request: GenerationRequest,
        rules: CompiledRules,
        *,
        model: str,
        include_usage: bool,
        readers: Sequence[Reader],
        calls: Sequence[CallReader] = (),
    ) -> None:
        self.request = request
        self._rules = rules
        self._include_usage = include_usage or not request.stream
        self._model = model
        self._created = int(time.time())
        self._readers = readers
        self._calls = calls
        self._unfinished = len(request.choices)
        self.num_generated = 0
        self._cached_tokens = 0
        self._whole = None if request.stream else _Whole(self.text_chunk)

    @property
    def finished(self) -> bool:
        """Whether every choice has ended."""
        return self._unfinished == 0

    def opening(self) -> list[StreamedChatData]:
        """The first chunk of each choice: its role and the seed that draws it."""
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
        """The chunks that an event adds, those that end the stream included."""
        if isinstance(event, Started):
            self._cached_tokens = event.cached_tokens
            return []
        chunks = [chunk for step in event.steps for chunk in self._read_step(step)]
        if self.finished and self._include_usage:
            chunks.append(self._usage_chunk())
        self._keep(chunks)
        return chunks

    def text_chunk(self, choice: int, text: str) -> StreamedChatData:
        """The chunk that a text delta is short for."""
        return self._chunk(choice, StreamedChatChoiceDelta(content=text))

    def completion(self) -> ContainerChatCompleteSuccess:
        """The whole answer; of a request that was not for a stream, when it has finished."""
        assert self._whole is not None, "the request was for a stream"
        return self._whole.completion()

    def _keep(self, chunks: Iterable[Chunk]) -> None:
        if self._whole is not None:
            for chunk in chunks:
                self._whole.add(chunk)

    def _read_step(self, step: TokenStep) -> Iterator[Chunk]:
        if step.token_id is not None:
            self.num_generated += 1
        delta = self._readers[step.choice].read(step)
        logprobs = delta.logprobs
        if delta.reasoning:
            shown = StreamedChatChoiceDelta(reasoning_content=delta.reasoning)
            yield self._chunk(step.choice, shown, logprobs=() if delta.text else logprobs)
            logprobs = logprobs if delta.text else ()
        if delta.text and not (logprobs or self._calls):
            yield TextDelta(step.choice, delta.text)
        else:
            for shown in self._answer(step.choice, delta, bool(logprobs)):
                yield self._chunk(step.choice, shown, logprobs=logprobs)
                logprobs = ()
        if delta.finish is not None:
            self._unfinished -= 1
            yield self._chunk(
                step.choice, StreamedChatChoiceDelta(), finish=self._finish(step.choice, delta)
            )

    def _answer(self, choice: int, delta: Delta, needed: bool) -> Iterator[StreamedChatChoiceDelta]:
        """What a step adds to the answer; at least one delta where one is `needed`."""
        given = False
        if self._calls:
            for shown in self._calls[choice].read(delta.text, delta.finish is not None):
                given = True
                yield shown
        elif delta.text:
            given = True
            yield StreamedChatChoiceDelta(content=delta.text)
        if needed and not given:
            yield StreamedChatChoiceDelta(content="")

    def _finish(self, choice: int, delta: Delta) -> FinishReason | None:
        """A message that carries whole calls ends with `tool_calls`, unless it was cut off."""
        called = self._calls and self._calls[choice].complete
        return "tool_calls" if called and delta.finish == "stop" else delta.finish

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
        """Entries; null where none were asked for, an empty list in the opening where some were."""
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


class _Whole:
    """Adds chunks up to a whole answer; text deltas of a choice that follow each other at once.

    Args:
        expand: Makes the chunk that a text delta, its choice and its text, is short for.
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
