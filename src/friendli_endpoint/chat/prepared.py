"""A prepared request, as plain data that a worker process can return."""

from dataclasses import dataclass

from friendli_endpoint.chat.tools.family import ToolSpec
from friendli_endpoint.generation import GenerationRequest

__all__ = ["PreparedRequest"]


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A valid request: what the engine generates, and how the response is made from it.

    Attributes:
        request: The request to the engine.
        model: The name to answer under.
        include_usage: Whether a stream ends with a usage chunk.
        parse_reasoning: Whether reasoning is separated from the answer.
        include_reasoning: Whether separated reasoning is part of the response.
        tools: The tools that may be called; empty if none may be.
        has_markup: Whether an answer without calls has markup that is not part of its text.
    """

    request: GenerationRequest
    model: str
    include_usage: bool
    parse_reasoning: bool
    include_reasoning: bool
    tools: tuple[ToolSpec, ...] = ()
    has_markup: bool = False
