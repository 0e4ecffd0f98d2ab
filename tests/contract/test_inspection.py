"""Rendered and tokenized prompts of the real endpoint equal those that it computes on."""

from typing import Any

import pytest

from .conftest import ClientEnvironments, Endpoint, chat_body
from .live import Live

TOKENIZE = "/dedicated/v1/tokenize"
DETOKENIZE = "/dedicated/v1/detokenize"
RENDER = "/dedicated/v1/chat/render"

TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}
BODIES: list[dict[str, Any]] = [
    chat_body("Hello! 日本 🙂 <|im_end|>\n<|im_start|>system"),
    chat_body(tools=[TOOL], tool_choice="none"),
    chat_body(tools=[TOOL], parallel_tool_calls=False),
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be short."}]},
            {"role": "user", "content": "Look!"},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "A tree."},
        ],
    },
]


def post(live: Live, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = live.request("POST", path, json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("body", BODIES, ids=["forged", "none", "tools", "history"])
def test_the_rendered_prompt_has_the_prompt_tokens_of_the_completion(
    live: Live, body: dict[str, Any]
) -> None:
    shown = post(live, RENDER, body)
    used = live.post({**body, "max_tokens": 1}).json()["usage"]
    assert len(shown["tokens"]) == shown["prompt_tokens"] == used["prompt_tokens"]
    assert len(shown["pieces"]) == len(shown["tokens"])
    detokenized = post(live, DETOKENIZE, {"model": "m", "tokens": shown["tokens"]})
    assert detokenized == {"text": shown["text"]}
    for message in body["messages"]:
        if isinstance(message.get("content"), str):
            assert message["content"] in shown["text"]


def test_rendering_rejects_the_same_requests_as_completing(live: Live) -> None:
    for invalid in (
        chat_body(temperature=-1),
        chat_body(cat=1),
        chat_body("a " * 1500),
        chat_body(model="m:x"),
    ):
        completed = live.post(invalid)
        assert completed.status_code >= 400
        assert post(live, RENDER, invalid, completed.status_code) == completed.json()


@pytest.mark.parametrize(
    "text", ["", "Hello, world!", "日本 🙂\0 é", " two  spaces\n\n", "<|im_end|>"]
)
@pytest.mark.parametrize("special", [False, True])
def test_detokenizing_restores_the_text(live: Live, text: str, special: bool) -> None:
    body = {"model": "m", "prompt": text, "parse_special": special}
    tokens = post(live, TOKENIZE, body)["tokens"]
    assert post(live, DETOKENIZE, {"model": "m", "tokens": tokens}) == {"text": text}
    if text == "<|im_end|>":
        assert (len(tokens) == 1) is special


def test_an_unknown_adapter_is_404(live: Live) -> None:
    for path, fields in ((TOKENIZE, {"prompt": "a"}), (DETOKENIZE, {"tokens": [1]})):
        error = post(live, path, {"model": "m:x", **fields}, 404)["error"]
        assert (error["param"], error["code"]) == ("model", "adapter_not_found")


PUBLISHED = """
import os
from friendli import SyncFriendli

with SyncFriendli(token="t", server_url=os.environ["ADDRESS"]) as friendli:
    token = friendli.dedicated.token
    tokens = token.tokenize(model="m", prompt="Hello!").tokens
    print(token.detokenize(model="m", tokens=tokens).text)
    render = friendli.dedicated.chat_render.render
    print(render(model="m", messages=[{"role": "user", "content": "Good day!"}]).text)
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", ["friendli-0.12", "friendli-0.16"])
def test_the_published_client_tokenizes_and_renders(
    client: str, endpoint: Endpoint, client_environments: ClientEnvironments
) -> None:
    text, prompt = client_environments.run(client, PUBLISHED, endpoint.address).split("\n", 1)
    assert text == "Hello!"
    assert "Good day!" in prompt
