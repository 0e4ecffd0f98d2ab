"""Canned server: answers every POST with the same bytes, in its own process.

Usage: python -m benchmarks.client.server

The first segment of the path selects the response: `/whole/...` is a completion;
`/stream-EVENTS-PACE-SIZE/...` is a stream of EVENTS events of SIZE bytes (0: one word of text), one
every PACE µs (0: as fast as the client reads). Prints its URL and serves until its standard input
is closed.
"""

import asyncio
import sys
from collections.abc import Iterator

from benchmarks.client.canned import BLOCK, event, stream_end, stream_head, whole

WHOLE = whole()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            await reader.readexactly(int(length))
            segment = head.split(b" ", 2)[1].split(b"/")[1].decode()
            if segment == "whole":
                writer.write(WHOLE)
            else:
                events, pace, size = (int(number) for number in segment.split("-")[1:])
                await (_paced(writer, events, pace) if pace else _flood(writer, events, size))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _flood(writer: asyncio.StreamWriter, events: int, size: int) -> None:
    writer.write(stream_head())
    for block in _blocks(event(size), events - 1):
        writer.write(block)
        await writer.drain()
    writer.write(stream_end())


def _blocks(data: bytes, count: int) -> Iterator[bytes]:
    max_count = max(1, BLOCK // len(data))
    while count > 0:
        yield data * min(max_count, count)
        count -= max_count


async def _paced(writer: asyncio.StreamWriter, events: int, pace: int) -> None:
    """Writes the events of parallel streams at the same times, as a step of an engine does."""
    clock = asyncio.get_running_loop().time
    writer.write(stream_head())
    seconds = pace / 1e6
    data, due = event(), clock() // seconds * seconds
    for _ in range(events - 1):
        due += seconds
        await asyncio.sleep(max(0.0, due - clock()))
        writer.write(data)
    writer.write(stream_end())


async def main() -> None:
    """Serves on a free loopback port."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"Serving on http://{host}:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
