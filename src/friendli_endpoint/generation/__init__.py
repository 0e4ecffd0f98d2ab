"""Contract between the parts of the endpoint; imports no other part of it.

`chat/` turns a conversation into a `GenerationRequest`, and the `TokenStep`s that come back into an
answer. An `Engine` turns requests into token steps. `http/` only transports both. Requests and
events are plain data: numbers, strings, bytes, and tuples of them, so that an engine may run in
another process or on another machine. Nothing is pickled. Any part raises `RequestError` for a
request that cannot be served; its message is a sentence for the client.
"""

from friendli_endpoint.generation.engine import Engine, ModelCard, StepReport
from friendli_endpoint.generation.errors import (
    EngineError,
    RequestError,
    StartError,
    draining_error,
    reason_of,
    unknown_adapter,
)
from friendli_endpoint.generation.events import (
    Event,
    FinishReason,
    Generated,
    OutputSpan,
    Started,
    TokenFindings,
    TokenLogprob,
    TokenStep,
)
from friendli_endpoint.generation.guide import Guide, GuideMaker, Vocabulary
from friendli_endpoint.generation.request import (
    VERSION,
    DecodingRules,
    GenerationRequest,
    Grammar,
    MediaSegment,
    ReasoningRule,
    SamplingParams,
    Segment,
    TextSegment,
)
from friendli_endpoint.generation.source import VocabularySource

__all__ = [
    "VERSION",
    "DecodingRules",
    "Engine",
    "EngineError",
    "Event",
    "FinishReason",
    "Generated",
    "GenerationRequest",
    "Grammar",
    "Guide",
    "GuideMaker",
    "MediaSegment",
    "ModelCard",
    "OutputSpan",
    "ReasoningRule",
    "RequestError",
    "SamplingParams",
    "Segment",
    "StartError",
    "Started",
    "StepReport",
    "TextSegment",
    "TokenFindings",
    "TokenLogprob",
    "TokenStep",
    "Vocabulary",
    "VocabularySource",
    "draining_error",
    "reason_of",
    "unknown_adapter",
]
