"""Bare httpx2, a lower bound: splits the bytes into events, but does not parse JSON."""

from collections.abc import AsyncIterator, Iterator

import httpx2

from .request import BODY, FRIENDLI_PATH, TEXT, TOKEN

HEADERS = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}


class Sync:
    """Client for whole and streamed answers."""

    def __init__(self, url: str) -> None:
        self.url = url + FRIENDLI_PATH
        self.client = httpx2.Client()

    def post(self) -> bool:
        """Requests a whole answer; returns whether it is the canned one."""
        answer = self.client.post(self.url, content=BODY, headers=HEADERS)
        return TEXT.encode() in answer.content

    def events(self) -> Iterator[bytes]:
        """Yields the events of a streamed answer."""
        rest = b""
        with self.client.stream("POST", self.url, content=BODY, headers=HEADERS) as answer:
            for piece in answer.iter_raw():
                *events, rest = (rest + piece).split(b"\n\n")
                yield from events


class Async:
    """Client for whole and streamed answers."""

    def __init__(self, url: str) -> None:
        self.url = url + FRIENDLI_PATH
        self.client = httpx2.AsyncClient()

    async def post(self) -> bool:
        """Requests a whole answer; returns whether it is the canned one."""
        answer = await self.client.post(self.url, content=BODY, headers=HEADERS)
        return TEXT.encode() in answer.content

    async def events(self) -> AsyncIterator[bytes]:
        """Yields the events of a streamed answer."""
        rest = b""
        async with self.client.stream("POST", self.url, content=BODY, headers=HEADERS) as answer:
            async for piece in answer.aiter_raw():
                *events, rest = (rest + piece).split(b"\n\n")
                for event in events:
                    yield event
