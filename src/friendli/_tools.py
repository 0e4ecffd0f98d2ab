"""Python functions as tools of the model: JSON Schemas from signatures, and the tool-call loop.

The loop is a generator without I/O, like the exchange: it yields `Complete` (request a completion)
and `CallFunctions` (call functions), so sync and async programs share it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pydantic
from pydantic_core import to_json

from friendli._answer_schema import argument_schema
from friendli._errors import ToolLoopError
from friendli._signature import CallSignature
from friendli._transport.loop import gather
from friendli.models.completion import ChatChoiceMessage, ContainerChatCompleteSuccess


class FunctionTool:
    """A Python function and its tool definition.

    Args:
        function: A function, a bound method, a `functools.partial`, or an object with `__call__`.
            Its parameters need type annotations; parameters that a partial has bound are not
            offered. Its docstring becomes the description of the tool,
            `Annotated[..., pydantic.Field(description=...)]` that of a parameter. It may be async
            if the client is.

    Raises:
        TypeError: The object cannot be a tool; says why.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        signature = CallSignature(function)
        self.function = function
        self.name: str = signature.name
        self.is_async = signature.is_async
        self._description = signature.description
        try:
            self._arguments = pydantic.TypeAdapter(signature.arguments_type())
            self._schema = argument_schema(self._arguments)
        except pydantic.PydanticUserError as error:
            reason = str(error).partition("\n")[0]
            raise TypeError(f"{self.name}() cannot be a tool: {reason}") from None
        self._schema.pop("title", None)

    def definition(self) -> dict[str, Any]:
        """Return the tool definition, as in the field `tools` of a request."""
        described: dict[str, Any] = {"name": self.name, "parameters": self._schema}
        if self._description:
            described["description"] = self._description
        return {"type": "function", "function": described}

    def arguments(self, text: str) -> dict[str, Any]:
        """Parse the arguments of a call, JSON text.

        Raises:
            pydantic.ValidationError: The arguments do not match the signature.
        """
        return dict(self._arguments.validate_json(text or "{}"))


@dataclass(slots=True)
class ToolRun:
    """Result of `run_tools()`.

    Attributes:
        completion: The last answer.
        messages: The whole conversation as request messages, the last answer included.
        rounds: Number of requests.
    """

    completion: ContainerChatCompleteSuccess
    messages: list[Any]
    rounds: int

    @property
    def text(self) -> str:
        """Content of the last answer; empty if it has none."""
        return self.completion.choices[0].message.content or ""


@dataclass(frozen=True, slots=True)
class Complete:
    """Step of a tool loop: call `complete()` with `params` and send back the completion."""

    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallFunctions:
    """Step of a tool loop: call the functions and send back their results, in order."""

    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = field(default_factory=list)


ToolLoop: TypeAlias = Generator[Complete | CallFunctions, Any, ToolRun]


def tool_loop(
    functions: Sequence[Callable[..., Any]],
    max_rounds: int,
    params: dict[str, Any],
    *,
    allow_async: bool = True,
) -> ToolLoop:
    """Request completions and call the requested functions until the model answers.

    A call of an unknown function, or with invalid arguments, is answered with an error message to
    the model. An exception of a function propagates. `tool_choice` is sent with the first request
    only.

    Args:
        functions: Functions that the model may call.
        max_rounds: Maximum number of requests; at least 1.
        params: Arguments of `complete()`.
        allow_async: Whether async functions can be awaited.

    Raises:
        ToolLoopError: The model still called functions in the last round.
        TypeError: A function cannot be a tool, or is async without `allow_async`.
        ValueError: `n` is above 1, `max_rounds` is below 1, or two functions share a name.
    """
    if max_rounds < 1:
        raise ValueError(f"`max_rounds` must be at least 1, got {max_rounds}")
    if (params.get("n") or 1) > 1:
        raise ValueError(f"`n` must be 1 in run_tools(), got {params['n']}")
    tools = {tool.name: tool for tool in map(FunctionTool, functions)}
    for tool in tools.values():
        if tool.is_async and not allow_async:
            raise TypeError(f"{tool.name}() is async; use AsyncFriendli to run it")
    if len(tools) < len(functions):
        raise ValueError("two functions in `functions` share a name")
    messages = list(params["messages"])
    offered = [*(params.get("tools") or ()), *(tool.definition() for tool in tools.values())]
    params = {**params, "tools": offered}
    for rounds in range(1, max_rounds + 1):
        completion: ContainerChatCompleteSuccess = yield Complete({**params, "messages": messages})
        choice = completion.choices[0]
        messages = [*messages, choice.message]
        if not choice.message.tool_calls or choice.finish_reason == "length":
            return ToolRun(completion, messages, rounds)
        messages += yield from _answer_calls(tools, choice.message)
        params.pop("tool_choice", None)
    raise ToolLoopError(
        f"the model still called functions after {max_rounds} requests; increase `max_rounds`",
        messages,
    )


def _answer_calls(
    tools: dict[str, FunctionTool], message: ChatChoiceMessage
) -> Generator[CallFunctions, list[Any], list[dict[str, Any]]]:
    contents: dict[int, str] = {}
    step = CallFunctions()
    indices = []
    calls = message.tool_calls or []
    for index, call in enumerate(calls):
        tool = tools.get(call.function.name)
        if tool is None:
            contents[index] = f"error: there is no function {call.function.name!r}"
            continue
        try:
            arguments = tool.arguments(call.function.arguments)
        except pydantic.ValidationError as error:
            contents[index] = f"error: {error}"
            continue
        step.calls.append((tool.function, arguments))
        indices.append(index)
    if step.calls:
        results = yield step
        contents |= {
            index: _as_text(result) for index, result in zip(indices, results, strict=True)
        }
    return [
        {"role": "tool", "tool_call_id": call.id, "content": contents[index]}
        for index, call in enumerate(calls)
    ]


def _as_text(result: Any) -> str:
    return result if isinstance(result, str) else to_json(result, fallback=str).decode()


def drive_tools(loop: ToolLoop, complete: Callable[..., Any]) -> ToolRun:
    """Run a tool loop on a sync `complete`."""
    try:
        step = next(loop)
        while True:
            if isinstance(step, Complete):
                step = loop.send(complete(**step.params))
            else:
                step = loop.send([_called(*call) for call in step.calls])
    except StopIteration as end:
        run: ToolRun = end.value
        return run


def _called(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Return the result of a function of a sync client.

    Raises:
        TypeError: The result must be awaited.
    """
    result = function(**arguments)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()  # it would warn that it was never awaited
        raise TypeError(f"{function!r} is async; use AsyncFriendli to run it")
    return result


async def drive_tools_async(loop: ToolLoop, complete: Callable[..., Any]) -> ToolRun:
    """Run a tool loop on an async `complete`; async functions of one round run concurrently."""
    try:
        step = next(loop)
        while True:
            if isinstance(step, Complete):
                step = loop.send(await complete(**step.params))
            else:
                results = (function(**arguments) for function, arguments in step.calls)
                step = loop.send(await gather(map(_awaited, results)))
    except StopIteration as end:
        run: ToolRun = end.value
        return run


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result
