"""Clients against the real endpoint: two versions of the published client, and openai's."""

import pytest

from tests.contract.conftest import ClientEnvironments, Endpoint

PUBLISHED = """
import os
from friendli import SyncFriendli
from friendli.models import SDKError

messages = [{"role": "user", "content": "Hello!"}]
with SyncFriendli(token="t", server_url=os.environ["ADDRESS"]) as friendli:
    chat = friendli.dedicated.chat
    res = chat.complete(
        model="m", messages=messages, max_tokens=12, seed=4, n=2, logprobs=True, top_logprobs=2
    )
    whole = [choice.message.content for choice in res.choices]
    assert len(whole) == 2 and all(whole)
    assert len(res.choices[0].logprobs.content[0].top_logprobs) == 2
    assert res.usage.total_tokens == res.usage.prompt_tokens + res.usage.completion_tokens
    texts = ["", ""]
    with STREAM(model="m", messages=messages, max_tokens=12, seed=4, n=2) as events:
        for event in events:
            for choice in event.data.choices:
                texts[choice.index] += choice.delta.content or ""
    assert texts == whole, (texts, whole)
    try:
        chat.complete(model="m", messages=messages, temperature=-1)
    except SDKError as error:
        print(error.status_code, "temperature" in error.body)
"""

OPENAI = """
import os
from openai import BadRequestError, OpenAI

client = OpenAI(api_key="k", base_url=os.environ["ADDRESS"] + "/dedicated/v1", max_retries=0)
messages = [{"role": "user", "content": "Hello!"}]
fields = dict(model="m", messages=messages, max_tokens=12, seed=4, n=2, logprobs=True)
whole = client.chat.completions.create(**fields, top_logprobs=1)
texts = [choice.message.content for choice in whole.choices]
streamed, usage = ["", ""], None
for chunk in client.chat.completions.create(
    **fields, stream=True, stream_options={"include_usage": True}
):
    usage = chunk.usage or usage
    for choice in chunk.choices:
        streamed[choice.index] += choice.delta.content or ""
assert streamed == texts and all(texts)
assert usage.completion_tokens == whole.usage.completion_tokens
assert whole.choices[0].logprobs.content[0].top_logprobs
try:
    client.chat.completions.create(model="m", messages=messages, top_p=9)
except BadRequestError as error:
    print(error.status_code, error.param)
assert [model.id for model in client.models.list()]
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("client", "stream"),
    [
        ("friendli-0.12", "chat.stream"),
        ("friendli-0.16", "__import__('functools').partial(chat.complete, stream=True)"),
    ],
)
def test_the_published_client_completes_streams_and_raises(
    client: str, stream: str, endpoint: Endpoint, client_environments: ClientEnvironments
) -> None:
    program = PUBLISHED.replace("STREAM", stream)
    assert client_environments.run(client, program, endpoint.address).split() == ["400", "True"]


@pytest.mark.timeout(600)
def test_openais_client_completes_streams_and_raises(
    endpoint: Endpoint, client_environments: ClientEnvironments
) -> None:
    assert client_environments.run("openai", OPENAI, endpoint.address).split() == ["400", "top_p"]
