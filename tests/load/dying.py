"""A client that streams until it is killed: `python -m tests.load.dying ADDRESS`."""

import sys

from friendli import SyncFriendli

if __name__ == "__main__":
    with SyncFriendli("", server_url=sys.argv[1]) as client:
        stream = client.dedicated.chat.stream(
            model="m",
            messages=[{"role": "user", "content": "Tell me everything."}],
            min_tokens=900,
            max_tokens=900,
            n=2,
        )
        for _event in stream:
            print("alive", flush=True)
