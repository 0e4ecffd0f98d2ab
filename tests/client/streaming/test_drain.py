from __future__ import annotations

import asyncio
import time

import pytest

from friendli import AsyncFriendli, SyncFriendli

from ..wire import DONE, MESSAGES, STOP, A, Peer, Serve, chunked, stream_answer, stream_head


class TestConnectionReuse:
    def send_late_end(self, peer: Peer) -> bool:
        """Sends the end of the body separately from `[DONE]`, as most servers do."""
        peer.send(stream_head() + chunked(A + STOP + DONE))
        time.sleep(0.005)
        peer.send(b"0\r\n\r\n")
        return True

    @pytest.mark.parametrize("end", ["with done", "after done"])
    def test_sync_streams_reuse_the_connection(self, serve: Serve, end: str) -> None:
        whole = stream_answer([A, STOP + DONE])
        server = serve(whole if end == "with done" else self.send_late_end)
        with SyncFriendli("t", server_url=server.url) as client:
            for _ in range(3):
                stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
                assert list(stream.text_deltas) == ["a"]
        assert (len(server.requests), server.connections) == (3, 1)

    @pytest.mark.parametrize("end", ["with done", "after done"])
    def test_async_streams_reuse_the_connection(self, serve: Serve, end: str) -> None:
        whole = stream_answer([A, STOP + DONE])
        server = serve(whole if end == "with done" else self.send_late_end)

        async def main() -> None:
            async with AsyncFriendli("t", server_url=server.url) as client:
                for _ in range(3):
                    stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                    assert [text async for text in stream.text_deltas] == ["a"]

        asyncio.run(main())
        assert (len(server.requests), server.connections) == (3, 1)
