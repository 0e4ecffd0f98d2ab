"""One client in many threads."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from friendli import SyncFriendli

URL = os.environ["ENDPOINT_URL"]

friendli = SyncFriendli(token="t", server_url=URL)
chat = friendli.dedicated.chat


def complete(number):
    messages = [{"role": "user", "content": f"number {number}"}]
    return chat.complete(model="echo", messages=messages).choices[0].message.content


def stream(number):
    messages = [{"role": "user", "content": f"number {number}"}]
    if hasattr(chat, "stream"):
        events = chat.stream(model="echo", messages=messages)
    else:
        events = chat.complete(model="echo", messages=messages, stream=True)
    with events:
        return "".join(event.data.choices[0].delta.content or "" for event in events).strip()


with ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(complete, range(40)))
    streams = list(pool.map(stream, range(40)))
print("answers:", [f"number {i}" in text for i, text in enumerate(answers)].count(True))
print("streams:", [f"number {i}" in text for i, text in enumerate(streams)].count(True))
print("alike:", answers == streams)

found = []
thread = threading.Thread(target=lambda: found.append(complete(99)))
thread.start()
thread.join()
print("of a thread:", found)
