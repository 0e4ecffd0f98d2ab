"""Mocks by the fixture of pytest-httpx, in a test session of their own."""

import contextlib
import io
import json
import pathlib
import tempfile

import httpx
import pytest

from friendli import SyncFriendli

HELLO = [{"role": "user", "content": "Hello!"}]
ADDRESS = "https://api.friendli.ai/dedicated/v1/chat/completions"
ANSWER = {
    "id": "mocked",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
EVENT = {
    "id": "mocked",
    "object": "chat.completion.chunk",
    "created": 1,
    "choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": None}],
}
EVENTS = f"data: {json.dumps(EVENT)}\n\ndata: [DONE]\n\n"
seen = []


def test_answer(httpx_mock):
    httpx_mock.add_response(url=ADDRESS, method="POST", json=ANSWER)
    friendli = SyncFriendli(token="t", client=httpx.Client())
    res = friendli.dedicated.chat.complete(model="m", messages=HELLO)
    seen.append(("answer", str(res)))
    seen.append(("request", httpx_mock.get_request().headers["authorization"]))


def test_stream(httpx_mock):
    httpx_mock.add_response(headers={"content-type": "text/event-stream"}, text=EVENTS)
    chat = SyncFriendli(token="t", client=httpx.Client()).dedicated.chat
    if hasattr(chat, "stream"):
        events = chat.stream(model="m", messages=HELLO)
    else:
        events = chat.complete(model="m", messages=HELLO, stream=True)
    seen.append(("events", [event.data.choices[0].delta.content for event in events]))


def test_timeout(httpx_mock):
    httpx_mock.add_exception(httpx.ReadTimeout("slow"))
    friendli = SyncFriendli(token="t", client=httpx.Client())
    with pytest.raises(httpx.ReadTimeout):
        friendli.dedicated.chat.complete(model="m", messages=HELLO, retries=None)
    seen.append(("timeout", "raised"))


class Report:
    """Takes what the tests saw in pytest's copy of this module."""

    def pytest_sessionfinish(self, session):
        for module in {item.module for item in session.items}:
            seen.extend(module.seen)


if __name__ == "__main__":
    output = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(output):
        settings = pathlib.Path(folder, "pytest.ini")
        settings.write_text("[pytest]\n")
        options = ["-q", "-p", "no:cacheprovider", "--noconftest", "-c", str(settings), __file__]
        status = pytest.main(options, plugins=[Report()])
    print("status:", int(status))
    for label, value in seen:
        print(f"{label}:", value)
