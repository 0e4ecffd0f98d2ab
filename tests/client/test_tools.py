from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pydantic
import pytest

import friendli
from friendli import AsyncFriendli, SyncFriendli
from friendli._tools import FunctionTool

from .wire import MESSAGES, Serve, completion, json_answer


class Place(pydantic.BaseModel):
    city: str


def weather(
    place: Place,
    unit: Literal["C", "F"] = "C",
    days: Annotated[int, pydantic.Field(ge=1, description="days ahead")] = 1,
) -> dict[str, Any]:
    """Tell the weather."""
    return {"city": place.city, "unit": unit, "days": days}


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


class Desk:
    """A desk."""

    def __call__(self, day: int) -> str:
        """Answer by phone."""
        return "open"

    def ask(self, day: int) -> str:
        """Ask at the desk."""
        return "open"

    @classmethod
    def open_on(cls, day: int) -> bool:
        return day < 6

    @staticmethod
    def is_weekend(day: int) -> bool:
        return day > 5


def bare(x) -> None:  # type: ignore[no-untyped-def]
    pass


def many(*xs: int) -> None:
    pass


def positional(x: int, /) -> None:
    pass


def unresolved(x: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
    pass


def counted(x: int) -> Iterator[int]:
    yield x


def callback(x: Callable[[], int]) -> None:
    pass


def calls(*named: tuple[str, Any], finish: str = "tool_calls") -> bytes:
    raw = completion(None)
    raw["choices"][0]["finish_reason"] = finish
    raw["choices"][0]["message"]["tool_calls"] = [
        {
            "id": f"c{index}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for index, (name, arguments) in enumerate(named)
    ]
    return json_answer(raw)


def run(url: str, functions: list[Callable[..., Any]], **arguments: Any) -> Any:
    with SyncFriendli("t", server_url=url) as client:
        return client.dedicated.chat.run_tools(
            model="e", messages=MESSAGES, functions=functions, **arguments
        )


class TestSchema:
    def test_definition_of_a_function(self) -> None:
        definition = FunctionTool(weather).definition()
        assert definition["type"] == "function"
        assert definition["function"]["name"] == "weather"
        assert definition["function"]["description"] == "Tell the weather."
        schema = definition["function"]["parameters"]
        assert schema["required"] == ["place"]
        assert schema["additionalProperties"] is False
        assert schema["properties"]["unit"]["enum"] == ["C", "F"]
        assert schema["properties"]["days"]["description"] == "days ahead"
        assert schema["properties"]["days"]["minimum"] == 1

    @pytest.mark.parametrize(
        ("function", "name", "offered", "description"),
        [
            (
                functools.partial(weather, unit="F"),
                "weather",
                {"place", "days"},
                "Tell the weather.",
            ),
            (functools.partial(weather, Place(city="Oslo")), "weather", {"unit", "days"}, "Tell"),
            (
                functools.partial(functools.partial(weather, days=1), unit="C"),
                "weather",
                {"place"},
                "",
            ),
            (functools.lru_cache(weather), "weather", {"place", "unit", "days"}, "Tell"),
            (wrapped(weather), "weather", {"place", "unit", "days"}, "Tell the weather."),
            (Desk(), "Desk", {"day"}, "Answer by phone."),
            (Desk().ask, "ask", {"day"}, "Ask at the desk."),
            (Desk.open_on, "open_on", {"day"}, ""),
            (Desk.is_weekend, "is_weekend", {"day"}, ""),
        ],
    )
    def test_every_kind_of_callable_is_a_tool(
        self, function: Callable[..., Any], name: str, offered: set[str], description: str
    ) -> None:
        definition = FunctionTool(function).definition()["function"]
        assert definition["name"] == name
        assert set(definition["parameters"]["properties"]) == offered
        assert definition.get("description", "").startswith(description)
        assert ("description" in definition) is bool(description or "weather" in name)

    @pytest.mark.parametrize(
        ("function", "reason"),
        [
            (5, "of type int, not a function"),
            (None, "of type NoneType"),
            ("weather", "of type str"),
            (Place, "it is a class"),
            (lambda x: x, "needs a name"),
            (bare, "parameter 'x' needs a type annotation"),
            (Desk.ask, "pass a bound method"),
            (many, "by name, and '\\*xs' has none"),
            (positional, "by name, and 'x' has none"),
            (unresolved, "cannot be resolved: name 'Missing'"),
            (counted, "it is a generator"),
            (callback, "cannot be a tool: Cannot generate a JsonSchema"),
            (print, "cannot be a tool"),
        ],
    )
    def test_what_cannot_be_a_tool_is_a_type_error_before_anything_is_sent(
        self, function: Any, reason: str
    ) -> None:
        with pytest.raises(TypeError, match=reason):
            run("http://127.0.0.1:9", [weather, function], retries=None)

    def test_async_functions_need_an_async_client(self) -> None:
        async def late(day: int) -> int:
            return day

        for function in (late, functools.partial(late, day=1)):
            with pytest.raises(TypeError, match=r"late\(\) is async; use AsyncFriendli"):
                run("http://127.0.0.1:9", [function], retries=None)

    def test_a_coroutine_that_a_sync_client_gets_is_a_type_error(self, serve: Serve) -> None:
        async def late(day: int) -> int:
            return day

        def early(day: int) -> Any:
            return late(day)

        server = serve(calls(("early", {"day": 1})), json_answer(completion()))
        with pytest.raises(TypeError, match="is async; use AsyncFriendli"):
            run(server.url, [early])

    def test_bound_arguments_are_passed(self, serve: Serve) -> None:
        place = functools.partial(weather, Place(city="Oslo"), unit="F")
        server = serve(calls(("weather", {"days": 2})), json_answer(completion()))
        run(server.url, [place])
        answer = json.loads(server.requests[1].json["messages"][-1]["content"])
        assert answer == {"city": "Oslo", "unit": "F", "days": 2}


class TestLoop:
    def test_loop_ends_when_the_model_answers(self, serve: Serve) -> None:
        server = serve(
            calls(("weather", {"place": {"city": "Seoul"}}), ("weather", {"place": {"city": "B"}})),
            json_answer(completion("Sunny.")),
        )
        run_result = run(server.url, [weather], tool_choice="required", max_tokens=9)
        assert (run_result.text, run_result.rounds) == ("Sunny.", 2)
        first, second = (request.json for request in server.requests)
        assert first["tools"] == [FunctionTool(weather).definition()]
        assert first["tool_choice"] == "required" and "tool_choice" not in second
        assert second["max_tokens"] == 9
        assert [m["role"] for m in second["messages"]] == ["user", "assistant", "tool", "tool"]
        assert second["messages"][2] == {
            "role": "tool",
            "tool_call_id": "c0",
            "content": '{"city":"Seoul","unit":"C","days":1}',
        }
        assert len(run_result.messages) == 5 and len(MESSAGES) == 1

    def test_invalid_calls_are_reported_to_the_model(self, serve: Serve) -> None:
        server = serve(
            calls(("unknown", {}), ("weather", {"days": 0}), ("weather", "{")),
            json_answer(completion("Sorry.")),
        )
        assert run(server.url, [weather]).text == "Sorry."
        contents = [m["content"] for m in server.requests[1].json["messages"][2:]]
        assert contents[0] == "error: there is no function 'unknown'"
        assert "place" in contents[1] and "Field required" in contents[1]
        assert contents[2].startswith("error: ") and "Invalid JSON" in contents[2]

    def test_max_rounds_raises_tool_loop_error(self, serve: Serve) -> None:
        server = serve(calls(("weather", {"place": {"city": "Seoul"}})))
        with pytest.raises(friendli.ToolLoopError, match="after 3 requests") as caught:
            run(server.url, [weather], max_rounds=3)
        assert len(server.requests) == 3
        assert len(caught.value.messages) == 1 + 3 * 2

    def test_truncated_answer_ends_the_loop(self, serve: Serve) -> None:
        server = serve(calls(("weather", '{"pla'), finish="length"))
        assert run(server.url, [weather]).completion.choices[0].finish_reason == "length"

    def test_exceptions_of_functions_propagate(self, serve: Serve) -> None:
        def breaks() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run(serve(calls(("breaks", {}))).url, [breaks])

    def test_invalid_arguments_raise_value_error(self) -> None:
        for arguments in ({"n": 2}, {"max_rounds": 0}):
            with pytest.raises(ValueError):
                run("http://127.0.0.1:9", [weather], **arguments)
        with pytest.raises(ValueError, match="share a name"):
            run("http://127.0.0.1:9", [weather, weather])

    def test_async_functions_run_concurrently(self, serve: Serve) -> None:
        server = serve(calls(("left", {}), ("right", {}), ("plain", {})), json_answer(completion()))

        async def main() -> Any:
            met = asyncio.Barrier(2)

            async def left() -> str:
                await met.wait()
                return "l"

            async def right() -> str:
                await met.wait()
                return "r"

            def plain() -> int:
                return 1

            async with AsyncFriendli("t", server_url=server.url) as client:
                return await client.dedicated.chat.run_tools(
                    model="e", messages=MESSAGES, functions=[left, right, plain]
                )

        run_result = asyncio.run(main())
        assert [m["content"] for m in run_result.messages[2:5]] == ["l", "r", "1"]


@pytest.mark.parametrize("depth", [201, 100_000])
def test_deeply_nested_arguments_are_reported_to_the_model(serve: Serve, depth: int) -> None:
    def count(items: list[Any]) -> int:
        """Count items."""
        return len(items)

    nested = '{"items": ' + "[" * depth + "]" * depth + "}"
    server = serve(calls(("count", nested)), json_answer(completion("Sorry.")))
    assert run(server.url, [count]).text == "Sorry."
    assert "recursion limit" in server.requests[1].json["messages"][-1]["content"]
