"""Program for our client and for both generations of the published client."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from friendli import AsyncFriendli, SyncFriendli

from .request import MESSAGES, MODEL, TEXT, TOKEN

GIVEN: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": 64}


class Sync:
    """Client for whole and streamed answers."""

    def __init__(self, url: str) -> None:
        client = SyncFriendli(token=TOKEN, server_url=url, x_friendli_team="team")
        self.chat: Any = client.dedicated.chat
        self.stream = _stream(self.chat)

    def post(self) -> bool:
        """Requests a whole answer; returns whether it is the canned one."""
        return bool(self.chat.complete(**GIVEN).choices[0].message.content == TEXT)

    def events(self) -> Iterator[str]:
        """Yields the events of a streamed answer."""
        with self.stream(**GIVEN) as events:
            for event in events:
                yield event.data.choices[0].delta.content


class Async:
    """Client for whole and streamed answers."""

    def __init__(self, url: str) -> None:
        client = AsyncFriendli(token=TOKEN, server_url=url, x_friendli_team="team")
        self.chat: Any = client.dedicated.chat
        self.stream = _stream(self.chat)

    async def post(self) -> bool:
        """Requests a whole answer; returns whether it is the canned one."""
        return bool((await self.chat.complete(**GIVEN)).choices[0].message.content == TEXT)

    async def events(self) -> AsyncIterator[str]:
        """Yields the events of a streamed answer."""
        async with await self.stream(**GIVEN) as events:
            async for event in events:
                yield event.data.choices[0].delta.content


def _stream(chat: Any) -> Any:
    """Returns `stream()` if there is one: the published client has dropped it."""
    return getattr(chat, "stream", None) or partial(chat.complete, stream=True)
