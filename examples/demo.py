"""Demo: starts a real endpoint on a free port, requests a completion and a stream, and stops it.

Run it with `make demo`, or with any Python that has the project and its endpoint extra installed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from friendli import SyncFriendli

START_SECONDS = 60
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant. Answer in two sentences."},
    {"role": "user", "content": "Why does the sea look blue?"},
]


def main() -> None:
    """Runs the demo."""
    with endpoint() as url, SyncFriendli(server_url=url) as friendli:
        complete(friendli)
        stream(friendli)


@contextmanager
def endpoint() -> Iterator[str]:
    """Starts the endpoint on a free loopback port, yields its URL, and stops it."""
    print("Starting the endpoint ...", flush=True)
    command = [sys.executable, "-m", "friendli_endpoint.cli", "serve", "--port", "0"]
    settings = {
        "FRIENDLI_ENDPOINT_MAX_SEQUENCES": "2",
        "FRIENDLI_ENDPOINT_CONTEXT": "1024",
    }
    with subprocess.Popen(
        [*command, "--log-level", "warning"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings},
    ) as process:
        try:
            yield url_of(process)
        finally:
            process.terminate()


def url_of(process: "subprocess.Popen[str]") -> str:
    """Waits for the line with the endpoint's URL, and returns the URL."""
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if line.startswith("Serving "):
            return line.partition(" on ")[2].split()[0]
    sys.exit(process.wait())


def complete(friendli: SyncFriendli) -> None:
    """Prints a whole answer."""
    start = time.perf_counter()
    answer = friendli.dedicated.chat.complete(
        model="(endpoint-id)", messages=MESSAGES, max_tokens=48, temperature=0.6, seed=7
    )
    seconds = time.perf_counter() - start
    tokens = answer.usage.completion_tokens
    words = str(answer.choices[0].message.content)
    print(f"\ncomplete: {one_line(words)} ({tokens} tokens, {tokens / seconds:.0f} tok/s)")


def stream(friendli: SyncFriendli) -> None:
    """Prints a streamed answer."""
    start = time.perf_counter()
    first = tokens = 0.0
    words = ""
    print("\n  ", end="")
    with friendli.dedicated.chat.stream(
        model="(endpoint-id)",
        messages=MESSAGES,
        max_tokens=48,
        temperature=0.6,
        seed=8,
        stream_options={"include_usage": True},
    ) as events:
        for event in events:
            for choice in event.data.choices:
                if choice.delta.content:
                    first = first or time.perf_counter() - start
                    words += choice.delta.content
                    print(choice.delta.content.replace("\n", " "), end="", flush=True)
            if event.data.usage:
                tokens = event.data.usage.completion_tokens
    seconds = time.perf_counter() - start
    print(
        f"\n\nstream: {one_line(words)} ({tokens} tokens, {tokens / seconds:.0f} tok/s, "
        f"first after {first * 1000:.0f} ms)"
    )


def one_line(words: str) -> str:
    """Returns the words on one line."""
    return " ".join(words.split())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
