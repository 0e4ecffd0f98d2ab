from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
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

    def test_signatures_without_a_json_schema_are_rejected(self) -> None:
        def bare(x) -> None:  # type: ignore[no-untyped-def]
            pass

        def many(*xs: int) -> None:
            pass

        with pytest.raises(TypeError, match=r"parameter 'x' of bare\(\) needs a type annotation"):
            FunctionTool(bare)
        with pytest.raises(TypeError, match="no JSON Schema"):
            FunctionTool(many)


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
