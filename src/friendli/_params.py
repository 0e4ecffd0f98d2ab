"""Arguments of the chat methods: one table for all of them, sync and async.

`ChatParams` serves type checkers and editors, `documented` serves `help()` and `inspect`, and
`request_of` sorts the arguments at run time.
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
from friendli._typing import Argument, OptionalArgument
from friendli.models.completion import ChatChoiceMessage
from friendli.models.formats import ResponseFormat, ResponseFormatTypedDict
from friendli.models.messages import Message, MessageTypedDict
from friendli.models.request import Seed, StreamOptions, StreamOptionsTypedDict
from friendli.models.tools import Tool, ToolChoice, ToolChoiceTypedDict, ToolTypedDict
from friendli.types import UNSET, Unset

MAX_ROUNDS: Final = 10
"""Default of the maximum number of requests of one `run_tools()`."""

Messages: TypeAlias = Iterable[Message | MessageTypedDict | ChatChoiceMessage]
Format: TypeAlias = ResponseFormat | ResponseFormatTypedDict | Unset | None
NotStream: TypeAlias = Literal[False] | Unset | None
ReasoningEffort: TypeAlias = (
    Literal["minimal", "low", "medium", "high", "xhigh", "max", "ultracode"] | str
)


class ChatParams(TypedDict, total=False):
    """Optional arguments of a chat call, except `stream` and `response_format`.

    UNSET leaves a field out of the request; None sends null. The endpoint checks the ranges.

    Attributes:
        x_friendli_team: ID of the team that makes the request, sent as the header
            `X-Friendli-Team`. Default: the client's. None sends no header.
        chat_template_kwargs: Additional variables for the model's chat template, by name. Default:
            none.
        eos_token: Token ids that end the answer, in place of the model's own EOS ids. Default, and
            for an empty list: the model's own.
        frequency_penalty: Subtracted from a token's logit once for each occurrence in the output.
            Range: -2.0 to 2.0. Default: 0.0 (off).
        logit_bias: Values added to logits before sampling, by token id or by text that is exactly
            one token. Range: -100 to 100; -100 and False ban the token. Default: none.
        logprobs: Whether to return the log probability (natural logarithm) of each output token.
            Default: False.
        max_tokens: Maximum number of tokens to generate per choice. Minimum: 1. Default: as many as
            the model's context length leaves.
        min_p: Minimum probability of a token as a fraction of the highest one; less likely tokens
            are excluded. Range: 0.0 to 1.0. Default: 0.0 (off).
        n: Number of choices to generate. Minimum: 1; the endpoint sets the maximum. Default: 1.
        parallel_tool_calls: Whether one answer may contain several tool calls. Default: True.
        presence_penalty: Subtracted once from the logit of each token that occurs in the output.
            Range: -2.0 to 2.0. Default: 0.0 (off).
        repetition_penalty: Divides the positive logits, and multiplies the other logits, of tokens
            that occur in the prompt or the output. Range: greater than 0.0. Default: 1.0 (off).
        reasoning_effort: Reasoning effort, for example "low" or "high", passed to the chat template
            of models that have such levels. Default: the template's.
        reasoning_budget: Maximum number of reasoning tokens, for models that reason. Minimum: 1.
            Default: no maximum.
        seed: Seed of the random draws, an integer, or a list with one seed for each of the `n`
            choices. Default: random. Each choice returns its seed.
        stop: A string, or several, that end the answer and are excluded from it. Default: none.
        stream_options: Options of a stream: `{"include_usage": True}` adds a last event with token
            counts. Only for streams. Default: none.
        parse_reasoning: Whether to return reasoning in `reasoning_content`, apart from `content`.
            Default: set by the endpoint.
        include_reasoning: Whether to return parsed reasoning at all. Default: True.
        temperature: Sampling temperature, by which logits are divided. Minimum: 0.0 (greedy: the
            most likely token). Default: 1.0.
        tool_choice: Tool calling: "none", "auto", "required" (at least one call), or `{"type":
            "function", "function": {"name": ...}}` to force one function. Default: "auto". None is
            left out of the request.
        top_k: Number of the most likely tokens to sample from. Minimum: 0. Default: 0 (all tokens).
        top_logprobs: Number of the most likely tokens to return at each position, with their log
            probabilities. Range: 0 to 20. Default: 0. Requires `logprobs=True`.
        top_p: Nucleus sampling: the most likely tokens whose probabilities add up to at least
            `top_p` are kept. Range: greater than 0.0, at most 1.0. Default: 1.0 (off).
        xtc_threshold: Minimum probability of the tokens that XTC (Exclude Top Choices) excludes;
            the least likely of them stays. Range: 0.0 to 1.0. Default: 0.0 (off).
        xtc_probability: Probability that XTC (Exclude Top Choices) is applied at a position. Range:
            0.0 to 1.0. Default: 0.0 (off).
        tools: Functions that the model may call. Not together with `min_tokens` or
            `response_format`. Default: none.
        min_tokens: Minimum number of tokens to generate per choice. Range: 0 to `max_tokens`.
            Default: 0. Not together with `tools` or `response_format`.
        retries: Retries of this call; None disables them. Default: the client's.
        server_url: Base URL of the server for this call. Default: the client's.
        accept_header_override: Value of the `Accept` header. Default: `text/event-stream` for
            streams, else `application/json`.
        timeout_ms: Timeout of each of connect, read, write and pool, in milliseconds; greater than
            0. Default: the client's.
        deadline: Maximum duration of the call, in seconds, with connecting, retries, the waits
            between them, and the whole stream; of each request of `run_tools()`. Range: above 0, at
            most 1,000,000. Sent as the header `x-request-timeout`. Default: the client's. None sets
            no deadline.
        stall_timeout: Maximum time without content after the headers of the response, in seconds.
            Comments and empty events of a stream are not content; of a whole answer, every byte
            is. Range: above 0, at most 1,000,000. Default: the client's. None sets no limit.
        max_response_bytes: Maximum size of a whole answer after content decoding, in bytes.
            Minimum: 1. Default: the client's.
        http_headers: Headers to add or to replace, by case-insensitive name. Default: none.
        extra_body: Fields of the JSON body that are not arguments here; they override arguments of
            the same name. Default: none.
    """

    x_friendli_team: OptionalArgument[str]
    """ID of the team that makes the request, sent as the header `X-Friendli-Team`. Default: the
    client's. None sends no header.
    """
    chat_template_kwargs: OptionalArgument[Mapping[str, Any]]
    """Additional variables for the model's chat template, by name. Default: none."""
    eos_token: OptionalArgument[Iterable[int]]
    """Token ids that end the answer, in place of the model's own EOS ids. Default, and for an empty
    list: the model's own.
    """
    frequency_penalty: OptionalArgument[float]
    """Subtracted from a token's logit once for each occurrence in the output. Range: -2.0 to 2.0.
    Default: 0.0 (off).
    """
    logit_bias: OptionalArgument[Mapping[str, Any] | Mapping[int, Any]]
    """Values added to logits before sampling, by token id or by text that is exactly one token.
    Range: -100 to 100; -100 and False ban the token. Default: none.
    """
    logprobs: OptionalArgument[bool]
    """Whether to return the log probability (natural logarithm) of each output token. Default:
    False.
    """
    max_tokens: OptionalArgument[int]
    """Maximum number of tokens to generate per choice. Minimum: 1. Default: as many as the model's
    context length leaves.
    """
    min_p: OptionalArgument[float]
    """Minimum probability of a token as a fraction of the highest one; less likely tokens are
    excluded. Range: 0.0 to 1.0. Default: 0.0 (off).
    """
    n: OptionalArgument[int]
    """Number of choices to generate. Minimum: 1; the endpoint sets the maximum. Default: 1."""
    parallel_tool_calls: OptionalArgument[bool]
    """Whether one answer may contain several tool calls. Default: True."""
    presence_penalty: OptionalArgument[float]
    """Subtracted once from the logit of each token that occurs in the output. Range: -2.0 to 2.0.
    Default: 0.0 (off).
    """
    repetition_penalty: OptionalArgument[float]
    """Divides the positive logits, and multiplies the other logits, of tokens that occur in the
    prompt or the output. Range: greater than 0.0. Default: 1.0 (off).
    """
    reasoning_effort: OptionalArgument[ReasoningEffort]
    """Reasoning effort, for example "low" or "high", passed to the chat template of models that
    have such levels. Default: the template's.
    """
    reasoning_budget: OptionalArgument[int]
    """Maximum number of reasoning tokens, for models that reason. Minimum: 1. Default: no maximum.
    """
    seed: OptionalArgument[Seed]
    """Seed of the random draws, an integer, or a list with one seed for each of the `n` choices.
    Default: random. Each choice returns its seed.
    """
    stop: OptionalArgument[str | Iterable[str]]
    """A string, or several, that end the answer and are excluded from it. Default: none."""
    stream_options: OptionalArgument[StreamOptions | StreamOptionsTypedDict]
    """Options of a stream: `{"include_usage": True}` adds a last event with token counts. Only for
    streams. Default: none.
    """
    parse_reasoning: OptionalArgument[bool]
    """Whether to return reasoning in `reasoning_content`, apart from `content`. Default: set by the
    endpoint.
    """
    include_reasoning: OptionalArgument[bool]
    """Whether to return parsed reasoning at all. Default: True."""
    temperature: OptionalArgument[float]
    """Sampling temperature, by which logits are divided. Minimum: 0.0 (greedy: the most likely
    token). Default: 1.0.
    """
    tool_choice: OptionalArgument[ToolChoice | ToolChoiceTypedDict]
    """Tool calling: "none", "auto", "required" (at least one call), or `{"type": "function",
    "function": {"name": ...}}` to force one function. Default: "auto". None is left out of the
    request.
    """
    top_k: OptionalArgument[int]
    """Number of the most likely tokens to sample from. Minimum: 0. Default: 0 (all tokens)."""
    top_logprobs: OptionalArgument[int]
    """Number of the most likely tokens to return at each position, with their log probabilities.
    Range: 0 to 20. Default: 0. Requires `logprobs=True`.
    """
    top_p: OptionalArgument[float]
    """Nucleus sampling: the most likely tokens whose probabilities add up to at least `top_p` are
    kept. Range: greater than 0.0, at most 1.0. Default: 1.0 (off).
    """
    xtc_threshold: OptionalArgument[float]
    """Minimum probability of the tokens that XTC (Exclude Top Choices) excludes; the least likely
    of them stays. Range: 0.0 to 1.0. Default: 0.0 (off).
    """
    xtc_probability: OptionalArgument[float]
    """Probability that XTC (Exclude Top Choices) is applied at a position. Range: 0.0 to 1.0.
    Default: 0.0 (off).
    """
    tools: OptionalArgument[Iterable[Tool | ToolTypedDict]]
    """Functions that the model may call. Not together with `min_tokens` or `response_format`.
    Default: none.
    """
    min_tokens: OptionalArgument[int]
    """Minimum number of tokens to generate per choice. Range: 0 to `max_tokens`. Default: 0. Not
    together with `tools` or `response_format`.
    """
    retries: OptionalArgument[RetryConfig]
    """Retries of this call; None disables them. Default: the client's."""
    server_url: Argument[str] | None
    """Base URL of the server for this call. Default: the client's."""
    accept_header_override: Any
    """Value of the `Accept` header. Default: `text/event-stream` for streams, else
    `application/json`.
    """
    timeout_ms: Argument[int] | None
    """Timeout of each of connect, read, write and pool, in milliseconds; greater than 0. Default:
    the client's.
    """
    deadline: OptionalArgument[float]
    """Maximum duration of the call, in seconds, with connecting, retries, the waits between them,
    and the whole stream; of each request of `run_tools()`. Range: above 0, at most 1,000,000. Sent
    as the header `x-request-timeout`. Default: the client's. None sets no deadline.
    """
    stall_timeout: OptionalArgument[float]
    """Maximum time without content after the headers of the response, in seconds. Comments and
    empty events of a stream are not content; of a whole answer, every byte is. Range: above 0, at
    most 1,000,000. Default: the client's. None sets no limit.
    """
    max_response_bytes: Argument[int] | None
    """Maximum size of a whole answer after content decoding, in bytes. Minimum: 1. Default: the
    client's.
    """
    http_headers: Argument[Mapping[str, str]] | None
    """Headers to add or to replace, by case-insensitive name. Default: none."""
    extra_body: Argument[Mapping[str, Any]] | None
    """Fields of the JSON body that are not arguments here; they override arguments of the same
    name. Default: none.
    """


_OPTION_DEFAULTS: Final[dict[str, Any]] = {
    "x_friendli_team": UNSET,
    "retries": UNSET,
    "server_url": None,
    "accept_header_override": None,
    "timeout_ms": None,
    "deadline": UNSET,
    "stall_timeout": UNSET,
    "max_response_bytes": None,
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


def request_of(method: str, options: Options, arguments: dict[str, Any]) -> Request:
    """Build the request for the arguments of `method`.

    Raises:
        TypeError: An argument is missing or unknown.
        pydantic.ValidationError: An argument of the body has the wrong type.
        ValueError: An argument cannot be sent, or has an invalid value.
    """
    return Request.of(method, options, _sort(method, arguments))


_OTHER_NAMES: Final = {
    "base_url": "server_url",
    "extra_headers": "http_headers",
    "functions": "tools",
    "function_call": "tool_choice",
    "headers": "http_headers",
    "max_retries": "retries",
    "repeat_penalty": "repetition_penalty",
    "timeout": "timeout_ms",
}
"""Names of arguments in the clients of other servers."""


def _suggestion(unknown: str) -> str:
    from difflib import get_close_matches

    similar = _OTHER_NAMES.get(unknown) or next(iter(get_close_matches(unknown, _NAMES, 1)), None)
    if similar is not None:
        return f"did you mean {similar!r}?"
    return "pass a field of the body that is not an argument in `extra_body={...}`"


def _sort(method: str, arguments: dict[str, Any]) -> Arguments:
    for name in _REQUIRED:
        if name not in arguments:
            raise TypeError(f"{method}() missing required keyword-only argument: {name!r}")
    if not arguments.keys() <= _NAMES:
        unknown = sorted(arguments.keys() - _NAMES)[0]
        raise TypeError(
            f"{method}() got an unexpected keyword argument {unknown!r}; {_suggestion(unknown)}"
        )
    options = CallOptions()
    for name in _OPTION_DEFAULTS:
        if name in arguments:
            setattr(options, name, arguments.pop(name))
    return Arguments(body=arguments, options=options, extra_body=arguments.pop("extra_body", None))


F = TypeVar("F", bound=Callable[..., Any])

_PLACEHOLDER: Final = "**params: See `ChatParams`.\n"
"""Entry of a docstring's `Args:` that `help()` shows as all entries of `ChatParams`."""


def documented(function: F) -> F:
    """Set the signature and the `Args:` that `help()` shows for a chat method."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = {
        "model": "str",
        "messages": "Iterable[Message | MessageTypedDict | ChatChoiceMessage]",
        "stream": "OptionalNullable[bool]",
        "response_format": "ResponseFormat | ResponseFormatTypedDict | type | Unset | None",
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
    return with_params(function)


def also_documents(raw: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a documented method whose arguments the method `raw` takes, too.

    `help()` of `raw` shows the signature and the `Args:` of the decorated method.
    """

    def decorate(method: F) -> F:
        raw.__signature__ = method.__signature__  # type: ignore[attr-defined]
        if raw.__doc__ and method.__doc__:
            entries = method.__doc__.partition("Args:\n")[2].partition("\n\n")[0]
            head, _, tail = raw.__doc__.partition("Args:\n")
            _, _, rest = tail.partition("\n\n")
            raw.__doc__ = f"{head}Args:\n{entries}\n\n{rest}"
        return method

    return decorate


def with_params(function: F) -> F:
    """Replace the entry `**params` of a docstring's `Args:` by the entries of `ChatParams`.

    Plain string operations: this runs at import.
    """
    # Python -OO leaves no docstrings; Python 3.13 and later strip their indentation.
    if function.__doc__ and ChatParams.__doc__:
        head, _, tail = function.__doc__.partition(_PLACEHOLDER)
        entries = ChatParams.__doc__.partition("Attributes:\n")[2].rstrip()
        own = entries[: len(entries) - len(entries.lstrip())]
        wanted = head[head.rindex("\n") :]
        function.__doc__ = head + entries.lstrip().replace(f"\n{own}", wanted) + "\n" + tail
    return function


def _text(hint: Any) -> str:
    return getattr(hint, "__forward_arg__", None) or str(hint)
