"""Program that type checkers must accept, with the types they must infer."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import pydantic

from friendli import (
    UNSET,
    AsyncFriendli,
    ChatParams,
    EventStream,
    EventStreamAsync,
    ParsedCompletion,
    RawResponse,
    SyncFriendli,
    ToolRun,
    models,
)
from friendli.utils import BackoffStrategy, RetryConfig


class Weather(pydantic.BaseModel):
    city: str


def weather(city: str) -> Weather:
    return Weather(city=city)


def reference_page() -> None:
    with SyncFriendli(token=os.getenv("FRIENDLI_TOKEN", "")) as friendli:
        res = friendli.dedicated.chat.complete(
            model="(endpoint-id)",
            messages=[
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Hello!"},
            ],
            max_tokens=200,
        )
        assert_type(res, models.ContainerChatCompleteSuccess)
        assert_type(res.usage.total_tokens, int)
        assert_type(res.choices[0].message.role, str)
        assert_type(res.request_id, str | None)
        stream = friendli.dedicated.chat.stream(
            model="(endpoint-id)", messages=[{"role": "user", "content": "Hello!"}], max_tokens=200
        )
        assert_type(stream, EventStream[models.ContainerChatCompletionStreamSuccess])
        with stream as event_stream:
            for event in event_stream:
                assert_type(event.data.choices[0].delta, models.StreamedChatChoiceDelta)
        assert_type(stream.text_deltas, Iterator[str])
        assert_type(stream.get_final_completion(), models.ContainerChatCompleteSuccess)


def overloads(client: SyncFriendli, flag: bool) -> None:
    chat = client.dedicated.chat
    messages: list[models.UserMessage] = [models.UserMessage(content="Hi")]
    assert_type(
        chat.complete(model="e", messages=messages, stream=True),
        EventStream[models.ContainerChatCompletionStreamSuccess],
    )
    assert_type(
        chat.complete(model="e", messages=messages, stream=False),
        models.ContainerChatCompleteSuccess,
    )
    assert_type(
        chat.complete(model="e", messages=messages, stream=flag),
        models.ContainerChatCompleteSuccess
        | EventStream[models.ContainerChatCompletionStreamSuccess],
    )
    parsed = chat.complete(model="e", messages=messages, response_format=Weather)
    assert_type(parsed, ParsedCompletion[Weather])
    assert_type(parsed.parsed, Weather)
    done = chat.run_tools(model="e", messages=messages, functions=[weather], max_rounds=3)
    assert_type(done, ToolRun)
    assert_type(done.text, str)
    assert_type(done.completion, models.ContainerChatCompleteSuccess)
    params: ChatParams = {"temperature": 0.5, "stop": ["x"]}
    assert_type(
        chat.stream(model="e", messages=messages, **params),
        EventStream[models.ContainerChatCompletionStreamSuccess],
    )
    raw = chat.with_raw_response.complete(model="e", messages=messages)
    assert_type(raw.status_code, int)
    _: RawResponse[models.ContainerChatCompleteSuccess] = raw


def everything(client: SyncFriendli) -> None:
    answer = client.dedicated.chat.complete(
        model="e",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "data:", "detail": "low"}},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "content": "1", "tool_call_id": "c"},
            models.SystemMessage(content="x"),
        ],
        x_friendli_team=UNSET,
        eos_token=[2],
        logit_bias={"5": -100},
        seed=[1, 2],
        stop="x",
        stream_options={"include_usage": True},
        temperature=0.5,
        tool_choice={"type": "function", "function": {"name": "f"}},
        tools=[{"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}],
        response_format={"type": "json_schema", "json_schema": {"schema": {}}},
        reasoning_effort="low",
        retries=RetryConfig("backoff", BackoffStrategy(1, 2, 1.5, 3), True),
        timeout_ms=5000,
        http_headers={"x": "y"},
        extra_body={"next": 1},
    )
    again = client.with_options(timeout_ms=1, retries=None).dedicated.chat.complete(
        model="e", messages=[answer.choices[0].message]
    )
    calls = again.choices[0].message.tool_calls
    if calls:
        assert_type(calls[0].function.arguments, str)
    if again.choices[0].finish_reason == "length":
        print(models.UserMessage(content="x").role)


async def in_a_loop(client: AsyncFriendli) -> None:
    chat = client.dedicated.chat
    answer = await chat.complete(model="e", messages=[{"role": "user", "content": "Hi"}])
    assert_type(answer, models.ContainerChatCompleteSuccess)
    stream = await chat.stream(model="e", messages=[{"role": "user", "content": "Hi"}])
    assert_type(stream, EventStreamAsync[models.ContainerChatCompletionStreamSuccess])
    assert_type(stream.text_deltas, AsyncIterator[str])
    async with stream as events:
        async for event in events:
            assert_type(event, models.ContainerChatCompletionStreamSuccess)
    parsed = await chat.complete(
        model="e", messages=[{"role": "user", "content": "Hi"}], response_format=Weather
    )
    assert_type(parsed.parsed, Weather)
    assert_type(
        await chat.complete(model="e", messages=[{"role": "user", "content": "Hi"}], stream=True),
        EventStreamAsync[models.ContainerChatCompletionStreamSuccess],
    )
