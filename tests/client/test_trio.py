"""An async client under trio: one run after another, tools, cancelled and dropped streams.

The tests with the fixture `caller` run under trio too.
"""

from __future__ import annotations

import gc

import trio

from friendli import AsyncFriendli

from .wire import (
    MESSAGES,
    Peer,
    Serve,
    chunk,
    chunked,
    completion,
    event,
    json_answer,
    stream_answer,
    stream_head,
    words,
)


def endless(peer: Peer) -> None:
    peer.send(stream_head() + chunked(event(chunk({"content": "a"}))) * 3)
    peer.wait_for_disconnect()


def test_one_client_serves_several_runs_and_reuses_connections_within_each(serve: Serve) -> None:
    server = serve(json_answer(completion()))
    client = AsyncFriendli("t", server_url=server.url)

    async def main() -> None:
        for _ in range(2):
            await client.dedicated.chat.complete(model="e", messages=MESSAGES)

    for _ in range(3):
        trio.run(main)
    assert (len(server.requests), server.connections) == (6, 3)
    assert len(client._http._clients) == 1


def test_a_run_of_asyncio_and_one_of_trio_share_a_client(serve: Serve) -> None:
    import asyncio

    server = serve(json_answer(completion()))
    client = AsyncFriendli("t", server_url=server.url)

    async def main() -> None:
        await client.dedicated.chat.complete(model="e", messages=MESSAGES)

    asyncio.run(main())
    trio.run(main)
    asyncio.run(main())
    assert (len(server.requests), server.connections) == (3, 3)


def test_functions_of_one_round_run_concurrently(serve: Serve) -> None:
    call = {"type": "function", "function": {"name": "meet", "arguments": "{}"}}
    first = completion("")
    first["choices"][0]["message"]["tool_calls"] = [{**call, "id": "1"}, {**call, "id": "2"}]
    first["choices"][0]["finish_reason"] = "tool_calls"
    server = serve(json_answer(first), json_answer(completion("done")))
    arrived: list[trio.Event] = []

    async def meet() -> str:
        event = trio.Event()
        arrived.append(event)
        if len(arrived) == 2:
            arrived[0].set()
        else:
            await event.wait()
        return "met"

    async def main() -> str:
        async with AsyncFriendli("t", server_url=server.url) as client:
            with trio.fail_after(10):
                run = await client.dedicated.chat.run_tools(
                    functions=[meet], model="e", messages=MESSAGES
                )
        return str(run.completion.choices[0].message.content)

    assert trio.run(main) == "done"
    contents = [m["content"] for m in server.requests[1].json["messages"] if m["role"] == "tool"]
    assert contents == ["met", "met"]


def test_cancelled_and_dropped_streams_release_their_connections(serve: Serve) -> None:
    server = serve(endless)

    async def main() -> None:
        async with AsyncFriendli("t", server_url=server.url) as client:
            with trio.move_on_after(0.05) as scope:
                async for _ in await client.dedicated.chat.stream(model="e", messages=MESSAGES):
                    pass
            assert scope.cancelled_caught
            stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
            await anext(stream)
            del stream
            gc.collect()
            with trio.fail_after(10):
                await trio.to_thread.run_sync(server.join)

    trio.run(main)
    assert server._threads == []


def test_streams_that_are_read_to_the_end_reuse_the_connection(serve: Serve) -> None:
    server = serve(stream_answer(words("a")))

    async def main() -> None:
        async with AsyncFriendli("t", server_url=server.url) as client:
            for _ in range(3):
                stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                assert [text async for text in stream.text_deltas] == ["a"]

    trio.run(main)
    assert server.connections == 1
