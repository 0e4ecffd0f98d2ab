"""Validates the body of a request, and resolves every default: wire type in, `ChatRequest` out."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from friendli.models import DedicatedChatCompletionBody, ResponseFormatText
from friendli.types import Unset
from friendli_endpoint.chat.request.chat_request import ChatRequest
from friendli_endpoint.chat.request.given import given
from friendli_endpoint.chat.request.rules import Limits, check_body
from friendli_endpoint.chat.request.sampling import check_token, sampling_params
from friendli_endpoint.chat.request.tool_choice import tool_choice
from friendli_endpoint.generation import RequestError, Vocabulary

__all__ = ["ModelFacts", "adapter_route", "validate"]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts that rules depend on.

    Attributes:
        vocabulary: The model's tokens.
        endpoint_ids: The ids that are answered; with none, any is.
        reasons: Whether the model reasons before it answers.
        takes_effort: Whether its chat template reads `reasoning_effort`.
        parse_reasoning: Whether reasoning is given apart where a request does not say.
        newline_ids: Tokens that are one line break, which XTC spares.
        limits: The operator's bounds.
    """

    vocabulary: Vocabulary
    endpoint_ids: Collection[str] = ()
    reasons: bool = False
    takes_effort: bool = False
    parse_reasoning: bool = True
    newline_ids: frozenset[int] = frozenset()
    limits: Limits = field(default_factory=Limits)


def validate(body: DedicatedChatCompletionBody, facts: ModelFacts) -> ChatRequest:
    """A request that may be served.

    Args:
        body: The body of the request, of valid types.
        facts: Facts that rules depend on.

    Raises:
        RequestError: The request breaks a rule, or names an endpoint that does not exist.
    """
    check_body(body, facts.limits)
    adapter = adapter_route(body.model, facts.endpoint_ids)
    _check_reasoning(body, facts)
    tools = tool_choice(body)
    end_ids = _end_ids(given(body.eos_token), facts.vocabulary)
    stop = given(body.stop) or ()
    response_format = body.response_format
    if isinstance(response_format, Unset | ResponseFormatText):
        response_format = None
    max_tokens = given(body.max_tokens)
    options = given(body.stream_options)
    parse_reasoning = given(body.parse_reasoning)
    return ChatRequest(
        model=body.model,
        adapter=adapter,
        messages=tuple(body.messages),
        template_kwargs=_template_kwargs(body),
        offered_tools=tools.offered,
        tools=tools.tools,
        tool_required=tools.required,
        parallel_tool_calls=tools.parallel,
        response_format=response_format,
        sampling=sampling_params(body, facts.vocabulary, end_ids | facts.newline_ids),
        end_ids=end_ids,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        min_tokens=given(body.min_tokens) or 0,
        max_tokens=max_tokens if max_tokens is not None else given(body.max_completion_tokens),
        top_logprobs=(given(body.top_logprobs) or 0) if given(body.logprobs) else None,
        reasoning_budget=given(body.reasoning_budget),
        parse_reasoning=facts.parse_reasoning if parse_reasoning is None else parse_reasoning,
        include_reasoning=given(body.include_reasoning) is not False,
        stream=given(body.stream) is True,
        include_usage=options is not None and given(options.include_usage) is True,
    )


def adapter_route(name: str, endpoint_ids: Collection[str]) -> str | None:
    """The route in `ENDPOINT_ID:ADAPTER_ROUTE`; an exact endpoint id wins.

    Args:
        name: A request's `model`.
        endpoint_ids: The ids that are answered; with none, any is.

    Raises:
        RequestError: 404: there is no such endpoint.
    """
    if name in endpoint_ids:
        return None
    endpoint, colon, route = name.partition(":")
    if endpoint_ids and endpoint not in endpoint_ids:
        raise RequestError(
            f"there is no endpoint {endpoint!r} here",
            param="model",
            status=404,
            code="model_not_found",
        )
    return route if colon else None


def _check_reasoning(body: DedicatedChatCompletionBody, facts: ModelFacts) -> None:
    for name, served in (
        ("reasoning_budget", facts.reasons),
        ("reasoning_effort", facts.takes_effort),
    ):
        if given(getattr(body, name)) is not None and not served:
            raise RequestError(
                f"{name} is not served: this model's chat template knows nothing of it",
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
    kwargs = dict(given(body.chat_template_kwargs) or {})
    effort = given(body.reasoning_effort)
    return kwargs if effort is None else {**kwargs, "reasoning_effort": effort}
