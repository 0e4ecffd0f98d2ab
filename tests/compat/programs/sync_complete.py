"""A sync chat, as on the first page of the documentation."""

import inspect
import os

from friendli import SyncFriendli

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]

with SyncFriendli(token=os.getenv("FRIENDLI_TOKEN", "t"), server_url=URL) as friendli:
    res = friendli.dedicated.chat.complete(model="plain", messages=HELLO)
    print("answer:", res)
    print("text:", res.choices[0].message.content)
    print("usage:", res.usage.prompt_tokens, res.usage.completion_tokens, res.usage.total_tokens)
    print("constant:", res.OBJECT)
    print("dump by alias:", res.model_dump(by_alias=True))
    print("json by alias:", res.model_dump_json(by_alias=True))
    print("dump:", res.model_dump())
    print("dump without None:", res.model_dump(by_alias=True, exclude_none=True))
    print("is the end:", res.choices[0].finish_reason == "stop")
    print("no calls:", not res.choices[0].message.tool_calls)

    res = friendli.dedicated.chat.complete(
        model="echo",
        messages=HELLO,
        frequency_penalty=0.5,
        presence_penalty=None,
        logit_bias={"5": -100},
        max_tokens="12",
        min_p=0.1,
        n=1.0,
        parallel_tool_calls=True,
        repetition_penalty=1.1,
        seed=[1],
        stop=("a", "b"),
        temperature=0,
        tool_choice=None,
        top_k=5,
        top_p=0.5,
        eos_token=[2],
        chat_template_kwargs={"enable_thinking": False, "x": None},
    )
    print("body:", res.choices[0].message.content)
    res = friendli.dedicated.chat.complete(
        model="headers",
        messages=HELLO,
        x_friendli_team="team",
        http_headers={"x-program": "sync"},
        timeout_ms=30_000,
    )
    print("headers:", res.choices[0].message.content)

wanted = {"model": "plain", "messages": HELLO, "max_tokens": 5, "num_beams": 4}
known = inspect.signature(friendli.dedicated.chat.complete).parameters
print("known arguments:", [name for name in wanted if name in known])
print("kinds:", sorted({str(parameter.kind) for parameter in known.values()}))

friendli = SyncFriendli("Bearer t", server_url=URL + "/")
res = friendli.dedicated.chat.complete(model="headers", messages=HELLO)
print("headers of a bearer:", res.choices[0].message.content)

friendli = SyncFriendli(
    lambda: "called", server_url="http://{place}", url_params={"place": "nowhere"}
)
res = friendli.dedicated.chat.complete(model="headers", messages=HELLO, server_url=URL)
print("headers of a callable:", res.choices[0].message.content)
