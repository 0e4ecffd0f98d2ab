"""Histories that other clients and programs wrote, with keys of their own."""

import json
import os

from friendli import SyncFriendli

URL = os.environ["ENDPOINT_URL"]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
HISTORIES = {
    "plain": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}],
    "nulls": [
        {"role": "assistant", "content": "Hi.", "tool_calls": None, "name": None},
        {"role": "user", "content": "Hello!", "name": None},
    ],
    "openai's dump": [
        {
            "role": "assistant",
            "content": "Hi.",
            "refusal": None,
            "annotations": [],
            "audio": None,
            "function_call": None,
            "tool_calls": None,
        },
        {"role": "user", "content": "Hello!"},
    ],
    "a database's": [
        {"role": "user", "content": "Hello!", "id": 7, "created_at": "2026-01-01", "likes": 3},
    ],
    "openai's parts": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "https://host/a.png", "detail": "low"}},
            ],
        }
    ],
    "calls": [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "tool_calls": [{**CALL, "index": 0}], "reasoning_content": "Hm."},
        {"role": "tool", "tool_call_id": "1", "content": "done", "is_error": False},
    ],
    "developer": [{"role": "developer", "content": "Be brief."}],
    "system parts": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}],
}

with SyncFriendli(token="t", server_url=URL) as friendli:
    for name, history in HISTORIES.items():
        before = json.dumps(history)
        try:
            res = friendli.dedicated.chat.complete(model="echo", messages=history)
            print(f"{name}:", res.choices[0].message.content)
        except ValueError as error:
            print(f"{name}:", type(error).__name__)
        print(f"{name}, unchanged:", json.dumps(history) == before)
    tool = {
        "type": "function",
        "strict": True,
        "function": {"name": "f", "parameters": {"type": "object"}, "strict": True},
    }
    res = friendli.dedicated.chat.complete(model="echo", messages=HISTORIES["plain"], tools=[tool])
    print("tools:", json.loads(res.choices[0].message.content)["tools"])
    res = friendli.dedicated.chat.complete(model="extra", messages=HISTORIES["plain"])
    print("unknown fields of an answer:", res.model_dump(by_alias=True))
