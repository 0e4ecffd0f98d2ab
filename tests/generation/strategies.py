"""Strategies for requests, events, errors, cards and reports of any content."""

from hypothesis import strategies as st

from friendli_endpoint.generation import (
    DecodingRules,
    EngineError,
    Event,
    FinishReason,
    Generated,
    GenerationRequest,
    Grammar,
    MediaSegment,
    ModelCard,
    OutputSpan,
    ReasoningRule,
    RequestError,
    SamplingParams,
    Started,
    StepReport,
    TextSegment,
    TokenFindings,
    TokenLogprob,
    TokenStep,
)

__all__ = [
    "COUNTS",
    "SECONDS",
    "TEXTS",
    "cards",
    "engine_errors",
    "events",
    "reports",
    "request_errors",
    "requests",
]

COUNTS = st.integers(0, 2**31)
SECONDS = st.floats(0, 1e6)
TEXTS = st.text(st.characters(), max_size=8)
"""Texts that may contain lone surrogates, as JSON may."""

_TOKENS = st.lists(COUNTS, max_size=20).map(tuple)
_NUMBERS = st.floats(allow_nan=False)
_SOME_TEXTS = st.lists(TEXTS, max_size=3).map(tuple)
_LOGPROBS = st.builds(TokenLogprob, COUNTS, st.floats(-9999, 0))
_SPANS = st.builds(OutputSpan, st.booleans(), st.binary(min_size=1), st.none() | st.binary())
_FINISHES: st.SearchStrategy[FinishReason | None] = st.sampled_from(
    [None, "stop", "length", "tool_calls"]
)
_FINDINGS = st.builds(
    TokenFindings, COUNTS, st.lists(_SPANS, max_size=3).map(tuple), _FINISHES, st.booleans()
)
_STEPS = st.builds(
    TokenStep,
    COUNTS,
    st.none() | COUNTS,
    _FINDINGS,
    st.none() | _LOGPROBS,
    st.lists(_LOGPROBS, max_size=3).map(tuple),
)
_SAMPLING = st.builds(
    SamplingParams,
    st.integers(0, 2**64 - 1),
    temperature=_NUMBERS,
    top_k=COUNTS,
    top_p=_NUMBERS,
    min_p=_NUMBERS,
    repetition_penalty=_NUMBERS,
    frequency_penalty=_NUMBERS,
    presence_penalty=_NUMBERS,
    logit_bias=st.dictionaries(COUNTS, _NUMBERS, max_size=3),
    xtc_threshold=_NUMBERS,
    xtc_probability=_NUMBERS,
    xtc_protected=_TOKENS,
)
_GRAMMARS = st.builds(Grammar, st.sampled_from(["json_schema", "regex", "lark"]), TEXTS)
_REASONING = st.builds(
    ReasoningRule,
    TEXTS,
    TEXTS,
    preludes=_SOME_TEXTS,
    interruptions=_SOME_TEXTS,
    trims=st.booleans(),
    start=st.sampled_from(["start", "reasoning", "answer"]),
    budget=st.none() | COUNTS,
    other_opens=_SOME_TEXTS,
    other_closes=_SOME_TEXTS,
    answer_open=TEXTS,
    answer_close=TEXTS,
    other_answer_closes=_SOME_TEXTS,
    before=TEXTS,
)
_RULES = st.builds(
    DecodingRules,
    _TOKENS,
    visible_ids=_TOKENS,
    stop=_SOME_TEXTS,
    min_tokens=COUNTS,
    grammar=st.none() | _GRAMMARS,
    reasoning=st.none() | _REASONING,
    answer_prefix=TEXTS,
)
_SEGMENTS = st.builds(TextSegment, _TOKENS) | st.builds(
    MediaSegment, COUNTS, st.binary(min_size=32, max_size=32), st.binary(max_size=100)
)


def requests() -> st.SearchStrategy[GenerationRequest]:
    """Returns a strategy for requests with any value in every field."""
    return st.builds(
        GenerationRequest,
        TEXTS,
        st.lists(_SEGMENTS, max_size=3).map(tuple),
        st.lists(_SAMPLING, max_size=3).map(tuple),
        _RULES,
        COUNTS,
        top_logprobs=st.none() | COUNTS,
        adapter=st.none() | TEXTS,
        stream=st.booleans(),
        version=COUNTS,
        resumed=st.booleans(),
    )


def events() -> st.SearchStrategy[Event]:
    """Returns a strategy for events."""
    steps = st.lists(_STEPS, min_size=1, max_size=4).map(tuple)
    return st.builds(Generated, steps, SECONDS) | st.builds(Started, COUNTS, SECONDS, SECONDS)


def request_errors() -> st.SearchStrategy[RequestError]:
    """Returns a strategy for rejections of requests."""
    return st.builds(
        RequestError,
        TEXTS,
        param=st.none() | TEXTS,
        status=COUNTS,
        code=st.none() | TEXTS,
        retry_after=st.none() | COUNTS,
    )


def engine_errors() -> st.SearchStrategy[EngineError]:
    """Returns a strategy for failures of requests."""
    return st.builds(EngineError, TEXTS, retryable=st.booleans(), is_closing=st.booleans())


def cards() -> st.SearchStrategy[ModelCard]:
    """Returns a strategy for model cards."""
    return st.builds(
        ModelCard,
        TEXTS,
        COUNTS,
        COUNTS,
        COUNTS,
        st.none() | TEXTS,
        _SOME_TEXTS,
        _SOME_TEXTS,
        st.booleans(),
    )


def reports() -> st.SearchStrategy[StepReport]:
    """Returns a strategy for reports of steps."""
    return st.builds(StepReport, SECONDS, *[COUNTS] * 8)
