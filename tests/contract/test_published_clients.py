"""The same program prints the same output with the published client and with ours."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from tests.client.conftest import serve  # noqa: F401  (a fixture)
from tests.client.wire import (
    DONE,
    Server,
    answer,
    chunk,
    completion,
    event,
    json_answer,
    stream_answer,
    words,
)
from tests.contract.conftest import ClientEnvironments

PROGRAM = """
    import logging, sys
    logging.disable(logging.CRITICAL)
    from friendli import SyncFriendli, models
    from friendli.utils import BackoffStrategy, RetryConfig

    url, streams = sys.argv[1], sys.argv[2]
    hello = [{"role": "user", "content": "Hello!"}]
    retries = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 10000), True)

    def attempt(**given):
        try:
            print(chat.complete(model="e", messages=hello, **given))
        except models.SDKError as error:
            print(str(error).splitlines()[0], error.status_code, error.body)
            print(isinstance(error, models.SDKError), error.headers["content-type"])
        except models.ResponseValidationError as error:
            print(error.status_code, error.body)

    with SyncFriendli(token="t", server_url=url, retry_config=retries) as client:
        chat = client.dedicated.chat
        attempt(max_tokens=5)
        attempt(temperature=0.5)
        whole = chat.complete(model="e", messages=hello, logprobs=True, top_logprobs=1)
        print(whole.choices[0].logprobs)
        print(whole.model_dump(by_alias=True), whole.OBJECT)
        print(whole.model_dump_json(by_alias=True))
        for _ in range(4):
            attempt()
        if streams == "stream":
            stream = chat.stream(model="e", messages=hello)
        else:
            stream = chat.complete(model="e", messages=hello, stream=True)
        with stream as events:
            for event in events:
                print(event)
        print(models.Tool(function=models.Function(name="f", parameters={})))
"""


def answers() -> list[bytes]:
    rich = completion(None)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    rich["choices"][0]["message"]["tool_calls"] = [call]
    top = [{"token": "a", "logprob": -1.5, "bytes": [97]}]
    rich["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
    return [
        json_answer(completion()),
        answer(b"", 503),
        answer(b"", 500),
        json_answer(completion("again")),
        json_answer(rich),
        json_answer({"error": {"message": "no"}}, 404),
        answer(b"<p>", 400, content_type="text/html; charset=utf-8"),
        answer(b"hm", content_type="text/plain"),
        json_answer({"id": "x"}),
        stream_answer(
            [
                *words("a", "b")[:-2],
                event(chunk({"tool_calls": [{**call, "index": 0}]})),
                event(chunk({}, "tool_calls")),
                event(chunk(None)),
                DONE,
            ]
        ),
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("client", "streams"), [("friendli-0.12", "stream"), ("friendli-0.16", "")]
)
def test_our_client_prints_the_same_as_the_published_one(
    serve: Callable[..., Server],  # noqa: F811
    client_environments: ClientEnvironments,
    client: str,
    streams: str,
) -> None:
    theirs, ours = serve(*answers()), serve(*answers())
    program = textwrap.dedent(PROGRAM)
    before = client_environments.run(client, program, theirs.url, streams)
    after = client_environments.run("ours", program, ours.url, streams)
    # Version 0.16 prints one more field of usage than 0.12.
    assert after == before.replace(", prompt_tokens_details=Unset()", "")
    sent = [{**r.json, "stream": None} for r in theirs.requests]
    assert [{**r.json, "stream": None} for r in ours.requests] == sent
