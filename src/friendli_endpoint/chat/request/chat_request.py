"""A validated chat request with every default resolved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from friendli.models import Message, ResponseFormat
from friendli_endpoint.chat.request.continuation import Continuation
from friendli_endpoint.generation import SamplingParams

__all__ = ["ChatRequest", "OfferedTool"]


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A function that a request offers to the model.

    Attributes:
        position: Its index in the request's `tools`.
        name: Its name, unique in the request.
        description: The caller's description, or None.
        parameters: JSON schema of its arguments, whose `type` is `object`.
        definition: The definition for the chat template. It always has a description and
            parameters with a type and properties, because templates read them unasked.
    """

    position: int
    name: str
    description: str | None
    parameters: Mapping[str, Any]
    definition: Mapping[str, Any]

    @property
    def param(self) -> str:
        """Path of the schema in the request."""
        return f"tools[{self.position}].function.parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request as the rest of `chat` works with it; nothing in it is checked again.

    Attributes:
        model: The name to answer under.
        adapter: Route of the adapter that the name contains, or None.
        messages: The conversation, at least one message.
        continuation: The unfinished text of the last message that the answer continues, or None.
        template_kwargs: Additional variables of the chat template.
        offered_tools: The tools of the request.
        tools: The tools that may be called; empty if none may.
        tool_required: Whether the answer must be tool calls.
        parallel_tool_calls: Whether the answer may contain several calls.
        response_format: The format of the answer; None for free text.
        sampling: Sampling parameters of each choice, at least one.
        end_ids: Tokens that end a choice.
        stop: Stop strings.
        min_tokens: Minimum number of tokens before a choice may end by itself.
        max_tokens: Maximum number of tokens of a choice; None for as many as the context holds.
        top_logprobs: Number of likeliest tokens to report at each position, or None to report no
            log probabilities.
        reasoning_budget: Maximum number of tokens of reasoning, or None.
        parse_reasoning: Whether reasoning is returned separately from the answer.
        include_reasoning: Whether parsed reasoning is returned.
        stream: Whether the answer is a stream of chunks.
        include_usage: Whether a stream ends with a usage chunk.
    """

    model: str
    adapter: str | None
    messages: tuple[Message, ...]
    continuation: Continuation | None
    template_kwargs: Mapping[str, Any]
    offered_tools: tuple[OfferedTool, ...]
    tools: tuple[OfferedTool, ...]
    tool_required: bool
    parallel_tool_calls: bool
    response_format: ResponseFormat | None
    sampling: tuple[SamplingParams, ...]
    end_ids: frozenset[int]
    stop: tuple[str, ...]
    min_tokens: int
    max_tokens: int | None
    top_logprobs: int | None
    reasoning_budget: int | None
    parse_reasoning: bool
    include_reasoning: bool
    stream: bool
    include_usage: bool
