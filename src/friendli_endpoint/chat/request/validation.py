"""Validates a request body and resolves every default: wire type in, `ChatRequest` out."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from friendli.models import DedicatedChatCompletionBody, ResponseFormatText
from friendli.types import Unset
from friendli_endpoint.chat.request.chat_request import ChatRequest
from friendli_endpoint.chat.request.continuation import continuation_of
from friendli_endpoint.chat.request.fields import value_or_none
from friendli_endpoint.chat.request.messages import resolve_messages
from friendli_endpoint.chat.request.rules import Limits, check_body
from friendli_endpoint.chat.request.sampling import check_token, sampling_params
from friendli_endpoint.chat.request.tool_choice import tool_choice
from friendli_endpoint.generation import RequestError, Vocabulary

__all__ = ["ModelFacts", "adapter_route", "validate"]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Properties of the model and the endpoint that validation depends on.

    Attributes:
        vocabulary: The model's tokens.
        endpoint_ids: The endpoint ids that this server answers to; if empty, it answers to any.
        reasons: Whether the model reasons before it answers.
        takes_effort: Whether its chat template reads `reasoning_effort`.
        parse_reasoning: Default of the request's `parse_reasoning`.
        newline_ids: Tokens that are one line break; XTC never removes them.
        limits: The operator's limits.
    """

    vocabulary: Vocabulary
    endpoint_ids: Collection[str] = ()
    reasons: bool = False
    takes_effort: bool = False
    parse_reasoning: bool = True
    newline_ids: frozenset[int] = frozenset()
    limits: Limits = field(default_factory=Limits)


def validate(body: DedicatedChatCompletionBody, facts: ModelFacts) -> ChatRequest:
    """Validates a request and resolves its defaults.

    Args:
        body: The body of the request, of valid types.
        facts: Properties of the model and the endpoint.

    Raises:
        RequestError: A field is invalid, or the endpoint does not exist.
    """
    check_body(body, facts.limits)
    adapter = adapter_route(body.model, facts.endpoint_ids)
    _check_reasoning(body, facts)
    tools = tool_choice(body)
    messages = resolve_messages(body.messages)
    end_ids = _end_ids(value_or_none(body.eos_token), facts.vocabulary)
    stop = value_or_none(body.stop) or ()
    response_format = body.response_format
    if isinstance(response_format, Unset | ResponseFormatText):
        response_format = None
    max_tokens = value_or_none(body.max_tokens)
    options = value_or_none(body.stream_options)
    parse_reasoning = value_or_none(body.parse_reasoning)
    return ChatRequest(
        model=body.model,
        adapter=adapter,
        messages=messages,
        continuation=continuation_of(body, messages, tools.required),
        template_kwargs=_template_kwargs(body),
        offered_tools=tools.offered,
        tools=tools.tools,
        tool_required=tools.required,
        parallel_tool_calls=tools.parallel,
        response_format=response_format,
        sampling=sampling_params(body, facts.vocabulary, end_ids | facts.newline_ids),
        end_ids=end_ids,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        min_tokens=value_or_none(body.min_tokens) or 0,
        max_tokens=max_tokens
        if max_tokens is not None
        else value_or_none(body.max_completion_tokens),
        top_logprobs=(value_or_none(body.top_logprobs) or 0)
        if value_or_none(body.logprobs)
        else None,
        reasoning_budget=value_or_none(body.reasoning_budget),
        parse_reasoning=facts.parse_reasoning if parse_reasoning is None else parse_reasoning,
        include_reasoning=value_or_none(body.include_reasoning) is not False,
        stream=value_or_none(body.stream) is True,
        include_usage=options is not None and value_or_none(options.include_usage) is True,
    )


def adapter_route(name: str, endpoint_ids: Collection[str]) -> str | None:
    """Returns the route in `ENDPOINT_ID:ADAPTER_ROUTE`; None if the name is an endpoint id.

    Args:
        name: The request's `model`.
        endpoint_ids: The endpoint ids that this server answers to; if empty, it answers to any.

    Raises:
        RequestError: 404: the endpoint does not exist.
    """
    if name in endpoint_ids:
        return None
    endpoint, colon, route = name.partition(":")
    if endpoint_ids and endpoint not in endpoint_ids:
        raise RequestError(
            f"the endpoint {endpoint!r} does not exist",
            param="model",
            status=404,
            code="model_not_found",
        )
    return route if colon else None


def _check_reasoning(body: DedicatedChatCompletionBody, facts: ModelFacts) -> None:
    for name, supported in (
        ("reasoning_budget", facts.reasons),
        ("reasoning_effort", facts.takes_effort),
    ):
        if value_or_none(getattr(body, name)) is not None and not supported:
            raise RequestError(
                f"{name} is not supported by this model's chat template",
                param=name,
                code="not_supported",
            )


def _end_ids(eos_token: list[int] | None, vocabulary: Vocabulary) -> frozenset[int]:
    if not eos_token:
        return vocabulary.end_ids
    for index, token in enumerate(eos_token):
        check_token(token, vocabulary, f"eos_token[{index}]")
    return frozenset(eos_token)


def _template_kwargs(body: DedicatedChatCompletionBody) -> dict[str, Any]:
    kwargs = dict(value_or_none(body.chat_template_kwargs) or {})
    effort = value_or_none(body.reasoning_effort)
    return kwargs if effort is None else {**kwargs, "reasoning_effort": effort}
