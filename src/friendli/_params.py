"""The arguments of a chat call: one table for both methods, sync and async.

`ChatParams` is what type checkers and editors see; `signature()` is what `help()` and `inspect`
see; `request_of` is what happens at run time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

from typing_extensions import TypedDict

from friendli._transport.call import Arguments, CallOptions
from friendli._transport.options import Options
from friendli._transport.request import Request
from friendli._transport.retry import RetryConfig
from friendli.models.completion import ChatChoiceMessage
from friendli.models.formats import ResponseFormat, ResponseFormatTypedDict
from friendli.models.messages import Message, MessageTypedDict
from friendli.models.request import Seed, StreamOptions, StreamOptionsTypedDict
from friendli.models.tools import Tool, ToolChoice, ToolChoiceTypedDict, ToolTypedDict
from friendli.types import UNSET, OptionalNullable, Unset

Messages: TypeAlias = Iterable[Message | MessageTypedDict | ChatChoiceMessage]
Format: TypeAlias = ResponseFormat | ResponseFormatTypedDict | Unset | None
NotStream: TypeAlias = Literal[False] | Unset | None
ReasoningEffort: TypeAlias = (
    Literal["minimal", "low", "medium", "high", "xhigh", "max", "ultracode"] | str
)


class ChatParams(TypedDict, total=False):
    """The optional arguments of a chat call but `stream` and `response_format`.

    UNSET leaves a field out, None sends null. Ranges are the endpoint's to check.

    Attributes:
        x_friendli_team: Team to run the request as; sent as a header.
        chat_template_kwargs: Variables for the chat template.
        eos_token: Ids of the tokens that end the answer, instead of the model's own.
        frequency_penalty: -2..2; 0 is off.
        logit_bias: Token id (or text that is one token) to bias, -100..100.
        logprobs: Whether to return log probabilities.
        max_tokens: Most tokens to generate, per choice; >= 1.
        min_p: 0..1; tokens less likely than min_p times the likeliest are dropped; 0 is off.
        n: How many choices; >= 1.
        parallel_tool_calls: Whether the model may make several calls at once.
        presence_penalty: -2..2; 0 is off.
        repetition_penalty: > 0; 1 is off.
        reasoning_effort: How hard to think, for models that have such levels.
        reasoning_budget: Most tokens to think with; >= 1.
        seed: Seed of the draws; a list holds one for each choice.
        stop: Texts that end the answer, left out of it.
        stream_options: Only for streams.
        parse_reasoning: Whether thinking goes to `reasoning_content`.
        include_reasoning: Whether parsed thinking is returned at all.
        temperature: >= 0; 0 is greedy.
        tool_choice: "none", "auto", "required", or a named function; None is left out.
        top_k: >= 0; 0 is off.
        top_logprobs: How many alternatives to report at each position; needs logprobs.
        top_p: 0 (exclusive)..1; 1 is off.
        xtc_threshold: 0..1; 0 is off.
        xtc_probability: 0..1; 0 is off.
        tools: Functions the model may call; not together with min_tokens or response_format.
        min_tokens: >= 0; not together with tools or response_format.
        retries: Overrides the client's retries; None: no retries.
        server_url: Overrides the client's server.
        accept_header_override: Sent as Accept.
        timeout_ms: Overrides the client's timeout: ms for each of connect, read, write and pool.
        http_headers: Headers to add or, whatever their case, to replace.
        extra_body: Fields of the body that have no argument yet.
    """

    x_friendli_team: OptionalNullable[str]
    chat_template_kwargs: OptionalNullable[Mapping[str, Any]]
    eos_token: OptionalNullable[Iterable[int]]
    frequency_penalty: OptionalNullable[float]
    logit_bias: OptionalNullable[Mapping[str, Any]]
    logprobs: OptionalNullable[bool]
    max_tokens: OptionalNullable[int]
    min_p: OptionalNullable[float]
    n: OptionalNullable[int]
    parallel_tool_calls: OptionalNullable[bool]
    presence_penalty: OptionalNullable[float]
    repetition_penalty: OptionalNullable[float]
    reasoning_effort: OptionalNullable[ReasoningEffort]
    reasoning_budget: OptionalNullable[int]
    seed: OptionalNullable[Seed]
    stop: OptionalNullable[str | Iterable[str]]
    stream_options: OptionalNullable[StreamOptions | StreamOptionsTypedDict]
    parse_reasoning: OptionalNullable[bool]
    include_reasoning: OptionalNullable[bool]
    temperature: OptionalNullable[float]
    tool_choice: OptionalNullable[ToolChoice | ToolChoiceTypedDict]
    top_k: OptionalNullable[int]
    top_logprobs: OptionalNullable[int]
    top_p: OptionalNullable[float]
    xtc_threshold: OptionalNullable[float]
    xtc_probability: OptionalNullable[float]
    tools: OptionalNullable[Iterable[Tool | ToolTypedDict]]
    min_tokens: OptionalNullable[int]
    retries: OptionalNullable[RetryConfig]
    server_url: str | None
    accept_header_override: Any
    timeout_ms: int | None
    http_headers: Mapping[str, str] | None
    extra_body: Mapping[str, Any] | None


_OPTION_DEFAULTS: Final[dict[str, Any]] = {
    "x_friendli_team": UNSET,
    "retries": UNSET,
    "server_url": None,
    "accept_header_override": None,
    "timeout_ms": None,
    "http_headers": None,
}
_OTHER_DEFAULTS: Final[dict[str, Any]] = {
    **_OPTION_DEFAULTS,
    "tool_choice": None,
    "extra_body": None,
}
_REQUIRED: Final = ("model", "messages")
_OPTIONAL: Final = (*ChatParams.__annotations__, "stream", "response_format")
_NAMES: Final = frozenset((*_REQUIRED, *_OPTIONAL))


def request_of(method: str, options: Options, given: dict[str, Any]) -> Request:
    """Make the request that the arguments of `method` ask for.

    Raises:
        TypeError: An argument is missing or unknown.
        pydantic.ValidationError: An argument of the body has the wrong type.
        ValueError: An argument cannot be sent.
    """
    return Request.of(method, options, _sort(method, given))


def _sort(method: str, given: dict[str, Any]) -> Arguments:
    for name in _REQUIRED:
        if name not in given:
            raise TypeError(f"{method}() missing required keyword-only argument: {name!r}")
    if not given.keys() <= _NAMES:
        unknown = sorted(given.keys() - _NAMES)[0]
        raise TypeError(
            f"{method}() got an unexpected keyword argument {unknown!r}; a field of the body "
            "that this client does not know goes into extra_body={...}"
        )
    options = CallOptions()
    for name in _OPTION_DEFAULTS:
        if name in given:
            setattr(options, name, given.pop(name))
    return Arguments(body=given, options=options, extra_body=given.pop("extra_body", None))


F = TypeVar("F", bound=Callable[..., Any])


def documented(function: F) -> F:
    """Give a chat method the signature that its callers may rely on."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = {
        "model": "str",
        "messages": "Messages",
        "stream": "OptionalNullable[bool]",
        "response_format": "Format | type",
        **{name: _text(hint) for name, hint in ChatParams.__annotations__.items()},
    }
    default = True if function.__name__ == "stream" else UNSET
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [inspect.Parameter(name, keyword, annotation=hints[name]) for name in _REQUIRED]
    parameters += [
        inspect.Parameter(
            name,
            keyword,
            default=default if name == "stream" else _OTHER_DEFAULTS.get(name, UNSET),
            annotation=hints[name],
        )
        for name in _OPTIONAL
    ]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def _text(hint: Any) -> str:
    return getattr(hint, "__forward_arg__", None) or str(hint)
