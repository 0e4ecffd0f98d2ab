"""Program for openai's client."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from openai import AsyncOpenAI, OpenAI

from .request import MESSAGES, MODEL, TEXT, TOKEN

GIVEN: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": 64}


class Sync:
    """Client for whole and streamed answers."""

    def __init__(self, url: str) -> None:
        self.chat: Any = OpenAI(api_key=TOKEN, base_url=url).chat.completions

    def post(self) -> bool:
        """Requests a whole answer; returns whether it is the canned one."""
        return bool(self.chat.create(**GIVEN).choices[0].message.content == TEXT)

    def events(self) -> Iterator[str]:
        """Yields the events of a streamed answer."""
        with self.chat.create(**GIVEN, stream=True) as events:
            for event in events:
                yield event.choices[0].delta.content


class Async:
    """Client for whole and streamed answers."""

    def __init__(self, url: str) -> None:
        self.chat: Any = AsyncOpenAI(api_key=TOKEN, base_url=url).chat.completions

    async def post(self) -> bool:
        """Requests a whole answer; returns whether it is the canned one."""
        return bool((await self.chat.create(**GIVEN)).choices[0].message.content == TEXT)

    async def events(self) -> AsyncIterator[str]:
        """Yields the events of a streamed answer."""
        async with await self.chat.create(**GIVEN, stream=True) as events:
            async for event in events:
                yield event.choices[0].delta.content
