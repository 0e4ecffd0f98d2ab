"""Clients against the real endpoint: ours, the published one in two generations, openai's."""

import json

import pytest

from tests.contract.conftest import Endpoint, Rooms

OURS = """
import os
from friendli import SyncFriendli

with SyncFriendli(token=os.getenv("NO_TOKEN", "")) as friendli:
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello!"},
    ]
    res = friendli.dedicated.chat.complete(
        model="(endpoint-id)", messages=messages, max_tokens=20, seed=1
    )
    whole = res.choices[0].message.content
    assert res.usage.completion_tokens <= 20
    res = friendli.dedicated.chat.stream(
        model="(endpoint-id)", messages=messages, max_tokens=20, seed=1
    )
    text = ""
    with res as event_stream:
        for event in event_stream:
            text += event.data.choices[0].delta.content or ""
    assert text == whole and whole
    print(res is not None, len(whole) > 0)
"""

OURS_ASYNC = """
import asyncio
from friendli import AsyncFriendli

async def main():
    async with AsyncFriendli() as friendli:
        messages = [{"role": "user", "content": "Hello!"}]
        res = await friendli.dedicated.chat.complete(
            model="m", messages=messages, max_tokens=20, seed=1
        )
        stream = await friendli.dedicated.chat.stream(
            model="m", messages=messages, max_tokens=20, seed=1
        )
        text = ""
        async with stream as events:
            async for event in events:
                text += event.data.choices[0].delta.content or ""
        assert text == res.choices[0].message.content and text

asyncio.run(main())
"""

PUBLISHED = """
import os
from friendli import SyncFriendli
from friendli.models import SDKError

messages = [{"role": "user", "content": "Hello!"}]
with SyncFriendli(token="t", server_url=os.environ["ADDRESS"]) as friendli:
    chat = friendli.dedicated.chat
    res = chat.complete(
        model="m", messages=messages, max_tokens=12, seed=4, n=2, logprobs=True, top_logprobs=2
    )
    whole = [choice.message.content for choice in res.choices]
    assert len(whole) == 2 and all(whole)
    assert len(res.choices[0].logprobs.content[0].top_logprobs) == 2
    assert res.usage.total_tokens == res.usage.prompt_tokens + res.usage.completion_tokens
    texts = ["", ""]
    with STREAM(model="m", messages=messages, max_tokens=12, seed=4, n=2) as events:
        for event in events:
            for choice in event.data.choices:
                texts[choice.index] += choice.delta.content or ""
    assert texts == whole, (texts, whole)
    try:
        chat.complete(model="m", messages=messages, temperature=-1)
    except SDKError as error:
        print(error.status_code, "temperature" in error.body)
"""

OPENAI = """
import os
from openai import BadRequestError, OpenAI

client = OpenAI(api_key="k", base_url=os.environ["ADDRESS"] + "/dedicated/v1", max_retries=0)
messages = [{"role": "user", "content": "Hello!"}]
asked = dict(model="m", messages=messages, max_tokens=12, seed=4, n=2, logprobs=True)
whole = client.chat.completions.create(**asked, top_logprobs=1)
texts = [choice.message.content for choice in whole.choices]
streamed, usage = ["", ""], None
for chunk in client.chat.completions.create(
    **asked, stream=True, stream_options={"include_usage": True}
):
    usage = chunk.usage or usage
    for choice in chunk.choices:
        streamed[choice.index] += choice.delta.content or ""
assert streamed == texts and all(texts)
assert usage.completion_tokens == whole.usage.completion_tokens
assert whole.choices[0].logprobs.content[0].top_logprobs
try:
    client.chat.completions.create(model="m", messages=messages, top_p=9)
except BadRequestError as error:
    print(error.status_code, error.param)
assert [model.id for model in client.models.list()]
"""


@pytest.mark.parametrize("program", [OURS, OURS_ASYNC], ids=["sync", "async"])
def test_our_client_runs_the_examples(
    program: str, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRIENDLI_BASE_URL", endpoint.address)
    exec(compile(program, "example", "exec"), {"__name__": "example"})


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("room", "stream"),
    [
        ("friendli-0.12", "chat.stream"),
        ("friendli-0.16", "__import__('functools').partial(chat.complete, stream=True)"),
    ],
)
def test_the_published_client(room: str, stream: str, endpoint: Endpoint, rooms: Rooms) -> None:
    program = PUBLISHED.replace("STREAM", stream)
    assert rooms.run(room, program, endpoint.address).split() == ["400", "True"]


@pytest.mark.timeout(600)
def test_openais_client(endpoint: Endpoint, rooms: Rooms) -> None:
    assert rooms.run("openai", OPENAI, endpoint.address).split() == ["400", "top_p"]


def test_a_stream_on_the_wire(endpoint: Endpoint) -> None:
    options = {"include_usage": True}
    chunks = endpoint.stream(n=3, max_tokens=4, seed=1, stream_options=options)
    first = [chunk["choices"][0] for chunk in chunks[:3]]
    assert [choice["index"] for choice in first] == [0, 1, 2]
    assert all(choice["delta"]["role"] == "assistant" for choice in first)
    assert [choice["seed"] for choice in first] == [1, 2, 3]
    last = chunks[-1]
    assert last["choices"] == [] and last["usage"]["completion_tokens"] <= 12
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    ends = [c["choices"][0] for c in chunks[:-1] if c["choices"][0]["finish_reason"]]
    assert sorted(choice["index"] for choice in ends) == [0, 1, 2]
    assert all(choice["delta"] == {} for choice in ends)
    assert len({json.dumps([c["id"], c["created"], c["model"]]) for c in chunks}) == 1
