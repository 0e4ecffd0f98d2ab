"""Clients in process pools, forked and spawned."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from friendli import SyncFriendli

URL = os.environ["ENDPOINT_URL"]


def complete(number):
    """Makes its own client."""
    with SyncFriendli(token="t", server_url=URL) as friendli:
        return friendli.dedicated.chat.complete(
            model="echo", messages=[{"role": "user", "content": f"number {number}"}]
        )


def with_global(number):
    """Uses the client that the parent made, and did not use yet."""
    res = client.dedicated.chat.complete(
        model="echo", messages=[{"role": "user", "content": f"global {number}"}]
    )
    return res.choices[0].message.content


if __name__ == "__main__":
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            for number, res in enumerate(pool.map(complete, range(3))):
                print(f"{method} {number}:", res.choices[0].message.content)

    client = SyncFriendli(token="t", server_url=URL)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        print("a client from before the fork:", list(pool.map(with_global, range(4))))
    print("in the parent:", with_global(9))
