"""Functions of the program as tools of the model: schemas from signatures, and the loop of calls.

The loop is an I/O-free generator like the exchange: it yields `Ask` (send the conversation) and
`Run` (call functions), so sync and async programs share it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypeAlias, get_type_hints

import pydantic
from pydantic_core import to_json
from typing_extensions import TypedDict

from friendli._errors import ToolLoopError
from friendli.models.completion import ChatChoiceMessage, ContainerChatCompleteSuccess

MAX_ROUNDS = 10
"""Default bound on the requests of one `run_tools()`."""


class FunctionTool:
    """A function, and its description for the model.

    Args:
        function: Its parameters need type annotations; its docstring tells the model what it does;
            `Annotated[..., pydantic.Field(description=...)]` tells it of a parameter. It may be
            async where the client is.

    Raises:
        TypeError: The signature cannot be described.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name: str = function.__name__
        self._arguments = pydantic.TypeAdapter(_arguments_type(function))

    def definition(self) -> dict[str, Any]:
        """Give the tool as a request carries it."""
        schema = self._arguments.json_schema()
        schema.pop("title", None)
        described = {"name": self.name, "parameters": schema}
        text = inspect.getdoc(self.function)
        if text:
            described["description"] = text
        return {"type": "function", "function": described}

    def arguments(self, text: str) -> dict[str, Any]:
        """Read the arguments of a call.

        Raises:
            pydantic.ValidationError: They do not fit the signature.
        """
        return dict(self._arguments.validate_json(text or "{}"))


def _arguments_type(function: Callable[..., Any]) -> Any:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{function.__name__}() has {parameter}, which has no JSON Schema")
        if name not in hints:
            raise TypeError(f"parameter {name!r} of {function.__name__}() needs a type annotation")
        hint = hints[name]
        fields[name] = hint if parameter.default is parameter.empty else NotRequired[hint]
    kind = TypedDict(function.__name__, fields)  # type: ignore[misc]
    kind.__pydantic_config__ = pydantic.ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    return kind


@dataclass(slots=True)
class ToolRun:
    """Result of a conversation in which the model could call functions.

    Attributes:
        completion: The last answer.
        messages: The whole conversation, ready to be continued.
        rounds: How many requests it took.
    """

    completion: ContainerChatCompleteSuccess
    messages: list[Any]
    rounds: int

    @property
    def text(self) -> str:
        """The content of the last answer."""
        return self.completion.choices[0].message.content or ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send these arguments; gives the completion."""

    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """Call these functions, in order; gives their results."""

    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = field(default_factory=list)


Loop: TypeAlias = Generator[Ask | Run, Any, ToolRun]


def tool_loop(
    functions: Sequence[Callable[..., Any]], max_rounds: int, params: dict[str, Any]
) -> Loop:
    """Ask, call what the model wants called, and ask again, until it answers.

    A call of an unknown function, or with arguments that do not fit, is told to the model. What a
    function raises goes to the program. A forced `tool_choice` holds for the first request only.

    Args:
        functions: What the model may call.
        max_rounds: Most requests; >= 1.
        params: The arguments of `complete()`.

    Raises:
        ToolLoopError: The model still called functions in the last round.
        ValueError: `n` is above 1, `max_rounds` below 1, or two functions share a name.
    """
    if max_rounds < 1:
        raise ValueError(f"max_rounds must be at least 1, not {max_rounds}")
    if (params.get("n") or 1) > 1:
        raise ValueError("run_tools() follows one choice; n must be 1")
    tools = {tool.name: tool for tool in map(FunctionTool, functions)}
    if len(tools) < len(functions):
        raise ValueError("two functions share a name")
    messages = list(params["messages"])
    offered = [*(params.get("tools") or ()), *(tool.definition() for tool in tools.values())]
    params = {**params, "tools": offered}
    for done in range(1, max_rounds + 1):
        completion: ContainerChatCompleteSuccess = yield Ask({**params, "messages": messages})
        choice = completion.choices[0]
        messages = [*messages, choice.message]
        if not choice.message.tool_calls or choice.finish_reason == "length":
            return ToolRun(completion, messages, done)
        messages += yield from _answer_calls(tools, choice.message)
        params.pop("tool_choice", None)
    raise ToolLoopError(
        f"the model still called functions after {max_rounds} requests; raise max_rounds=", messages
    )


def _answer_calls(
    tools: dict[str, FunctionTool], message: ChatChoiceMessage
) -> Generator[Run, list[Any], list[dict[str, Any]]]:
    said: dict[int, str] = {}
    run = Run()
    places = []
    calls = message.tool_calls or []
    for place, call in enumerate(calls):
        tool = tools.get(call.function.name)
        if tool is None:
            said[place] = f"error: there is no function {call.function.name!r}"
            continue
        try:
            arguments = tool.arguments(call.function.arguments)
        except pydantic.ValidationError as error:
            said[place] = f"error: {error}"
            continue
        run.calls.append((tool.function, arguments))
        places.append(place)
    if run.calls:
        results = yield run
        said |= {place: _as_text(result) for place, result in zip(places, results, strict=True)}
    return [
        {"role": "tool", "tool_call_id": call.id, "content": said[place]}
        for place, call in enumerate(calls)
    ]


def _as_text(result: Any) -> str:
    return result if isinstance(result, str) else to_json(result, fallback=str).decode()


def drive_tools(loop: Loop, complete: Callable[..., Any]) -> ToolRun:
    """Run a loop on a sync `complete`."""
    try:
        step = next(loop)
        while True:
            if isinstance(step, Ask):
                step = loop.send(complete(**step.params))
            else:
                step = loop.send([function(**given) for function, given in step.calls])
    except StopIteration as end:
        run: ToolRun = end.value
        return run


async def drive_tools_async(loop: Loop, complete: Callable[..., Any]) -> ToolRun:
    """Run a loop on an async `complete`; async functions of one round run side by side."""
    import asyncio

    try:
        step = next(loop)
        while True:
            if isinstance(step, Ask):
                step = loop.send(await complete(**step.params))
            else:
                results = (function(**given) for function, given in step.calls)
                step = loop.send(await asyncio.gather(*map(_settled, results)))
    except StopIteration as end:
        run: ToolRun = end.value
        return run


async def _settled(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result
