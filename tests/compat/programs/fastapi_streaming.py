"""A FastAPI application that passes a stream on."""

import asyncio
import json
import os
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from friendli import AsyncFriendli, models

URL = os.environ["ENDPOINT_URL"]


@asynccontextmanager
async def lifespan(app):
    async with AsyncFriendli(token="t", server_url=URL, retry_config=None) as friendli:
        app.state.friendli = friendli
        yield


app = FastAPI(lifespan=lifespan)


class Question(BaseModel):
    text: str
    model: str = "plain"


async def start(question):
    chat = app.state.friendli.dedicated.chat
    messages = [{"role": "user", "content": question.text}]
    if hasattr(chat, "stream"):
        return await chat.stream(model=question.model, messages=messages)
    return await chat.complete(model=question.model, messages=messages, stream=True)


@app.post("/stream")
async def stream(question: Question):
    async def lines():
        async with await start(question) as events:
            async for event in events:
                yield f"data: {event.data.model_dump_json(by_alias=True, exclude_unset=True)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.post("/words")
async def words(question: Question):
    try:
        events = await start(question)
    except models.SDKError as error:
        return {"error": error.status_code}
    return {"words": [event.data.choices[0].delta.content async for event in events]}


@app.post("/complete")
async def complete(question: Question):
    chat = app.state.friendli.dedicated.chat
    res = await chat.complete(
        model=question.model, messages=[{"role": "user", "content": question.text}]
    )
    return {"text": res.choices[0].message.content, "usage": res.usage.total_tokens}


@app.post("/typed")
async def typed(question: Question) -> dict:
    messages = [{"role": "user", "content": question.text}]
    res = await app.state.friendli.dedicated.chat.complete(model=question.model, messages=messages)
    message = res.choices[0].message
    return {"content": message.content, "calls": message.tool_calls}


async def main():
    transport = httpx.ASGITransport(app)
    async with (
        lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        res = await client.post("/stream", json={"text": "Hello!"})
        lines = [line for line in res.text.split("\n\n") if line]
        print("type:", res.headers["content-type"])
        for number, line in enumerate(lines):
            print(f"line {number}:", json.dumps(json.loads(line[6:]), sort_keys=True))
        res = await client.post("/words", json={"text": "Hello!"})
        print("words:", res.text)
        res = await client.post("/words", json={"text": "Hello!", "model": "status-404"})
        print("error:", res.text)
        res = await client.post("/complete", json={"text": "Hello!"})
        print("whole:", res.text)
        res = await client.post("/typed", json={"text": "Hello!"})
        print("typed:", res.text)


asyncio.run(main())
